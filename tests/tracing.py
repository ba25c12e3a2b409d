"""Coverage counts lines of passus; what others run at length is run without its tracer, in half the time."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import coverage

import passus
from passus.kernels import native

__all__ = ["import_all", "is_traced", "untraced", "untraced_compiler"]


def is_traced() -> bool:
    """Whether the tracer of coverage runs; that of a debugger is left alone."""
    return coverage.Coverage.current() is not None and sys.gettrace() is not None


@contextmanager
def untraced() -> Iterator[None]:
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def untraced_compiler() -> None:
    """Let Numba compile without the tracer: it is written in Python, and calls millions of functions."""
    with untraced():
        from numba.core import compiler

    compile_extra = compiler.compile_extra

    def untraced_compile_extra(*args: Any, **kwargs: Any) -> Any:
        with untraced():
            return compile_extra(*args, **kwargs)

    compiler.compile_extra = untraced_compile_extra


def import_all(worker: int, workers: int) -> None:
    """Import all of passus, so that its lines outside of functions are counted.

    Modules of kernels compile them. Each worker begins elsewhere, so that none compiles what another one has begun.
    """
    names = sorted(module.name for module in pkgutil.walk_packages(native.__path__, f"{native.__name__}."))
    first = len(names) * worker // workers
    names = names[first:] + names[:first]
    if worker % 2 == 0:
        names.reverse()  # Neighbours meet halfway. What takes longest, convolution, needs most of the others.
    for name in [*names, *(module.name for module in pkgutil.walk_packages(passus.__path__, "passus."))]:
        importlib.import_module(name)
