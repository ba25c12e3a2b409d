"""What a user is told while kernels are compiled: one line on stderr, so that a minute of silence is none."""

from __future__ import annotations

import os
import sys
from functools import cache

__all__ = ["compiling", "say"]

QUIET = "PASSUS_QUIET"
"""A variable of the environment that silences them."""


def compiling() -> None:
    """Called when a kernel is about to be compiled; says so once in a process."""
    say(
        "compiling kernels for this processor. Each is compiled once and kept on the disk; the first convolution takes up to "
        f"a minute (hide this line with {QUIET}=1)"
    )


@cache
def say(text: str) -> None:
    """Write a line to stderr, unless it was written before."""
    if sys.stderr is not None and not os.environ.get(QUIET):
        print(f"passus: {text}", file=sys.stderr, flush=True)
