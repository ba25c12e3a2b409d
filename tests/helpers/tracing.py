"""Coverage without unnecessary tracing: compilers and repeated tests run without its tracer, in half the time."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable
from functools import partial, wraps
from threading import local
from typing import Any, ParamSpec, TypeVar

import coverage

import passus
from passus.kernels import native

__all__ = ["import_all", "is_traced", "repeats", "traced", "untraced", "untraced_compiler"]

_paused = local()
"""Each thread has a separate tracer."""

P = ParamSpec("P")
R = TypeVar("R")


def is_traced() -> bool:
    """Whether the tracer of coverage is active; the tracer of a debugger is not touched."""
    return coverage.Coverage.current() is not None and sys.gettrace() is not None


def untraced(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function without the tracer.

    The tracer maintains a stack of calls, so it must stop and start in the same frame; a context manager would not.
    """
    tracer = sys.gettrace()
    if tracer is None:
        return function(*args, **kwargs)
    _paused.tracer = tracer
    sys.settrace(None)
    try:
        return function(*args, **kwargs)
    finally:
        sys.settrace(tracer)
        _called()  # Returns are traced after the first call only.


def traced(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that runs with the tracer when it is called by `untraced` code."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        tracer = getattr(_paused, "tracer", None)
        if tracer is None or sys.gettrace() is not None:
            return function(*args, **kwargs)
        sys.settrace(tracer)
        _called()
        try:
            return function(*args, **kwargs)
        finally:
            sys.settrace(None)

    return call


def repeats(test: Callable[P, None]) -> Callable[P, None]:
    """Mark a test whose lines of passus are covered by other tests: it is not traced and takes half the time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        untraced(test, *args, **kwargs)

    return run


def _called() -> None:
    pass


def untraced_compiler() -> None:
    """Make Numba compile without the tracer, except for intrinsics of passus.

    Numba is written in Python, and calls millions of functions.
    """
    compiler = untraced(importlib.import_module, "numba.core.compiler")
    extending = untraced(importlib.import_module, "numba.core.extending")
    compiler.compile_extra = partial(untraced, compiler.compile_extra)
    begin = extending._Intrinsic.__init__

    def begin_traced(intrinsic: Any, name: str, define: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        @wraps(define)
        def traced_define(*types: Any) -> Any:
            found = traced(define)(*types)
            return found and (found[0], traced(found[1]))

        begin(intrinsic, name, traced_define, *args, **kwargs)

    extending._Intrinsic.__init__ = begin_traced


def import_all(worker: int, workers: int) -> None:
    """Import all of passus, so that its lines outside of functions are counted.

    Importing modules of kernels loads Numba. Each worker starts at a different module.
    """
    names = sorted(module.name for module in pkgutil.walk_packages(native.__path__, f"{native.__name__}."))
    first = len(names) * worker // workers
    names = names[first:] + names[:first]
    if worker % 2 == 0:
        names.reverse()  # Neighbours meet halfway. Convolution takes longest and imports most modules.
    for name in [*names, *(module.name for module in pkgutil.walk_packages(passus.__path__, "passus."))]:
        importlib.import_module(name)
