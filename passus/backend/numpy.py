"""NumPy, the array library that is always there."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from passus.backend.base import Array

__all__ = ["NumPy"]


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
        else:
            np.add.at(total, index, values)
        return total

    def add_at(self, x: Array, index: Any, values: Any) -> Array:
        x[index] += values
        return x


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
