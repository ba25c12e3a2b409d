"""Three spiral arms in the plane: a small dataset that is not linearly separable."""

from __future__ import annotations

import numpy as np

from passus.backend import Array
from passus.datasets.base import Dataset

__all__ = ["Spiral", "get_spiral"]

CLASSES, POINTS = 3, 100


def get_spiral(train: bool = True) -> tuple[Array, Array]:
    """Points x of shape (300, 2) in [-1, 1] and their classes t of shape (300,) in {0, 1, 2}, shuffled.

    Each call returns the points that DeZero draws: ``r = i / 100``, ``angle = 4 c + 4 r + 0.2 n``.

    >>> x, t = get_spiral()
    >>> x.shape, x.dtype, np.bincount(t)
    ((300, 2), dtype('float32'), array([100, 100, 100]))
    """
    # NumPy's legacy generator reproduces DeZero's points; a separate instance leaves the global state unchanged.
    rng = np.random.RandomState(1984 if train else 2020)
    r = np.tile(np.arange(POINTS) / POINTS, CLASSES)
    t = np.repeat(np.arange(CLASSES), POINTS)
    angle = t * 4.0 + 4.0 * r + rng.randn(CLASSES * POINTS) * 0.2
    x = np.stack([r * np.sin(angle), r * np.cos(angle)], axis=1).astype(np.float32)
    order = rng.permutation(len(t))
    return x[order], t[order]


class Spiral(Dataset):
    """`get_spiral` as a dataset.

    >>> len(Spiral()), Spiral(train=False)[0][0].shape
    (300, (2,))
    """

    def prepare(self) -> None:
        self.data, self.label = get_spiral(self.train)
