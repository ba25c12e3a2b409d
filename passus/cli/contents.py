"""The contents of files of weights: arrays, values and checksums. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from passus.backend import Array
from passus.errors import WeightsError
from passus.serializers import load_onnx_weights, load_torch, read_checkpoint
from passus.serializers.checkpoint import KEY
from passus.serializers.files import check_readable
from passus.serializers.npz import read_npz
from passus.serializers.safetensors import CHECKSUM, raw_safetensors, read_safetensors
from passus.serializers.shards import INDEX, files_of_shards, shapes_in_shards

__all__ = ["Contents", "Entry", "contents_of", "digest"]

TORCH = (".pt", ".pth", ".bin")
SUFFIXES = (".safetensors", INDEX, ".npz", ".onnx", *TORCH)


@dataclass(frozen=True)
class Entry:
    """An array in a file; ``content``: its bytes in C order, memory-mapped if the format allows."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    content: Array = field(repr=False)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return len(self.content)

    @property
    def checksum(self) -> str:
        """The CRC-32 of the bytes, which reads all of them."""
        return f"{zlib.crc32(self.content.data):08x}"


@dataclass(frozen=True)
class Contents:
    """What a file holds."""

    path: Path
    kind: str
    """The format in words."""
    arrays: list[Entry]
    values: dict[str, Any] = field(default_factory=dict)
    """Metadata, and values other than arrays."""
    verified: bool = False
    """Whether the file has a checksum that matches."""
    shards: list[Path] = field(default_factory=list)
    """The files that an index lists."""


def contents_of(path: Path) -> Contents:
    """Read a file, or that of a folder; its format is detected from its name and first bytes.

    Raises `WeightsError` for a file that is damaged or has another format, and for a folder without an index or a single
    file of weights; `MissingWeightsError` for a missing file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.npz"
    >>> np.savez(path, W=np.zeros((2, 3), np.float32))
    >>> contents_of(path).arrays
    [Entry(name='W', dtype='float32', shape=(2, 3))]
    """
    if path.is_dir():
        path = _in_folder(path)
    check_readable(path)
    name = path.name.lower()
    with path.open("rb") as file:
        start = file.read(8)
    if name.endswith(INDEX):
        return _of_shards(path)
    if name.endswith(".onnx"):
        return Contents(path, "ONNX", _entries(load_onnx_weights(path)))
    if name.endswith(".npz"):
        return Contents(path, "npz", _entries(read_npz(path)))
    if name.endswith(TORCH) or start[:2] in (b"PK", b"\x80\x02"):
        return _of_torch(path)
    if not name.endswith(".safetensors"):
        _check_known(path, start)
    return _of_safetensors(path)


def _in_folder(folder: Path) -> Path:
    """The index in a folder, or else its only file of weights. Raises `WeightsError` if there is none, or a choice."""
    files = sorted(path for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES))
    found = [path for path in files if path.name.lower().endswith(INDEX)] or files
    if len(found) == 1:
        return found[0]
    names = f", such as {found[0].name}" if found else ""
    raise WeightsError(f"{folder}: this is a folder with {len(found)} files of weights; give the path of a file{names}")


def _check_known(path: Path, start: bytes) -> None:
    """Raise `WeightsError` for first bytes that are not those of safetensors, the length of the header."""
    if start[:1] == b"\x80" and start[1:2] in (b"\x03", b"\x04", b"\x05"):
        raise WeightsError(
            f"{path}: not a file of weights but a pickle, which could run arbitrary code; it was not read"
        )
    if start.startswith(b"\x93NUMPY"):
        raise WeightsError(f"{path}: not a file of weights but a single array; read it with numpy.load")
    if int.from_bytes(start, "little") > path.stat().st_size:
        raise WeightsError(f"{path}: not a file of weights; the formats are {', '.join(SUFFIXES)}")


def _of_safetensors(path: Path) -> Contents:
    arrays, metadata = raw_safetensors(path)
    entries = [Entry(name, *raw) for name, raw in arrays.items()]
    if KEY in metadata:
        content = read_checkpoint(path)
        return Contents(path, "checkpoint", entries, dict(content["metadata"]), True)
    if CHECKSUM in metadata:
        _, metadata = read_safetensors(path)
        return Contents(path, "safetensors", entries, dict(metadata), True)
    return Contents(path, "safetensors", entries, dict(metadata))


def _of_shards(path: Path) -> Contents:
    shapes_in_shards(path)  # Verifies that index and shards agree.
    shards = [_of_safetensors(file) for file in files_of_shards(path)]
    entries = [entry for shard in shards for entry in shard.arrays]
    return Contents(path, "index of safetensors", entries, shards=[shard.path for shard in shards])


def _of_torch(path: Path) -> Contents:
    leaves = list(_leaves(load_torch(path), ""))
    arrays = {name: value for name, value in leaves if isinstance(value, np.ndarray)}
    values = {name: value for name, value in leaves if not isinstance(value, np.ndarray)}
    return Contents(path, "PyTorch", _entries(arrays), values)


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        children: Any = node.items()
    elif isinstance(node, (list, tuple)):
        children = enumerate(node)
    else:
        yield path, node
        return
    for name, child in children:
        yield from _leaves(child, f"{path}.{name}" if path else str(name))


def _entries(arrays: Mapping[str, Array]) -> list[Entry]:
    return [
        Entry(name, str(x.dtype), x.shape, np.ascontiguousarray(x).reshape(-1).view(np.uint8))
        for name, x in arrays.items()
    ]


def digest(path: Path) -> str:
    """The SHA-256 of a file, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
