"""Retain freed memory in the process, so that large arrays of each step cause no page faults."""

from __future__ import annotations

import os
from functools import cache

__all__ = ["keep_memory"]

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Two options in glibc's malloc.h."""

RETAINED = 1 << 30


@cache
def keep_memory() -> bool:
    """Let the C library retain freed memory, up to a GiB, for the next array; returns whether it does.

    By default, glibc returns the memory of large arrays to the system and requests it again, in pages that must be found and
    zeroed: a third of the time of a training step. Other C libraries are left unchanged, and so are the user's settings in ``MALLOC_TRIM_THRESHOLD_`` or ``MALLOC_MMAP_THRESHOLD_``.
    """
    if os.environ.keys() & {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}:
        return False
    try:
        import ctypes

        set_option = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, AttributeError, TypeError):
        return False
    # Older versions accept at most half of the heap of a thread, 32 MiB.
    mapped = set_option(MMAP_THRESHOLD, RETAINED) or set_option(MMAP_THRESHOLD, RETAINED >> 5)
    return bool(mapped) and bool(set_option(TRIM_THRESHOLD, RETAINED))
