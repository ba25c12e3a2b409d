"""Sequences for next-step prediction: each label is the next example."""

from __future__ import annotations

import numpy as np

from passus.datasets.base import Dataset
from passus.random import RNG, get_rng
from passus.transforms import Transform

__all__ = ["SinCurve"]

STEPS = 1000


class SinCurve(Dataset):
    """One period of a sine with uniform noise in [-0.05, 0.05); for testing, of a cosine without noise; (999, 1) each.

    >>> x, t = SinCurve(train=False)[0]
    >>> x, t.dtype
    (array([1.], dtype=float32), dtype('float32'))
    """

    def __init__(
        self,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        *,
        rng: RNG = None,
    ) -> None:
        self._rng = get_rng(rng)
        super().__init__(train, transform, target_transform)
        del self._rng  # Used once; a loader must not treat it as a source of randomness.

    def prepare(self) -> None:
        x = np.linspace(0.0, 2 * np.pi, STEPS)
        y = np.sin(x) + self._rng.uniform(-0.05, 0.05, STEPS) if self.train else np.cos(x)
        curve = y.astype(np.float32)[:, np.newaxis]
        self.data, self.label = curve[:-1], curve[1:]
