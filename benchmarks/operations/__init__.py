"""Single operations, forward and backward, and how much work each of them is."""
