"""NumPy, the array library that is always there."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from passus.backend.base import Array

__all__ = ["NumPy"]

LONG = 1 << 10
"""How many float32 numbers are added one after the other at most, as in `passus.kernels.sums`."""


class NumPy:
    """Arrays in main memory."""

    name: ClassVar[str] = "numpy"
    xp: Any = np

    def is_array(self, x: object) -> bool:
        return isinstance(x, np.ndarray)

    def asarray(self, x: Any) -> Array:
        return np.asarray(x)

    def to_numpy(self, x: Array) -> Array:
        return x

    def scatter_add(self, shape: tuple[int, ...], index: Any, values: Array) -> Array:
        total = np.zeros(shape, values.dtype)
        if _never_repeats(index):
            total[index] = values
        elif isinstance(index, np.ndarray) and index.dtype.kind in "iu" and index.size:
            _add_rows(total, index.ravel(), values.reshape(index.size, *shape[1:]))
        elif values.dtype == np.float32 and values.size > LONG:
            wide = np.zeros(
                shape, np.float64
            )  # One after the other, many float32 numbers would lose their last digits.
            np.add.at(wide, index, values.astype(np.float64))
            total[...] = wide
        else:
            np.add.at(total, index, values)
        return total

    def add_at(self, x: Array, index: Any, values: Any) -> Array:
        x[index] += values
        return x


def _add_rows(total: Array, index: Array, values: Array) -> None:
    """Add rows where an index may repeat: sorted, equal ones are neighbours and summed at once (np.add.at is slow)."""
    index = existing_rows(index, len(total))
    order = np.argsort(index, kind="stable")
    index = index[order]
    starts = np.flatnonzero(np.diff(index, prepend=-1))
    total[index[starts]] = np.add.reduceat(values[order], starts, axis=0)


def existing_rows(index: Array, count: int) -> Array:
    """The rows that an index of integers of any size names, flat, from 0 on.

    Raises IndexError for one that does not exist, as NumPy does.
    """
    rows = index.ravel()
    if rows.size and (rows.min() < -count or rows.max() >= count):
        raise IndexError(f"index {rows.min()} or {rows.max()} is out of bounds for axis 0 with size {count}")
    rows = rows.astype(np.intp)
    return np.where(rows < 0, rows + count, rows)


def _never_repeats(index: Any) -> bool:
    """Whether an index names each element at most once, so that assignment does what adding would."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None
        or part is Ellipsis
        or isinstance(part, (slice, int, np.integer))
        or (isinstance(part, np.ndarray) and part.dtype == np.bool_)
        for part in parts
    )
