"""How kernels are compiled: without Python's lock, with NumPy's division, and once for all runs of a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

F = TypeVar("F", bound=Callable[..., Any])


def compiled(signature: Any) -> Callable[[F], F]:
    """Compile a function for arguments of these types, or take it from the disk if that was done before."""

    def compile_(function: F) -> F:
        options = {"nogil": True, "error_model": "numpy", "boundscheck": False}
        try:
            return cast("F", numba.njit(signature, cache=True, **options)(function))
        except RuntimeError:  # No folder may be written to.
            return cast("F", numba.njit(signature, **options)(function))

    return compile_
