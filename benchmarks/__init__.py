"""passus and its peers, timed in alternation."""
