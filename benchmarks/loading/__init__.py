"""Loaders with threads and with processes, beside PyTorch's."""
