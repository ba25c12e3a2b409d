"""Find the library of an array by its type."""

from __future__ import annotations

from typing import Any

from passus.backend.base import Array, Backend
from passus.backend.numpy import NumPy
from passus.errors import DTypeError

__all__ = ["backend_of", "copied", "is_array", "others"]

_numpy = NumPy()
others: list[Backend] = []
"""The libraries in use beside NumPy."""


def is_array(x: object) -> bool:
    """Whether ``x`` is an array of a known library.

    >>> is_array([1.0, 2.0])
    False
    """
    return any(backend.is_array(x) for backend in (_numpy, *others))


def backend_of(*arrays: Any) -> Backend:
    """The library of the first array among the arguments; NumPy where there is none.

    Raises `DTypeError` for arrays of two libraries.
    """
    found = [backend for x in arrays for backend in (_numpy, *others) if backend.is_array(x)]
    if any(backend is not found[0] for backend in found):
        names = " and ".join(dict.fromkeys(backend.name for backend in found))
        raise DTypeError(f"arrays of {names} in one operation: move them to one device first")
    return found[0] if found else _numpy


def copied(array: Array) -> Array:
    """A copy whose numbers lie in memory in the same order, on which the last digits of a product depend.

    >>> import numpy as np
    >>> copied(np.ones((2, 3)).T).flags.f_contiguous
    True
    """
    return array.astype(array.dtype)  # Unlike copy(), it keeps the order by itself, in all libraries.
