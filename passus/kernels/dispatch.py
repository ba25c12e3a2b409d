"""Which of two computes: a kernel compiled for this processor, or the reference in array code.

A kernel and its reference have one name and one result. The kernel is used where Numba is installed, for float32 arrays of
NumPy that are large enough to be worth it; the reference everywhere else. ``using_config("native", False)`` turns kernels off.

What is worth it depends on whether kernels are in use: loading Numba takes a second, and compiling takes some, for which
a first script on small data should not wait. A checkpoint remembers it, so that a run that goes on computes what it would
have computed.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from functools import cache, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from passus import config
from passus.errors import PassusWarning
from passus.kernels.memory import keep_memory

__all__ = ["Kernel", "enough", "go_on_using", "in_use", "kernel", "native_module", "start_using"]

P = ParamSpec("P")
R = TypeVar("R")


class Kernel(Generic[P, R]):
    """A reference, and how to find the compiled kernel of its name when that suits the arguments."""

    def __init__(self, reference: Callable[P, R], suits: Callable[..., bool]) -> None:
        self.reference, self.suits = reference, suits
        update_wrapper(self, reference)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.suits(*args, **kwargs) and config.native.get():
            compiled = self.compiled()
            if compiled is not None:
                return compiled(*args, **kwargs)
        return self.reference(*args, **kwargs)

    def compiled(self) -> Callable[P, R] | None:
        """The kernel; None where Numba does not work."""
        module = native_module(self.reference.__module__.rpartition(".")[2])
        return None if module is None else getattr(module, self.reference.__name__)


def kernel(suits: Callable[..., bool]) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Name a function in ``passus/kernels`` as the reference of the compiled one in ``passus/kernels/native``.

    ``suits``: given the same arguments, whether the compiled one can take them and is worth it.
    """

    def named(reference: Callable[P, R]) -> Kernel[P, R]:
        return Kernel(reference, suits)

    return named


_in_use = False


def in_use() -> bool:
    """Whether a compiled kernel has been used in this process."""
    return _in_use


def start_using() -> None:
    """From now on, use kernels for small arrays too, as if a large one had come first; nothing is compiled that is not needed.

    >>> start_using()
    """
    global _in_use
    if config.native.get():
        _in_use = _numba_works()


def go_on_using(in_use: bool) -> None:
    """Use kernels as a run did that goes on here: for small arrays too, or not before the first large one.

    >>> go_on_using(in_use())
    """
    global _in_use
    if in_use:
        start_using()
    else:
        _in_use = False


def enough(work: int, least: int, first: int) -> bool:
    """Whether so much work, in whatever unit, is worth a kernel: ``least`` is if some are in use, else ``first`` is."""
    return work >= (least if _in_use else first)


def native_module(name: str) -> Any:
    """A module of ``passus.kernels.native``; None, and one warning, where Numba is missing or does not work.

    From now on, kernels are in use.
    """
    global _in_use
    module = _loaded(name)
    _in_use = module is not None
    return module


@cache
def _loaded(name: str) -> Any:
    return importlib.import_module(f"passus.kernels.native.{name}") if _numba_works() else None


@cache
def _numba_works() -> bool:
    keep_memory()
    try:
        importlib.import_module("passus.kernels.native.processor").probe()
    except Exception as error:  # A broken compiler must not break what works without it.
        reason = "is not installed" if isinstance(error, ModuleNotFoundError) else f"does not work here ({error})"
        warnings.warn(
            f"passus computes with NumPy alone, several times slower on large arrays: Numba {reason}. "
            'Install it with: pip install "passus[fast]"; or silence this with using_config("native", False)',
            PassusWarning,
            stacklevel=2,
        )
        return False
    return True
