"""NumPy, the default array library."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from passus.backend.base import Array

__all__ = ["NumPy"]

LONG_SUM = 1 << 10
"""Maximum number of float32 values that are added sequentially, as in `passus.kernels.sums`."""


class NumPy:
    """Arrays in main memory."""

    name: ClassVar[str] = "numpy"
    xp: Any = np
    intp: Any = np.dtype(np.intp)

    def is_array(self, x: object) -> bool:
        return isinstance(x, np.ndarray)

    def asarray(self, x: Any) -> Array:
        return np.asarray(x)

    def to_numpy(self, x: Array) -> Array:
        return x

    def has_values(self, x: Array) -> bool:
        return True

    def wide(self, dtype: Any) -> Any:
        return np.float64 if dtype == np.float32 else dtype

    def chosen(self, condition: Any, if_true: Callable[[], Any], if_false: Callable[[], Any]) -> Any:
        return if_true() if condition else if_false()

    def random_bits(self, rng: np.random.Generator, shape: tuple[int, ...], like: Array | None = None) -> Array:
        if like is None:
            return rng.integers(0, 1 << 32, shape, np.uint32)
        count = math.prod(shape)
        # 64-bit words are drawn fastest.
        words = rng.integers(0, 2**64 - 1, count // 2 + count % 2, np.uint64, endpoint=True)
        axes = sorted(range(like.ndim), key=lambda axis: -abs(like.strides[axis]))
        drawn = words.view(np.uint32)[:count].reshape([shape[axis] for axis in axes])
        return drawn.transpose(sorted(range(like.ndim), key=axes.__getitem__))

    def scatter_add(self, shape: tuple[int, ...], index: Any, values: Array) -> Array:
        total = np.zeros(shape, values.dtype)
        if _never_repeats(index):
            total[index] = values
        elif isinstance(index, np.ndarray) and index.dtype.kind in "iu" and index.size:
            _add_rows(total, index.ravel(), values.reshape(index.size, *shape[1:]))
        elif values.dtype == np.float32 and values.size > LONG_SUM:
            # Adding many float32 values sequentially would lose the last digits.
            upcast = np.zeros(shape, np.float64)
            np.add.at(upcast, index, values.astype(np.float64))
            total[...] = upcast
        else:
            np.add.at(total, index, values)
        return total

    def maximum_at(self, x: Array, index: Array, values: Array) -> Array:
        np.maximum.at(x, index, values)
        return x

    def add_at(self, x: Array, index: Any, values: Any) -> Array:
        x[index] += values
        return x


def _add_rows(total: Array, index: Array, values: Array) -> None:
    """Add rows at repeated indices: rows are sorted by index and summed by `reduceat`, because np.add.at is slow."""
    index = existing_rows(index, len(total))
    order = np.argsort(index, kind="stable")
    index = index[order]
    starts = np.flatnonzero(np.diff(index, prepend=-1))
    total[index[starts]] = np.add.reduceat(values[order], starts, axis=0)


def existing_rows(index: Array, count: int) -> Array:
    """Flat row indices from 0 on, with negative indices resolved.

    Raises IndexError for an index out of range, as NumPy does.
    """
    rows = index.ravel()
    if rows.size and (rows.min() < -count or rows.max() >= count):
        raise IndexError(f"index {rows.min()} or {rows.max()} is out of bounds for axis 0 with size {count}")
    rows = rows.astype(np.intp)
    return np.where(rows < 0, rows + count, rows)


def _never_repeats(index: Any) -> bool:
    """Whether an index selects each element at most once, so that assignment can replace addition."""
    keys = index if isinstance(index, tuple) else (index,)
    return all(
        key is None
        or key is Ellipsis
        or isinstance(key, (slice, int, np.integer))
        or (isinstance(key, np.ndarray) and key.dtype == np.bool_)
        for key in keys
    )
