"""Busy waiting: a sleeping thread needs some 50 microseconds to wake up, longer than many kernels take.

Flags are elements of an array of int64; most functions use an array of one flag. These functions release the GIL, so that other
threads run while one waits.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from passus.kernels.native.compiling import INTEGER, compiled

__all__ = [
    "FLAGS",
    "add_and_wait",
    "add_at",
    "call",
    "pause",
    "polls_in",
    "replace_at",
    "value_at",
    "wait_for",
    "yield_processor",
]

FLAGS = numba.int64[::1]

MEMORY_ORDER = "seq_cst"

ACTIVE, POLLING, NOTIFIED = 0, 1, 2
"""States of the thread of a flag: it is not polling the flag; it is polling; it was notified."""


def _address(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    """The address of the flag at an index."""
    return builder.gep(context.make_array(signature.args[0])(context, builder, args[0]).data, [args[1]])


@intrinsic  # type: ignore[untyped-decorator]
def value_at(typing: Any, flags: Any, index: Any) -> tuple[Any, Callable[..., Any]]:
    """Read the flag at an index atomically."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_address(context, builder, signature, args), MEMORY_ORDER, 8)

    return types.int64(flags, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def add_at(typing: Any, flags: Any, index: Any, number: Any) -> tuple[Any, Callable[..., Any]]:
    """Add to the flag at an index; returns its old value."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _address(context, builder, signature, args), args[2], MEMORY_ORDER)

    return types.int64(flags, types.intp, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def replace_at(typing: Any, flags: Any, index: Any, old: Any, new: Any) -> tuple[Any, Callable[..., Any]]:
    """Set the flag at an index to ``new`` if it is ``old``; returns whether it was."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        found = builder.cmpxchg(
            _address(context, builder, signature, args), args[2], args[3], MEMORY_ORDER, MEMORY_ORDER
        )
        return builder.extract_value(found, 1)

    return types.boolean(flags, types.intp, types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def pause(typing: Any) -> tuple[Any, Callable[..., Any]]:
    """Pause briefly, in favour of the other hardware thread."""
    name = "llvm.x86.sse2.pause" if platform.machine() in ("x86_64", "AMD64") else None
    return _calling(name, ir.VoidType())


@intrinsic  # type: ignore[untyped-decorator]
def yield_processor(typing: Any) -> tuple[Any, Callable[..., Any]]:
    """Let another thread run on this processor."""
    return _calling("sched_yield" if hasattr(os, "sched_yield") else None, ir.IntType(32))


def _calling(name: str | None, result: ir.Type) -> tuple[Any, Callable[..., Any]]:
    """A function without arguments that calls another one and ignores its result; or nothing."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        if name is not None:
            builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, []), name), [])
        return context.get_dummy_value()

    return types.void(), generate


@compiled(numba.boolean(FLAGS))
def call(flag: Any) -> Any:
    """Notify the thread that polls this flag; returns whether there is one."""
    return replace_at(flag, 0, POLLING, NOTIFIED)


@compiled(numba.void(FLAGS, numba.int64, FLAGS, INTEGER, INTEGER))
def add_and_wait(done: Any, count: Any, flag: Any, polls: Any, delay: Any) -> None:
    """Add ``count`` to ``done``; then poll the ``flag`` for a call, at most ``polls`` times.

    This is one function because a thread that waits for ``done`` needs the GIL next, and this thread must not hold it then. After
    a call, the caller holds the GIL until its kernel begins, and a thread that requests it earlier is put to sleep. The ``delay``
    iterations prevent this.
    """
    replace_at(flag, 0, ACTIVE, POLLING)
    add_at(done, 0, count)
    for _ in range(polls):
        if value_at(flag, 0) == NOTIFIED:
            for _ in range(delay):
                pause()
            break
        pause()
    if not replace_at(flag, 0, POLLING, ACTIVE):
        replace_at(flag, 0, NOTIFIED, ACTIVE)


@compiled(numba.boolean(FLAGS, numba.int64, INTEGER))
def wait_for(done: Any, count: Any, polls: Any) -> Any:
    """Wait until ``done`` is ``count``, for at most ``polls`` iterations; returns whether it is."""
    for _ in range(polls):
        if value_at(done, 0) == count:
            return True
        pause()
    return value_at(done, 0) == count


# Threads wait for each other in these, not for a compiler.
for kernel in (call, add_and_wait, wait_for):
    kernel.build()


@cache
def polls_in(seconds: float) -> int:
    """Number of polls of a flag in a time; processors differ by a factor of ten."""
    times, flag = [], np.zeros(1, np.int64)
    for _ in range(5):
        start = time.perf_counter()
        wait_for(flag, 1, 1000)
        times.append(time.perf_counter() - start)
    return 1 + int(1000 * seconds / min(times))
