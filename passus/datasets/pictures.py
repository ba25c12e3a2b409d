"""Datasets of small pictures: what MNIST and CIFAR have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.datasets.base import Dataset
from passus.errors import DataError
from passus.optional import import_optional
from passus.random import RNG, get_rng
from passus.transforms import Compose, Flatten, Normalize

__all__ = ["PIXELS", "ROWS", "PictureDataset", "check_classes", "mosaic"]

PIXELS = Normalize(0.0, 255.0)
"""Bytes to float32 in [0, 1]."""
ROWS = Compose([Flatten(), PIXELS])
"""Bytes to one row of float32 in [0, 1]."""


class PictureDataset(Dataset):
    """Pictures as bytes, ``data`` of shape (N, C, H, W); they become floating-point numbers one batch at a time."""

    classes: tuple[str, ...]
    """The names of the classes, in the order of their numbers."""

    def show(self, row: int = 10, col: int = 10, rng: RNG = None) -> None:
        """Draw pictures chosen at random, ``row`` by ``col`` of them.

        Raises `DependencyError` if matplotlib is not installed.
        """
        plt = import_optional("matplotlib.pyplot", "matplotlib", f"{type(self).__name__}.show")
        plt.imshow(mosaic(self.data, row, col, rng), cmap="gray", interpolation="nearest")
        plt.axis("off")
        plt.show()


def mosaic(images: Array, row: int, col: int, rng: RNG = None) -> Array:
    """One picture (row * H, col * W), or with a last axis for colours, of pictures (N, C, H, W) chosen at random.

    >>> mosaic(np.zeros((5, 3, 8, 8), np.uint8), 2, 4).shape
    (16, 32, 3)
    """
    row, col = checked_count("mosaic", "row", row), checked_count("mosaic", "col", col)
    chosen = images[get_rng(rng).integers(len(images), size=row * col)]
    _, C, H, W = chosen.shape
    grid = chosen.reshape(row, col, C, H, W).transpose(0, 3, 1, 4, 2).reshape(row * H, col * W, C)
    return grid[..., 0] if C == 1 else grid


def check_classes(path: Any, label: Array, count: int) -> Array:
    """Labels as int64. Raises `DataError` if one of them is no class.

    >>> check_classes("t.gz", np.array([0, 9], np.uint8), 10)
    array([0, 9])
    """
    if len(label) and label.max() >= count:
        raise DataError(
            f"{path}: there is a label {label.max()}, and only {count} classes; delete the file to download it again"
        )
    return label.astype(np.int64)
