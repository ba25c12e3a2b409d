"""Threads that share the operations of the machine of `machine.py`, without a call in Python between two operations.

The table of operations consists of sections. A section consists of items of equal size, which are independent of each other.
Every thread goes through all sections, computes the items that no other thread has begun, and waits for the others of the
section. So any number of threads may take part, each may come late, and all but one may leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from passus.backend import Array
from passus.kernels.native.compiling import INTEGER, compiled
from passus.kernels.native.machine import run
from passus.kernels.native.waiting import FLAGS, add_at, pause, replace_at, value_at, yield_processor

__all__ = ["run_sections", "sections_of"]

LINE = 8
"""Flags in a line of the cache."""

SECTION = 4
"""Numbers of a section: of its first operation, of its operations, of its items, and the position of its marks."""

FAILED = 0
"""Position of the mark that is the number of the last run that an operation ended."""


def sections_of(parts: Sequence[tuple[int, int, int]]) -> tuple[Array, Array]:
    """The sections for parts of the table (first and last operation, number of items), and marks for their runs.

    The marks of a section are the number of items that have been completed in all runs, and for each item the number of the last
    run in which a thread began it.
    """
    rows, at = [], LINE
    for first, last, items in parts:
        rows += [first, last - first, items, at]
        at += -(-(1 + items) // LINE) * LINE
    marks = np.zeros(at + LINE, np.int64)
    start = -marks.ctypes.data % (8 * LINE) // 8
    return np.array(rows, np.int64), marks[start : start + at]


@compiled(INTEGER(INTEGER, FLAGS, FLAGS, INTEGER, INTEGER, INTEGER), allocates=False)
def run_sections(table: Any, sections: Any, marks: Any, number: Any, thread: Any, polls: Any) -> Any:
    """Take part in the run of this ``number``, from 1, in order; returns 0 if an operation has ended it.

    ``thread``: the number of the calling thread, which prefers the item of this number, so that the results of one section are
    in the cache of its processor in the next. Thread 0 returns at the end of the run; others leave if they have waited for
    ``polls`` iterations.
    """
    for k in range(0, len(sections), SECTION):
        first, count, items, at = sections[k], sections[k + 1], sections[k + 2], sections[k + 3]
        size = count // items
        for i in range(items):
            item = (thread + i) % items
            if value_at(marks, at + 1 + item) == number - 1 and replace_at(marks, at + 1 + item, number - 1, number):
                # After a failure, threads only complete the marks.
                if value_at(marks, FAILED) != number and run(table + 16 * (first + item * size), size) != size:
                    replace_at(marks, FAILED, value_at(marks, FAILED), number)
                add_at(marks, at, 1)
        waited = 0
        while value_at(marks, at) < number * items:
            pause()
            waited += 1
            if waited > polls:
                if thread:
                    return 1
                yield_processor()
    return value_at(marks, FAILED) != number
