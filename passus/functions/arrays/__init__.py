"""Functions of arrays, most of them as in NumPy, one family a module."""

__all__: list[str] = []
