"""One line on stderr while kernels are compiled, so that users know why a minute passes."""

from __future__ import annotations

import os
import sys
from functools import cache

__all__ = ["compiling", "say"]

QUIET = "PASSUS_QUIET"
"""The environment variable that silences notices."""


def compiling() -> None:
    """Print a notice before a kernel is compiled, once in a process."""
    say(
        "compiling kernels for this processor. Each is compiled once and kept on the disk; the first convolution takes up to "
        f"a minute (hide this line with {QUIET}=1)"
    )


@cache
def say(text: str) -> None:
    """Print a line to stderr, once in a process."""
    if sys.stderr is not None and not os.environ.get(QUIET):
        print(f"passus: {text}", file=sys.stderr, flush=True)
