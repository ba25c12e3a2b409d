"""How kernels are compiled: without Python's lock, with NumPy's division, when they are first called, and once for all runs of a
program.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numba
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher
from numba.core.typeinfer import register_dispatcher

from passus.kernels import notices
from passus.kernels.interrupts import uninterrupted
from passus.kernels.native.keeping import KernelCache, NoCache

__all__ = ["FLAT", "INTEGER", "READ", "Compiled", "Kernel", "compiled", "declared", "inlined", "shared"]

FLAT = numba.float32[::1]
"""A flat array of float32 that is written to."""

READ = numba.types.Array(numba.float32, 1, "C", readonly=True)
"""A flat array of float32 that is only read."""

INTEGER = numba.types.intp

ALLOCATE = frozenset({"aligned", "aligned_zeros"})
"""Functions that create arrays. Numba itself refuses those of NumPy in kernels without reference counts."""

OPTIONS = {"error_model": "numpy", "boundscheck": False}

Compiled: TypeAlias = Callable[..., Any]


_COMPILES_IN_C = CPUDispatcher._can_compile
"""The attribute by which Numba's C code knows whether it may compile."""


class Kernel(CPUDispatcher):  # type: ignore[misc]
    """A function that is compiled for one signature, or loaded from the disk, when Python or another kernel first calls it."""

    declared_types: Any
    """The signature."""

    _can_compile = True
    """What Numba's Python code reads, until `build` has compiled the function. Its C code has an attribute of its own."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Otherwise, C code decides at the beginning of a call whether the types must match exactly. If another thread builds the
        # kernel before it has determined the types, it would then refuse arguments that have to be converted.
        _COMPILES_IN_C.__set__(self, False)

    def build(self) -> None:
        """Compile the function, or load it from the disk, unless that is done."""
        with global_compiler_lock:  # Threads may call a kernel for the first time at once.
            if self._can_compile:
                with notices.kernel(self.label), uninterrupted(), _uncollected(), register_dispatcher(self):
                    self.compile(self.declared_types)
                self.disable_compile()

    @property
    def was_compiled(self) -> bool:
        """Whether the function was not on the disk."""
        return not self.stats.cache_hits

    @property
    def folder(self) -> Path | None:
        """Where compiled functions are kept; None if nowhere."""
        return Path(self._cache.cache_path) if isinstance(self._cache, KernelCache) else None

    @property
    def unsaved(self) -> str:
        """Why the compiled function could not be written to the disk; empty if it was."""
        return getattr(self._cache, "unsaved", "")

    @property
    def address(self) -> int:
        """Where the function begins in memory, for kernels that call it there."""
        self.build()
        (found,) = self.overloads.values()
        address: int = found.library.get_pointer_to_function(found.fndesc.llvm_func_name)
        return address

    @property
    def label(self) -> str:
        """The module and the name of the function, and the numbers and names that it closes over."""
        function = self.py_func
        options = [str(cell.cell_contents) for cell in function.__closure__ or ()]
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__.strip('_')}"
        return f"{name} ({', '.join(options)})" if options else name

    def _search_new_conversions(self, *args: Any, **kwargs: Any) -> bool:
        """Numba calls this for arguments whose types it does not know yet. Returns whether they can be converted."""
        self.build()
        with global_compiler_lock:
            is_found: bool = super()._search_new_conversions(*args, **kwargs)
        return is_found

    def typeof_pyval(self, val: Any) -> Any:
        """Numba calls this to determine the type of an argument from Python, unless it has seen one like it.

        Numba numbers the types of a process and finds kernels by the numbers. Threads that create the same type at once could number
        it twice, and the kernel would not accept arguments of one of the two.
        """
        with global_compiler_lock:
            return super().typeof_pyval(val)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Numba calls this to determine the types of a call in another function."""
        self.build()
        return super().get_call_template(args, kws)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Within it, cycles of objects are not collected: to search the objects of the compiler, most of which live until a kernel is
    done, takes an eighth of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


_declared: list[Kernel] = []


def declared() -> Iterator[Kernel]:
    """The kernels of passus that have been declared in this process."""
    return iter([kernel for kernel in _declared if kernel.py_func.__module__.startswith("passus.")])


def compiled(signature: Any, allocates: bool = True) -> Callable[[Compiled], Kernel]:
    """Declare a function to be a kernel for arguments of these types: it is compiled, or loaded from the disk, on its first call.

    ``allocates``: whether it creates arrays. Others need no reference counts, which take up to a tenth of the time where arrays
    are passed in tuples.

    Raises TypeError for a function that closes over another function, because Numba would not find it on the disk again, and
    for one that allocates without ``allocates``, because its memory would never be freed.
    """

    def declare(function: Compiled) -> Kernel:
        _check(function, allocates)
        # Numba numbers the functions of a process, and finds them by their names. Two that were compiled in different processes
        # may have the same number, so the name must contain what distinguishes them.
        options = "".join([f"[{cell.cell_contents}]" for cell in function.__closure__ or ()])
        function.__qualname__ += options
        # Kernels are called from Python and from each other, never from C, so they need no wrapper for it.
        flags = {"nopython": True, "nogil": True, "no_cfunc_wrapper": True, "_nrt": allocates, **OPTIONS}
        kernel = Kernel(function, targetoptions=flags)
        kernel.declared_types = signature
        try:
            kernel._cache = KernelCache(function)
        except (RuntimeError, OSError):  # No folder may be written to, or there are no files of source code.
            kernel._cache = NoCache()
        _declared.append(kernel)
        return kernel

    return declare


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
    """A piece of kernels that Numba inlines: the types of its arguments are those of the call, with constants among them.

    Numba copies the piece for each call and determines all types again, so a large piece that is called often takes seconds to
    compile. Let it be `shared` unless it passes a constant on.
    """
    piece: Compiled = numba.njit(inline="always", **OPTIONS)(function)
    return piece


def shared(function: Compiled) -> Compiled:
    """A piece of kernels that is translated once for arguments of the same types, and inlined by LLVM."""
    piece: Compiled = numba.njit(forceinline=True, no_cfunc_wrapper=True, no_cpython_wrapper=True, **OPTIONS)(function)
    return piece
