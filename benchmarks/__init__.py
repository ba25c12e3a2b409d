"""passus and its peers, measured in turn in one call."""
