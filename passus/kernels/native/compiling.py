"""How kernels are compiled: without Python's lock, with NumPy's division, and once for all runs of a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numba
from numba.core.typeinfer import register_dispatcher

from passus.kernels import notices
from passus.kernels.interrupts import uninterrupted
from passus.kernels.native.keeping import KernelCache

__all__ = ["FLAT", "INTEGER", "READ", "Compiled", "compiled", "inlined"]

FLAT = numba.float32[::1]
"""A flat array of float32 that is written to."""

READ = numba.types.Array(numba.float32, 1, "C", readonly=True)
"""A flat array of float32 that is only read."""

INTEGER = numba.types.intp

ALLOCATE = frozenset({"aligned", "aligned_zeros"})
"""Functions that create arrays. Numba itself refuses those of NumPy in kernels without reference counts."""

Compiled: TypeAlias = Callable[..., Any]


def compiled(signature: Any, allocates: bool = True) -> Callable[[Compiled], Compiled]:
    """Compile a function for arguments of these types, or load the compiled function from the disk.

    ``allocates``: whether it creates arrays. Others need no reference counts, which take up to a tenth of the time where arrays
    are passed in tuples.

    Raises TypeError for a function that closes over another function, because Numba would not find it on the disk again, and
    for one that allocates without ``allocates``, because its memory would never be freed.
    """

    def compile_(function: Compiled) -> Compiled:
        _check(function, allocates)
        kernel: Any = numba.njit(nogil=True, error_model="numpy", boundscheck=False, _nrt=allocates)(function)
        try:
            kernel._cache = KernelCache(function)
        except (RuntimeError, OSError):  # No folder may be written to, or there are no files of source code.
            notices.compiling()
        with uninterrupted(), register_dispatcher(kernel):
            kernel.compile(signature)
        kernel.disable_compile()
        compiled_: Compiled = kernel
        return compiled_

    return compile_


def _check(function: Compiled, allocates: bool) -> None:
    for name in ALLOCATE.intersection(function.__code__.co_names):
        if not allocates:
            raise TypeError(f"kernel {function.__qualname__} calls {name}, so it must be compiled with allocates=True")
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        if not isinstance(cell.cell_contents, (int, float, str)):
            raise TypeError(
                f"kernel {function.__qualname__} closes over {name}, which is neither a number nor a name, "
                "so each process would compile it again; move it to the module"
            )


def inlined(function: Compiled) -> Compiled:
    """A function that is inlined into kernels, so that the compiler knows its constant arguments."""
    piece: Compiled = numba.njit(inline="always", error_model="numpy", boundscheck=False)(function)
    return piece
