"""How kernels are compiled: without Python's lock, with NumPy's division, and once for all runs of a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numba

__all__ = ["FLAT", "INTEGER", "READ", "Compiled", "compiled", "inlined"]

FLAT = numba.float32[::1]
"""A flat array of float32 that is written to."""

READ = numba.types.Array(numba.float32, 1, "C", readonly=True)
"""One that is only read, be it read-only or not."""

INTEGER = numba.types.intp

Compiled: TypeAlias = Callable[..., Any]


def compiled(signature: Any) -> Callable[[Compiled], Compiled]:
    """Compile a function for arguments of these types, or take it from the disk if that was done before."""

    def compile_(function: Compiled) -> Compiled:
        options = {"nogil": True, "error_model": "numpy", "boundscheck": False}
        try:
            kernel: Compiled = numba.njit(signature, cache=True, **options)(function)
        except RuntimeError:  # No folder may be written to.
            kernel = numba.njit(signature, **options)(function)
        return kernel

    return compile_


def inlined(function: Compiled) -> Compiled:
    """A piece of a kernel, written into it wherever it is called, so that what is constant there is known to the compiler."""
    piece: Compiled = numba.njit(inline="always", error_model="numpy", boundscheck=False)(function)
    return piece
