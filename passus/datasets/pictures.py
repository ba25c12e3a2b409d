"""Datasets of small pictures: the base class of MNIST and CIFAR."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.datasets.base import Dataset
from passus.datasets.download import damaged
from passus.optional import import_optional
from passus.random import RNG, get_rng
from passus.transforms import Compose, Flatten, Normalize

__all__ = ["PIXELS", "ROWS", "PictureDataset", "check_classes", "mosaic"]

PIXELS = Normalize(0.0, 255.0)
"""Bytes to float32 in [0, 1]."""
ROWS = Compose([Flatten(), PIXELS])
"""Bytes to a flat row of float32 in [0, 1]."""


class PictureDataset(Dataset):
    """Pictures as bytes, ``data`` of shape (N, C, H, W); each batch is converted to floating-point numbers."""

    classes: tuple[str, ...]
    """The class names, in label order."""

    @classmethod
    def labels(cls) -> dict[int, str]:
        """The class names by label."""
        return dict(enumerate(cls.classes))

    def show(self, row: int = 10, col: int = 10, rng: RNG = None) -> None:
        """Draw a grid of ``row`` by ``col`` pictures chosen at random.

        Raises `DependencyError` if matplotlib is not installed.
        """
        plt = import_optional("matplotlib.pyplot", "matplotlib", f"{type(self).__name__}.show")
        plt.imshow(mosaic(self.data, row, col, rng), cmap="gray", interpolation="nearest")
        plt.axis("off")
        plt.show()


def mosaic(images: Array, row: int, col: int, rng: RNG = None) -> Array:
    """A grid (row * H, col * W) of pictures (N, C, H, W) chosen at random, with a last axis C if C > 1.

    >>> mosaic(np.zeros((5, 3, 8, 8), np.uint8), 2, 4).shape
    (16, 32, 3)
    """
    row, col = checked_count("mosaic", "row", row), checked_count("mosaic", "col", col)
    chosen = images[get_rng(rng).integers(len(images), size=row * col)]
    _, C, H, W = chosen.shape
    grid = chosen.reshape(row, col, C, H, W).transpose(0, 3, 1, 4, 2).reshape(row * H, col * W, C)
    return grid[..., 0] if C == 1 else grid


def check_classes(path: Any, label: Array, count: int) -> Array:
    """Labels as int64. Raises `DataError` if a label is not below ``count``.

    >>> check_classes("t.gz", np.array([0, 9], np.uint8), 10)
    array([0, 9])
    """
    if len(label) and label.max() >= count:
        raise damaged(path, f"label {label.max()} is out of range for {count} classes")
    return label.astype(np.int64)
