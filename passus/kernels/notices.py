"""A line on stderr while kernels are compiled, which explains a pause of up to a minute."""

from __future__ import annotations

import os
import sys
from functools import cache

__all__ = ["compiling", "print_once"]

QUIET_VARIABLE = "PASSUS_QUIET"
"""The environment variable that silences notices."""


def compiling() -> None:
    """Print a notice before a kernel is compiled, once in a process."""
    print_once(
        "compiling kernels for this processor. Each is compiled once and kept on the disk; the first convolution takes up to "
        f"a minute (hide this line with {QUIET_VARIABLE}=1)"
    )


@cache
def print_once(text: str) -> None:
    """Print a line to stderr, once in a process."""
    if sys.stderr is not None and not os.environ.get(QUIET_VARIABLE):
        print(f"passus: {text}", file=sys.stderr, flush=True)
