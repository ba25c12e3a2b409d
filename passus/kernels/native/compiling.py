"""How kernels are compiled: without Python's lock, with NumPy's division, and once for all runs of a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numba
from numba.core.typeinfer import register_dispatcher

from passus.kernels import notices
from passus.kernels.native.keeping import KernelCache

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
        kernel: Any = numba.njit(nogil=True, error_model="numpy", boundscheck=False)(function)
        try:
            kernel._cache = KernelCache(function)
        except (RuntimeError, OSError):  # No folder may be written to, or there are no files of source code.
            notices.compiling()
        with register_dispatcher(kernel):
            kernel.compile(signature)
        kernel.disable_compile()
        compiled_: Compiled = kernel
        return compiled_

    return compile_


def inlined(function: Compiled) -> Compiled:
    """A piece of a kernel, written into it wherever it is called, so that what is constant there is known to the compiler."""
    piece: Compiled = numba.njit(inline="always", error_model="numpy", boundscheck=False)(function)
    return piece
