"""Compressed files and archives of arrays, read within limits that the size of the file sets.

Nothing here is unpickled or evaluated. What is broken raises one of `BROKEN`; who reads a file says which file it was.
"""

from __future__ import annotations

import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import numpy as np

__all__ = ["BROKEN", "Unfolding", "gunzipped", "member", "read_arrays", "room", "zip_archive"]

BROKEN = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    MemoryError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
)
"""What reading a broken file can end with."""

EXPANSION, ALWAYS = 100, 1 << 24
"""A file may unfold to so many times its size, and a small one to so many bytes; one that claims more is refused."""

HEADER = re.compile(
    r"\{'descr': *'([<>|=]?[a-zA-Z][0-9]{0,6}(?:\[[0-9a-zA-Z]{1,8}\])?)', *'fortran_order': *(True|False), "
    r"*'shape': *\(((?:[0-9]{1,19}L?, ?)*(?:[0-9]{1,19}L?)?)\),? *\} *\n?"
)
"""The text before the numbers of an array in the format npy."""

CHUNK = 1 << 20
LONGEST_HEADER = 1 << 16
MAX_AXES = 64
"""Maximum number of axes of a NumPy array."""


def room(size: int) -> int:
    """How many bytes a file of ``size`` bytes may unfold to.

    >>> room(10), room(10**9)
    (16777216, 100000000000)
    """
    return max(ALWAYS, EXPANSION * size)


class Unfolding:
    """The content of a gzip file, to be read from front to end, and no more of it than the limits allow.

    Raises one of `BROKEN`.
    """

    def __init__(self, source: Path | bytes) -> None:
        import gzip  # Not at the top: slow to import, and for few to use.

        self._file = gzip.open(source if isinstance(source, Path) else BytesIO(source))  # noqa: SIM115 - closed on exit
        self._left = room(source.stat().st_size if isinstance(source, Path) else len(source))

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or all that are left."""
        pieces = []
        # In pieces, for Python sets aside memory for all that is asked for.
        while size and (piece := self._file.read(CHUNK if size < 0 else min(size, CHUNK))):
            pieces.append(piece)
            self._left -= len(piece)
            size -= len(piece) if size > 0 else 0
            if self._left < 0:
                raise ValueError(f"it unfolds to more than {EXPANSION} times its size")
        return b"".join(pieces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def gunzipped(source: Path | bytes) -> bytes:
    """What was compressed with gzip, in a file or in memory. Raises one of `BROKEN`.

    >>> import gzip
    >>> gunzipped(gzip.compress(b"text"))
    b'text'
    """
    with Unfolding(source) as content:
        return content.read()


class _Within:
    """A file of which nobody asks for more than there is: Python would set aside memory for it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        left = max(self._size - self._file.tell(), 0)
        return self._file.read(left if size < 0 else min(size, left))


@contextmanager
def zip_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip archive, open for reading, which takes no more memory than its size, whatever it claims.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "arrays.npz"
    >>> np.savez(path, x=np.arange(3))
    >>> with zip_archive(path) as archive:
    ...     archive.namelist()
    ['x.npy']
    """
    with path.open("rb") as file, zipfile.ZipFile(cast(Any, _Within(file))) as archive:
        yield archive


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members of a zip archive of ``size`` bytes by their names, all of which can be read within the limits.

    Raises `ValueError` for members that are encrypted, compressed in an unusual way, named twice, or too large together.
    """
    found = {info.filename: info for info in archive.infolist()}
    if len(found) < len(archive.infolist()):
        raise ValueError("two members of the archive have one name")
    for name, info in found.items():
        if info.flag_bits & 1:
            raise ValueError(f"its member {name[:80]} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"its member {name[:80]} is compressed in a way that is not used for arrays")
        if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            raise ValueError(f"its member {name[:80]} has two sizes")
    claimed = sum(info.file_size for info in found.values())
    if claimed > room(size):
        raise ValueError(f"it claims to unfold to {claimed} bytes, more than {EXPANSION} times its size")
    return found


def member(path: Path, name: str) -> bytes:
    """One member of a zip archive. Raises one of `BROKEN`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "arrays.npz"
    >>> np.savez(path, x=np.arange(3))
    >>> member(path, "x.npy")[1:6]
    b'NUMPY'
    """
    with zip_archive(path) as archive:
        info = _members(archive, path.stat().st_size)[name]
        with archive.open(info) as file:  # In pieces: it may unfold to more than it claims.
            return b"".join(iter(lambda: file.read(CHUNK), b""))


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arrays of an archive in the format npz by the names of its members. Raises one of `BROKEN`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "arrays.npz"
    >>> np.savez(path, x=np.arange(3))
    >>> read_arrays(path)
    {'x': array([0, 1, 2])}
    """
    with zip_archive(Path(path)) as archive:
        found = _members(archive, Path(path).stat().st_size)
        return {name.removesuffix(".npy"): _array(archive, info) for name, info in found.items()}


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
    with cast(zipfile.ZipExtFile, archive.open(info)) as file:
        dtype, order, shape = _header(file)
        count = math.prod(shape)
        left = info.file_size - file.tell()
        if count * dtype.itemsize != left or (count and not dtype.itemsize):
            raise ValueError(f"{info.filename[:80]} has {left} bytes for {count} numbers of {dtype}")
        array = np.empty(count, dtype)
        content: Any = array.view(np.uint8)
        for start in range(0, left, CHUNK):  # The last one compares the checksum.
            if file.readinto(content[start : start + CHUNK]) != len(content[start : start + CHUNK]):
                raise EOFError(f"{info.filename[:80]} ends early")
    # What was written where bytes have another order is turned.
    return array.reshape(shape, order=order).astype(dtype.newbyteorder("="), copy=False)


def _header(file: zipfile.ZipExtFile) -> tuple[np.dtype[Any], Any, tuple[int, ...]]:
    """The dtype, the order of axes in memory and the shape of an array in the format npy, in any of its versions."""
    magic = file.read(8)
    widths = {1: "<H", 2: "<I", 3: "<I"}
    if len(magic) < 8 or magic[:6] != b"\x93NUMPY" or magic[6] not in widths:
        raise ValueError(f"it holds something else than arrays, which begins with {magic!r}")
    width = widths[magic[6]]
    (length,) = struct.unpack(width, file.read(struct.calcsize(width)))
    header = file.read(min(length, LONGEST_HEADER)).decode("latin-1")
    match = HEADER.fullmatch(header)
    if match is None:
        raise ValueError(f"an array is described by {header[:80]!r}, which is not one of numbers")
    dtype: np.dtype[Any] = np.dtype(match[1])
    shape = tuple(int(n.strip().removesuffix("L")) for n in match[3].split(",") if n.strip())
    if dtype.hasobject or len(shape) > MAX_AXES:
        raise ValueError(f"an array is described by {header[:80]!r}; it would have to be unpickled, or cannot be")
    return dtype, "F" if match[2] == "True" else "C", shape
