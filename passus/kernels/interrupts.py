"""Ctrl-C while kernels are compiled."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["uninterrupted"]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within it, Ctrl-C waits until the end.

    The bindings of LLVM free a module twice, and the process crashes, if an exception is raised between the C function that
    takes a module over and the line that notes it; and Numba does not recover from an import that was cut off.

    >>> try:
    ...     with uninterrupted():
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("compiled")
    ... except KeyboardInterrupt:
    ...     print("interrupted")
    compiled
    interrupted
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield  # Signals reach the main thread only; without a handler of Python there is no exception.
        return
    pressed: list[Any] = []
    signal.signal(signal.SIGINT, lambda *args: pressed.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pressed:
            handler(*pressed[-1])
