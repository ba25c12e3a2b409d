"""Reading compressed files and archives of arrays within limits given by the size of the file.

Nothing is unpickled or evaluated. Damaged content raises one of `BROKEN`; callers add the name of the file.
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

__all__ = ["BROKEN", "LimitedGzip", "gunzip", "max_unpacked_size", "member", "read_npz_arrays", "zip_archive"]

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
"""The errors that reading a damaged file can raise."""

EXPANSION, MIN_LIMIT = 100, 1 << 24
"""A file may unpack to ``EXPANSION`` times its size, or to ``MIN_LIMIT`` bytes if it is small; larger ones are refused."""

HEADER = re.compile(
    r"\{'descr': *'([<>|=]?[a-zA-Z][0-9]{0,6}(?:\[[0-9a-zA-Z]{1,8}\])?)', *'fortran_order': *(True|False), "
    r"*'shape': *\(((?:[0-9]{1,19}L?, ?)*(?:[0-9]{1,19}L?)?)\),? *\} *\n?"
)
"""The header of an array in the npy format."""

CHUNK = 1 << 20
MAX_HEADER = 1 << 16
MAX_AXES = 64
"""Maximum number of axes of a NumPy array."""


def max_unpacked_size(size: int) -> int:
    """The number of bytes to which a file of ``size`` bytes may unpack.

    >>> max_unpacked_size(10), max_unpacked_size(10**9)
    (16777216, 100000000000)
    """
    return max(MIN_LIMIT, EXPANSION * size)


class LimitedGzip:
    """The content of a gzip file, read sequentially, up to the limit.

    Raises one of `BROKEN`.
    """

    def __init__(self, source: Path | bytes) -> None:
        import gzip  # Imported here because it is slow to import and rarely needed.

        self._file = gzip.open(source if isinstance(source, Path) else BytesIO(source))  # noqa: SIM115 - closed on exit
        self._left = max_unpacked_size(source.stat().st_size if isinstance(source, Path) else len(source))

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, or all remaining ones."""
        pieces = []
        # In pieces, because Python allocates memory for the requested size.
        while size and (piece := self._file.read(CHUNK if size < 0 else min(size, CHUNK))):
            pieces.append(piece)
            self._left -= len(piece)
            size -= len(piece) if size > 0 else 0
            if self._left < 0:
                raise ValueError(f"it unpacks to more than {EXPANSION} times its size")
        return b"".join(pieces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def gunzip(source: Path | bytes) -> bytes:
    """Decompress gzip data in a file or in memory. Raises one of `BROKEN`.

    >>> import gzip
    >>> gunzip(gzip.compress(b"text"))
    b'text'
    """
    with LimitedGzip(source) as content:
        return content.read()


class _BoundedFile:
    """A file that limits reads to its size, because Python allocates memory for the requested size."""

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
    """A zip archive, open for reading, whose directory cannot make Python allocate more memory than the file has bytes.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "arrays.npz"
    >>> np.savez(path, x=np.arange(3))
    >>> with zip_archive(path) as archive:
    ...     archive.namelist()
    ['x.npy']
    """
    with path.open("rb") as file, zipfile.ZipFile(cast(Any, _BoundedFile(file))) as archive:
        yield archive


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members of a zip archive of ``size`` bytes by name, verified to be within the limits.

    Raises `ValueError` for members that are encrypted, compressed by an unsupported method, duplicate, or too large in total.
    """
    members = {info.filename: info for info in archive.infolist()}
    if len(members) < len(archive.infolist()):
        raise ValueError("two members of the archive have the same name")
    for name, info in members.items():
        if info.flag_bits & 1:
            raise ValueError(f"its member {name[:80]} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"its member {name[:80]} is compressed by an unsupported method")
        if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            raise ValueError(f"its member {name[:80]} has inconsistent sizes")
    claimed = sum(info.file_size for info in members.values())
    if claimed > max_unpacked_size(size):
        raise ValueError(f"it claims to unpack to {claimed} bytes, more than {EXPANSION} times its size")
    return members


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
        with archive.open(info) as file:  # In pieces, because the declared size may be wrong.
            return b"".join(iter(lambda: file.read(CHUNK), b""))


def read_npz_arrays(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arrays of an npz archive by name. Raises one of `BROKEN`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "arrays.npz"
    >>> np.savez(path, x=np.arange(3))
    >>> read_npz_arrays(path)
    {'x': array([0, 1, 2])}
    """
    with zip_archive(Path(path)) as archive:
        members = _members(archive, Path(path).stat().st_size)
        return {name.removesuffix(".npy"): _array(archive, info) for name, info in members.items()}


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
    with cast(zipfile.ZipExtFile, archive.open(info)) as file:
        dtype, order, shape = _header(file)
        count = math.prod(shape)
        left = info.file_size - file.tell()
        if count * dtype.itemsize != left or (count and not dtype.itemsize):
            raise ValueError(f"{info.filename[:80]} has {left} bytes for {count} numbers of {dtype}")
        array = np.empty(count, dtype)
        content: Any = array.view(np.uint8)
        for start in range(0, left, CHUNK):  # Reading the last chunk verifies the checksum.
            if file.readinto(content[start : start + CHUNK]) != len(content[start : start + CHUNK]):
                raise EOFError(f"{info.filename[:80]} ends early")
    # Convert from the other byte order.
    return array.reshape(shape, order=order).astype(dtype.newbyteorder("="), copy=False)


def _header(file: zipfile.ZipExtFile) -> tuple[np.dtype[Any], Any, tuple[int, ...]]:
    """The dtype, the memory order and the shape of an array in the npy format, any version."""
    magic = file.read(8)
    widths = {1: "<H", 2: "<I", 3: "<I"}
    if len(magic) < 8 or magic[:6] != b"\x93NUMPY" or magic[6] not in widths:
        raise ValueError(f"a member that begins with {magic!r} is not an array")
    width = widths[magic[6]]
    (length,) = struct.unpack(width, file.read(struct.calcsize(width)))
    header = file.read(min(length, MAX_HEADER)).decode("latin-1")
    match = HEADER.fullmatch(header)
    if match is None:
        raise ValueError(f"the header {header[:80]!r} does not describe a numeric array")
    dtype: np.dtype[Any] = np.dtype(match[1])
    shape = tuple(int(n.strip().removesuffix("L")) for n in match[3].split(",") if n.strip())
    if dtype.hasobject or len(shape) > MAX_AXES:
        raise ValueError(f"the header {header[:80]!r} describes an array of objects, or of more than {MAX_AXES} axes")
    return dtype, "F" if match[2] == "True" else "C", shape
