"""CIFAR-10 and CIFAR-100: colour photographs of 32 x 32 pixels, in their binary version, which needs no pickle."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, ClassVar, Literal, cast, final

import numpy as np

from passus.backend import Array
from passus.datasets.cifar_names import COARSE, FINE, TEN
from passus.datasets.download import get_file
from passus.datasets.pictures import PIXELS, PictureDataset, check_classes
from passus.errors import ArgumentError, DataError
from passus.transforms import Transform
from passus.unpacking import BROKEN, Unfolding

__all__ = ["CIFAR10", "CIFAR100", "CifarDataset"]

SHAPE = (3, 32, 32)


class CifarDataset(PictureDataset):
    """50,000 photographs to train with and 10,000 to test, from one archive.

    ``data``: bytes (N, 3, 32, 32); ``label``: integers (N,). Without a transform of yours, examples are float32 in
    [0, 1] of shape (3, 32, 32). ``url``: the address of a mirror's archive; ``folder``: where the archive is, instead
    of the cache folder. Nothing is downloaded if it is there, and nothing is unpacked to disk.

    Raises `DataError` for an archive that cannot be downloaded or is broken.
    """

    url: ClassVar[str]
    checksum: ClassVar[str]
    members: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]]
    """The files in the archive for training, then those for tests."""
    label_bytes: ClassVar[int] = 1
    """How many bytes stand in front of each picture."""
    label_byte = 0
    """Which of them is the label."""

    def __init__(
        self,
        train: bool = True,
        transform: Transform | None = PIXELS,
        target_transform: Transform | None = None,
        *,
        url: str | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        name = self.url.rpartition("/")[2]
        self._path = get_file(url or self.url, name, checksum=self.checksum, folder=folder)
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        records = _records(self._path, self.members[0 if self.train else 1], self.label_bytes)
        label = check_classes(self._path, records[:, self.label_byte], len(self.classes))
        self.data, self.label = records[:, self.label_bytes :].reshape(-1, *SHAPE), label


@final
class CIFAR10(CifarDataset):
    """Ten classes (Krizhevsky, 2009); see `CifarDataset` for the arguments and the arrays."""

    url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    checksum = "c32a1d4ab5d03f1284b67883e8d87530"
    members = (
        tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)),
        ("cifar-10-batches-bin/test_batch.bin",),
    )
    classes = TEN

    @classmethod
    def labels(cls) -> dict[int, str]:
        """The name of each class."""
        return dict(enumerate(cls.classes))


@final
class CIFAR100(CifarDataset):
    """100 fine or 20 coarse classes (Krizhevsky, 2009); see `CifarDataset` for the other arguments and the arrays.

    Raises `ArgumentError` if ``label_type`` is neither "fine" nor "coarse".
    """

    url = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    checksum = "03b5dce01913d631647c71ecec9e9cb8"
    members = (("cifar-100-binary/train.bin",), ("cifar-100-binary/test.bin",))
    label_bytes = 2

    def __init__(
        self,
        train: bool = True,
        transform: Transform | None = PIXELS,
        target_transform: Transform | None = None,
        label_type: Literal["fine", "coarse"] = "fine",
        *,
        url: str | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self.classes = tuple(self.labels(label_type).values())
        self.label_byte = ("coarse", "fine").index(label_type)
        super().__init__(train, transform, target_transform, url=url, folder=folder)

    @staticmethod
    def labels(label_type: Literal["fine", "coarse"] = "fine") -> dict[int, str]:
        """The name of each class."""
        if label_type not in ("fine", "coarse"):
            raise ArgumentError(f"CIFAR100: label_type is {label_type!r}; it must be 'fine' or 'coarse'")
        return dict(enumerate(FINE if label_type == "fine" else COARSE))


def _records(path: Path, members: tuple[str, ...], label_bytes: int) -> Array:
    """The files of the archive one after the other, each record a row: its labels, then the bytes of its picture."""
    try:
        found = _members(path, members)
    except BROKEN as error:
        raise _broken(path, f"it cannot be unpacked ({error})") from error
    length = label_bytes + math.prod(SHAPE)
    for name in members:
        if name not in found:
            raise _broken(path, f"it has no file {name}")
        if not found[name] or len(found[name]) % length:
            raise _broken(path, f"its file {name} has {len(found[name])} bytes, which are no records of {length}")
    return np.frombuffer(b"".join(found[name] for name in members), np.uint8).reshape(-1, length)


def _members(path: Path, members: tuple[str, ...]) -> dict[str, bytes]:
    """Those files of the archive, by their names. Raises one of `BROKEN`."""
    import tarfile  # Not at the top: slow to import, and for few to use.

    found: dict[str, bytes] = {}
    try:
        with Unfolding(path) as content, tarfile.open(fileobj=cast(Any, content), mode="r|") as archive:
            for member in archive:
                if member.issparse():
                    raise ValueError(f"its member {member.name[:80]} is sparse: a few bytes that stand for many")
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None and member.name in members:
                    found[member.name] = file.read()
            while content.read(1 << 20):  # The checksum stands at the very end.
                pass
    except tarfile.TarError as error:
        raise ValueError(str(error)) from error
    return found


def _broken(path: Path, what: str) -> DataError:
    return DataError(f"{path}: {what}; delete the file to download it again")
