"""Lines on stderr while kernels are compiled: they name the kernel, and explain a pause."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

__all__ = ["compiling", "kernel", "position", "print_once"]

QUIET_VARIABLE = "PASSUS_QUIET"
"""The environment variable that silences notices."""

SECONDS = 10.0
"""Minimum time between two lines where a line cannot be rewritten: in files and notebooks."""


class _Progress:
    """The line about the kernel that is being compiled. Kernels are compiled one after the other, under a lock of Numba."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.begun: list[bool] = []
        self.position = ""
        self.next_line = 0.0

    def begin(self) -> None:
        """The kernel named last is not on the disk, so it is compiled now."""
        if self.begun:
            self.begun[-1] = True
        self.show()

    def show(self) -> None:
        name = f"{self.position}{self.names[-1]}" if self.names else "a function"
        text = f"compiling kernels, once for this machine: {name} (hide this line with {QUIET_VARIABLE}=1)"
        if _rewrites():
            width = shutil.get_terminal_size().columns - 1
            _write("\r\033[K" + f"passus: {text}"[:width])
        elif time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + SECONDS
            _write(f"passus: {text}\n")

    def end(self) -> None:
        """Erase the line, or show the kernel again for which another one was compiled."""
        if self.begun.pop() and _rewrites():
            _write("\r\033[K")
        self.names.pop()
        if any(self.begun) and _rewrites():
            self.show()


_progress = _Progress()


@contextmanager
def kernel(name: str) -> Iterator[None]:
    """Within it, `compiling` is about this kernel."""
    _progress.names.append(name)
    _progress.begun.append(False)
    try:
        yield
    finally:
        _progress.end()


@contextmanager
def position(number: int, total: int) -> Iterator[None]:
    """Within it, the line says how many of how many kernels have been reached."""
    before, _progress.position = _progress.position, f"{number} of {total}, "
    try:
        yield
    finally:
        _progress.position = before


def compiling() -> None:
    """Say that a kernel is being compiled: on a terminal in one line that is rewritten, elsewhere in a line every ten seconds."""
    _progress.begin()


@cache
def print_once(text: str) -> None:
    """Print a line to stderr, once in a process."""
    _write(f"passus: {text}\n")


def _rewrites() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _write(text: str) -> None:
    if sys.stderr is not None and not os.environ.get(QUIET_VARIABLE):
        sys.stderr.write(text)
        sys.stderr.flush()
