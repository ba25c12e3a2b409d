"""CIFAR-10 and CIFAR-100: color photographs of 32 x 32 pixels, read from the binary version, which needs no pickle."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, ClassVar, Literal, cast, final

import numpy as np

from passus.backend import Array
from passus.datasets.cifar_names import CIFAR10_CLASSES, CIFAR100_COARSE_CLASSES, CIFAR100_FINE_CLASSES
from passus.datasets.download import damaged, get_file
from passus.datasets.pictures import PIXELS, PictureDataset, check_classes
from passus.errors import ArgumentError
from passus.transforms import Transform
from passus.unpacking import BROKEN, LimitedGzip

__all__ = ["CIFAR10", "CIFAR100", "CifarDataset"]

SHAPE = (3, 32, 32)


class CifarDataset(PictureDataset):
    """50,000 photographs for training and 10,000 for testing, from one archive.

    ``data``: bytes (N, 3, 32, 32); ``label``: integers (N,). By default, examples are float32 in [0, 1] of shape
    (3, 32, 32). ``url``: the address of the archive on a mirror; ``folder``: the folder of the archive, by default the
    cache folder. An existing archive is not downloaded again, and nothing is unpacked to disk.

    Raises `DataError` for an archive that cannot be downloaded or is damaged.
    """

    url: ClassVar[str]
    checksum: ClassVar[str]
    members: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]]
    """The training files in the archive, then the test files."""
    label_bytes: ClassVar[int] = 1
    """Number of label bytes before each picture."""
    label_byte = 0
    """Index of the byte that holds the label."""

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
    classes = CIFAR10_CLASSES


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
        return dict(enumerate(CIFAR100_FINE_CLASSES if label_type == "fine" else CIFAR100_COARSE_CLASSES))


def _records(path: Path, members: tuple[str, ...], label_bytes: int) -> Array:
    """The concatenated records of the archive, one a row: the label bytes, then the bytes of the picture."""
    try:
        contents = _members(path, members)
    except BROKEN as error:
        raise damaged(path, f"cannot be unpacked ({error})") from error
    length = label_bytes + math.prod(SHAPE)
    for name in members:
        if name not in contents:
            raise damaged(path, f"has no member {name}")
        if not contents[name] or len(contents[name]) % length:
            raise damaged(path, f"member {name} has {len(contents[name])} bytes, not a multiple of {length}")
    return np.frombuffer(b"".join(contents[name] for name in members), np.uint8).reshape(-1, length)


def _members(path: Path, members: tuple[str, ...]) -> dict[str, bytes]:
    """The content of these members of the archive, by name. Raises one of `BROKEN`."""
    import tarfile  # Imported here because it is slow to import and rarely needed.

    contents: dict[str, bytes] = {}
    try:
        with LimitedGzip(path) as content, tarfile.open(fileobj=cast(Any, content), mode="r|") as archive:
            for member in archive:
                if member.issparse():
                    raise ValueError(f"member {member.name[:80]} is sparse and could expand without limit")
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None and member.name in members:
                    contents[member.name] = file.read()
            while content.read(1 << 20):  # Read to the end, where the checksum is.
                pass
    except tarfile.TarError as error:
        raise ValueError(str(error)) from error
    return contents
