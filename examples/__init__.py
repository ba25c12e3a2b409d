"""Programs to read and to run, each by itself."""
