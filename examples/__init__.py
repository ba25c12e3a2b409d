"""Programs to read and run, each on its own."""
