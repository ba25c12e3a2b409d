"""Examples in memory as batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from passus.backend import Array

__all__ = ["Batches"]


class Batches:
    """Batches of arrays that have the same number of rows; None is passed through.

    ``rng``: the generator that shuffles the rows in each epoch; None for their given order.

    >>> [len(x) for x, _ in Batches((np.zeros((5, 2)), None), 2)]
    [2, 2, 1]
    """

    def __init__(
        self, arrays: tuple[Array | None, ...], batch_size: int, rng: np.random.Generator | None = None
    ) -> None:
        self.arrays = arrays
        self.batch_size = batch_size
        self.rng = rng
        self.size = next(len(x) for x in arrays if x is not None)

    def __len__(self) -> int:
        return -(-self.size // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Array | None, ...]]:
        order = None if self.rng is None else self.rng.permutation(self.size)
        for start in range(0, self.size, self.batch_size):
            rows = slice(start, start + self.batch_size)
            if order is None:
                yield tuple([None if x is None else x[rows] for x in self.arrays])
            else:
                yield tuple([None if x is None else x.take(order[rows], axis=0) for x in self.arrays])
