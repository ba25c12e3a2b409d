"""MNIST, handwritten digits of 28 x 28 pixels, and Fashion-MNIST, pieces of clothing in the same format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, final

from passus.datasets.download import cache_folder, get_file
from passus.datasets.idx import read_idx
from passus.datasets.pictures import ROWS, PictureDataset, check_classes
from passus.errors import DataError
from passus.transforms import Transform

__all__ = ["MNIST", "FashionMNIST", "IdxDataset"]


class IdxDataset(PictureDataset):
    """60,000 pictures for training and 10,000 for testing, from four IDX files.

    ``data``: bytes (N, 1, 28, 28); ``label``: integers (N,). By default, examples are float32 in [0, 1] of shape
    (784,). ``url``: the address of a mirror, to which the file names are appended; ``folder``: the folder of the files,
    by default one in the cache folder. Existing files are not downloaded again.

    Raises `DataError` for files that cannot be downloaded, are damaged, or do not match each other.
    """

    name: ClassVar[str]
    url: ClassVar[str]
    checksums: ClassVar[tuple[str, str, str, str]]
    """Of the training pictures and labels, then of the test pictures and labels."""

    def __init__(
        self,
        train: bool = True,
        transform: Transform | None = ROWS,
        target_transform: Transform | None = None,
        *,
        url: str | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self._source = (url or self.url).rstrip("/")
        self._folder = cache_folder() / self.name if folder is None else Path(folder)
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        split, checksums = ("train", self.checksums[:2]) if self.train else ("t10k", self.checksums[2:])
        images = self._file(f"{split}-images-idx3-ubyte.gz", checksums[0])
        labels = self._file(f"{split}-labels-idx1-ubyte.gz", checksums[1])
        data, label = read_idx(images, 3), read_idx(labels, 1)
        if len(data) != len(label):
            raise DataError(
                f"{images} has {len(data)} pictures, and {labels.name} {len(label)} labels; "
                "delete both files to download them again"
            )
        self.data, self.label = data[:, None], check_classes(labels, label, len(self.classes))

    def _file(self, name: str, checksum: str) -> Path:
        return get_file(f"{self._source}/{name}", checksum=checksum, folder=self._folder)


@final
class MNIST(IdxDataset):
    """Handwritten digits (LeCun, Cortes and Burges, 1998); see `IdxDataset` for the arguments and the arrays."""

    name = "mnist"
    url = "https://ossci-datasets.s3.amazonaws.com/mnist"
    checksums = (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    )
    classes = tuple("0123456789")


@final
class FashionMNIST(IdxDataset):
    """Clothing (Xiao, Rasul and Vollgraf, 2017); see `IdxDataset` for the arguments and the arrays."""

    name = "fashion-mnist"
    url = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
    checksums = (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    )
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
