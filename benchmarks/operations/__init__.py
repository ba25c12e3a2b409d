"""Single operations, forward and backward, with the work of each."""
