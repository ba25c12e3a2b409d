"""Kernels compiled by Numba, for float32 arrays of NumPy; imported when the first one is needed."""

__all__: list[str] = []
