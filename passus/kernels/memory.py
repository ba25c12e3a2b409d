"""Memory that is kept: large arrays that come and go in each step cost no page faults."""

from __future__ import annotations

import os
from functools import cache

__all__ = ["keep_memory"]

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""The names of two settings in glibc's malloc.h."""

KEPT = 1 << 30


@cache
def keep_memory() -> bool:
    """Let the C library keep freed memory, up to a GiB, for the next array; returns whether it does.

    As it comes, glibc gives the memory of large arrays back to the system and asks for it anew, in pages that must
    each be found and zeroed: a third of the time of a training step. Other C libraries are left as they are, and so
    are settings of the user's in ``MALLOC_TRIM_THRESHOLD_`` or ``MALLOC_MMAP_THRESHOLD_``.
    """
    if os.environ.keys() & {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}:
        return False
    try:
        import ctypes

        set_option = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, AttributeError, TypeError):
        return False
    # Older ones take no more than half of the memory that they get for a thread, 32 MiB.
    mapped = set_option(MMAP_THRESHOLD, KEPT) or set_option(MMAP_THRESHOLD, KEPT >> 5)
    return bool(mapped) and bool(set_option(TRIM_THRESHOLD, KEPT))
