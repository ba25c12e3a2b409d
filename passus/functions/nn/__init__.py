"""Functions of neural networks: activations, losses, normalisation, convolution, attention; one family a module."""

__all__: list[str] = []
