"""Handwritten digits from scikit-learn; no download is needed."""

from __future__ import annotations

import numpy as np

from passus.datasets.base import Dataset, every_fifth
from passus.optional import import_optional
from passus.transforms import Transform

__all__ = ["Digits"]


class Digits(Dataset):
    """1,797 real digits (UCI, 1998) in [0, 1], of shape (64,), or (1, 8, 8) with ``flat=False``.

    Every fifth sample of each digit is a test sample: 1,442 for training, 355 for testing.

    Raises `DependencyError` if scikit-learn is not installed.

    >>> x, t = Digits()[0]
    >>> x.shape, x.dtype, t
    ((64,), dtype('float32'), np.int64(0))
    >>> len(Digits()), len(Digits(train=False))
    (1442, 355)
    """

    def __init__(
        self,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        *,
        flat: bool = True,
    ) -> None:
        self.flat = flat
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        digits = import_optional("sklearn.datasets", "scikit-learn", "datasets.Digits").load_digits()
        selected = every_fifth(digits.target) != self.train
        x = (digits.data[selected] / 16.0).astype(np.float32)
        self.data = x if self.flat else x.reshape(-1, 1, 8, 8)
        self.label = digits.target[selected].astype(np.int64)

    @staticmethod
    def labels() -> dict[int, str]:
        """The class names by label."""
        return dict(enumerate("0123456789"))
