"""Copying arrays to a GPU with CuPy."""

from __future__ import annotations

from passus.backend.base import Array
from passus.errors import DependencyError

__all__ = ["to_cupy"]


def to_cupy(x: Array) -> Array:
    """Copy an array to the GPU. Raises `DependencyError` if CuPy cannot be loaded."""
    try:
        import cupy
    except ImportError as error:
        raise DependencyError(
            "CuPy cannot be loaded, so arrays stay in main memory. "
            "Write `if passus.cuda.gpu_enable:` before to_gpu() and as_cupy()"
        ) from error
    return cupy.asarray(x)
