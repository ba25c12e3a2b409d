"""Finding the library of an array by its type."""

from __future__ import annotations

import sys
from threading import RLock
from typing import Any

import numpy as np

from passus.backend.base import Array, Backend
from passus.backend.numpy import NumPy
from passus.backend.trace import Tracing
from passus.errors import DTypeError
from passus.optional import import_optional

__all__ = ["backend_of", "copied", "is_array", "jax_backend", "others", "tracing"]

_numpy = NumPy()
tracing = Tracing(_numpy)
others: list[Backend] = []
"""The libraries in use besides NumPy."""

_loading = RLock()
"""Held while a library is loaded: two threads must not create two backends for it."""


def is_array(x: object) -> bool:
    """Whether ``x`` is an array of a known library.

    >>> is_array([1.0, 2.0])
    False
    """
    return any(backend.is_array(x) for backend in (_numpy, *others)) or _is_of_new_library(x)


def backend_of(*arrays: Any) -> Backend:
    """The library of the arrays among the arguments; NumPy if there are none.

    Arrays of NumPy beside those of another library are constants. Raises `DTypeError` for arrays of two other libraries.
    """
    found: Backend = _numpy
    for x in arrays:
        if type(x) is np.ndarray:
            continue
        for backend in others:
            if backend is not found and backend.is_array(x):
                if found is not _numpy:
                    raise DTypeError(
                        "a step that is recorded computes with arrays of NumPy, and meets an array of JAX: move it with "
                        'to_device("cpu")'
                    )
                found = backend
    return found


def jax_backend() -> Backend:
    """The backend of JAX, which is imported here. Raises `DependencyError` if it is not installed."""
    with _loading:
        for backend in others:
            if backend.name == "jax":
                return backend
        import_optional("jax", "jax", "this device")
        from passus.backend.jax import JAX

        new = JAX()
        others.append(new)
        return new


def _is_of_new_library(x: object) -> bool:
    """Whether ``x`` is an array of JAX, which is in use from now on. JAX is imported already if an array of it exists."""
    jax: Any = sys.modules.get("jax")
    return jax is not None and hasattr(jax, "Array") and isinstance(x, jax.Array) and jax_backend().is_array(x)


def copied(array: Array) -> Array:
    """A copy with the same memory order, on which the last digits of matrix products depend.

    >>> import numpy as np
    >>> copied(np.ones((2, 3)).T).flags.f_contiguous
    True
    """
    return array.astype(array.dtype)  # Unlike copy(), astype preserves the order in all libraries.
