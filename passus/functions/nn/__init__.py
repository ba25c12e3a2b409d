"""Functions of neural networks: activations, losses, normalization, convolution, attention; one family a module."""

__all__: list[str] = []
