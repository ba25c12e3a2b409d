"""Finding the library of an array by its type."""

from __future__ import annotations

from typing import Any

from passus.backend.base import Array, Backend
from passus.backend.numpy import NumPy
from passus.backend.trace import Tracing
from passus.errors import DTypeError

__all__ = ["backend_of", "copied", "is_array", "others", "tracing"]

_numpy = NumPy()
tracing = Tracing(_numpy)
others: list[Backend] = []
"""The libraries in use besides NumPy."""


def is_array(x: object) -> bool:
    """Whether ``x`` is an array of a known library.

    >>> is_array([1.0, 2.0])
    False
    """
    return any(backend.is_array(x) for backend in (_numpy, *others))


def backend_of(*arrays: Any) -> Backend:
    """The library of the arrays among the arguments; NumPy if there are none.

    Raises `DTypeError` for arrays of different libraries.
    """
    backends = [backend for x in arrays for backend in (_numpy, *others) if backend.is_array(x)]
    if tracing in backends:
        return tracing
    if any(backend is not backends[0] for backend in backends):
        names = " and ".join(dict.fromkeys(backend.name for backend in backends))
        raise DTypeError(f"arrays of {names} in one operation: move them to one device first")
    return backends[0] if backends else _numpy


def copied(array: Array) -> Array:
    """A copy with the same memory order, on which the last digits of matrix products depend.

    >>> import numpy as np
    >>> copied(np.ones((2, 3)).T).flags.f_contiguous
    True
    """
    return array.astype(array.dtype)  # Unlike copy(), astype preserves the order in all libraries.
