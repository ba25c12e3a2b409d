"""Which of two computes: a kernel compiled for this processor, or the reference in array code.

A kernel and its reference have one name and one result. The kernel is used where Numba is installed, for float32 arrays of
NumPy that are large enough to be worth it; the reference everywhere else. ``using_config("native", False)`` turns kernels off.

What is worth it depends on whether kernels are in use: loading Numba takes a second, and compiling takes some, for which
a first script on small data should not wait. A checkpoint remembers it, so that a run that goes on computes what it would
have computed.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable
from functools import cache, update_wrapper
from threading import RLock
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from passus import config
from passus.backend import backend_of, others
from passus.backend.trace import plain, traced_by
from passus.errors import PassusWarning
from passus.kernels.interrupts import uninterrupted
from passus.kernels.memory import keep_memory
from passus.kernels.xla import body_of

__all__ = ["Kernel", "worth_kernel", "restore_use", "in_use", "kernel", "native_module", "plain_float32", "start_using"]

P = ParamSpec("P")
R = TypeVar("R")

FLOAT32 = np.dtype(np.float32)


class Kernel(Generic[P, R]):
    """A reference, and how to find the compiled kernel of its name when that suits the arguments."""

    def __init__(self, reference: Callable[P, R], suits: Callable[..., bool]) -> None:
        self.reference, self.suits = reference, suits
        self.module = reference.__module__.rpartition(".")[2]
        update_wrapper(self, reference)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if others:
            recorder = traced_by(*args, *kwargs.values())
            if recorder is not None:
                if not self.takes(*args, **kwargs):
                    return self.reference(*args, **kwargs)
                result: R = recorder.record(self, args, kwargs)
                return result
            if backend_of(*args, *kwargs.values()).name == "jax":
                return (body_of(self.module, self.reference.__name__) or self.reference)(*args, **kwargs)
        if self.suits(*args, **kwargs) and config.native.get():
            compiled = self.compiled()
            if compiled is not None:
                return compiled(*args, **kwargs)
        return self.reference(*args, **kwargs)

    def takes(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whether a call with these arguments runs the compiled kernel."""
        if others:
            args, kwargs = plain(args), plain(kwargs)
        return self.suits(*args, **kwargs) and config.native.get() and self.compiled() is not None

    def compiled(self) -> Callable[P, R] | None:
        """The kernel; None where Numba does not work."""
        module = native_module(self.module)
        return None if module is None else getattr(module, self.reference.__name__)


def kernel(suits: Callable[..., bool]) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Name a function in ``passus/kernels`` as the reference of the compiled one in ``passus/kernels/native``.

    ``suits``: given the same arguments, whether the compiled function can take them and is worth it. The size is checked first,
    because for small arrays the other checks would take as long as the reference. ``suits`` is the boundary: compiled code
    does not check bounds, so the types of arrays, their shapes and their memory layout are checked there. The reference
    handles everything else; its errors are those of NumPy. Only the values of indices are checked by compiled functions.
    """

    def named(reference: Callable[P, R]) -> Kernel[P, R]:
        return Kernel(reference, suits)

    return named


def plain_float32(*arrays: Any) -> bool:
    """Whether all are arrays of NumPy's own class, of float32 in the byte order of the processor, at addresses that suit it.

    >>> plain_float32(np.zeros(2, np.float32)), plain_float32(np.zeros(2, np.float32), np.zeros(2)), plain_float32(np.float32(1))
    (True, False, False)
    """
    for x in arrays:  # noqa: SIM110  # A generator would take as long as the tests.
        if type(x) is not np.ndarray or x.dtype != FLOAT32 or not x.flags.aligned:
            return False
    return True


_in_use = False
_loading = RLock()
"""Held while Numba and kernels are imported, and while the process is forked."""


def in_use() -> bool:
    """Whether a compiled kernel has been used in this process."""
    return _in_use


def start_using() -> None:
    """From now on, use kernels for small arrays too, as if a large one had come first; nothing is compiled that is not needed.

    >>> start_using()
    """
    global _in_use
    if config.native.get():
        with _loading:
            _in_use = _numba_works()


def restore_use(in_use: bool) -> None:
    """Use kernels as a run did that goes on here: for small arrays too, or not before the first large one.

    >>> restore_use(in_use())
    """
    global _in_use
    if in_use:
        start_using()
    else:
        _in_use = False


def worth_kernel(work: int, least: int, first: int) -> bool:
    """Whether so much work, in whatever unit, is worth a kernel: ``least`` is if some are in use, else ``first`` is."""
    return work >= (least if _in_use else first)


def native_module(name: str) -> Any:
    """A module of ``passus.kernels.native``; None, and one warning, where Numba is missing or does not work.

    From now on, kernels are in use.
    """
    global _in_use
    module = _loaded(name)
    if module is not None:
        _in_use = True
    return module


@cache
def _loaded(name: str) -> Any:
    with _loading:
        if not _numba_works():
            return None
        try:
            return importlib.import_module(f"passus.kernels.native.{name}")
        except Exception as error:
            warnings.warn(
                f"passus computes {name} with NumPy alone, several times slower on large arrays, for its kernels cannot be "
                f'compiled here ({type(error).__name__}: {error}); silence this with using_config("native", False)',
                PassusWarning,
                stacklevel=3,
            )
            return None


@cache
def _numba_works() -> bool:
    keep_memory()
    try:
        with uninterrupted():
            importlib.import_module("passus.kernels.native.processor").probe()
    except Exception as error:  # A broken compiler must not break what works without it.
        reason = "is not installed" if isinstance(error, ModuleNotFoundError) else f"does not work here ({error})"
        warnings.warn(
            f"passus computes with NumPy alone, several times slower on large arrays: Numba {reason}. "
            'Install it with: pip install numba; or silence this with using_config("native", False)',
            PassusWarning,
            stacklevel=2,
        )
        return False
    return True


# A child has only the thread that forked. What another one was compiling would never be done there, and its locks never be
# released: so a fork waits until nothing is being compiled.

_held: list[Any] = []


def _before_fork() -> None:
    _loading.acquire()
    for module, name in (("numba.core.compiler_lock", "global_compiler_lock"), ("llvmlite.binding.ffi", "lib")):
        lock: Any = getattr(sys.modules.get(module), name, None)
        lock = getattr(lock, "_lock", None) if name == "lib" else lock
        if hasattr(lock, "__enter__"):  # What is private there may be missing one day.
            lock.__enter__()
            _held.append(lock)


def _after_fork() -> None:
    while _held:
        _held.pop().__exit__(None, None, None)
    _loading.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
