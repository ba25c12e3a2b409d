"""Rows added at an index.

Threads share columns, not rows: each number is the sum of its values in their order, for any number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.backend.numpy import existing_rows
from passus.kernels.native.buffers import LINE
from passus.kernels.native.compiling import INTEGER, READ, compiled
from passus.kernels.scatter import add_frequent
from passus.kernels.threads import split

__all__ = ["ROWS", "scatter_add"]

PIECE = 1 << 16
"""Numbers, written or added, that are worth a thread."""

ROWS = numba.types.Array(numba.intp, 1, "C", readonly=True)
"""Indices of rows, read-only."""


def scatter_add(shape: tuple[int, ...], index: Array, values: Array) -> Array:
    rows = existing_rows(index, shape[0])
    total = np.empty((shape[0], math.prod(shape[1:])), np.float32)
    added = np.ascontiguousarray(values).reshape(-1)

    def work(start: int, stop: int) -> None:
        _scatter(rows, added, total, start * LINE, min(stop * LINE, total.shape[1]))

    numbers_in_a_line = LINE * max(1, len(total) + len(rows))
    split(work, -(-total.shape[1] // LINE), -(-PIECE // numbers_in_a_line))
    total = total.reshape(shape)
    add_frequent(total, rows, values)
    return total


@compiled(numba.void(ROWS, READ, numba.float32[:, ::1], INTEGER, INTEGER))
def _scatter(rows: Any, values: Any, total: Any, start: Any, stop: Any) -> None:
    """Columns from ``start`` to ``stop`` of the sums."""
    D = total.shape[1]
    total[:, start:stop] = 0
    for i in range(len(rows)):
        row, value = total[rows[i], start:stop], values[i * D + start : i * D + stop]
        for d in range(len(row)):
            row[d] += value[d]
