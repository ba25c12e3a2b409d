"""IDX, the file format of MNIST: a magic number, the lengths of the axes, then the bytes of the array."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from passus.backend import Array
from passus.datasets.download import damaged
from passus.errors import DataError
from passus.files import checked_file
from passus.unpacking import BROKEN, gunzip

__all__ = ["read_idx"]

UNSIGNED_BYTES = 8
"""The third byte of the magic number; the fourth is the number of axes."""


def read_idx(path: Path, ndim: int) -> Array:
    """The array of uint8 with ``ndim`` axes in a gzipped IDX file.

    Raises `DataError` for a file that has another format or length than its header says, or unpacks to more than 100 times
    its size.

    >>> import gzip, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "idx.gz"
    >>> _ = path.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 2, 5, 7])))
    >>> read_idx(path, 1)
    array([5, 7], dtype=uint8)
    """
    content = _unpacked(path)
    start = 4 + 4 * ndim
    if len(content) < start or content[:4] != bytes([0, 0, UNSIGNED_BYTES, ndim]):
        raise damaged(path, f"begins with {content[:4].hex(' ')}, not with the header of an IDX file with {ndim} axes")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", ndim, offset=4))
    if len(content) - start != math.prod(shape):
        raise damaged(path, f"has {len(content) - start} bytes for an array of shape {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _unpacked(path: Path) -> bytes:
    checked_file(path, DataError, DataError)
    try:
        return gunzip(path)
    except BROKEN as error:
        raise damaged(path, f"cannot be unpacked ({error})") from error
