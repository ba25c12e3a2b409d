"""Arrays in the safetensors format: a header in JSON, then the bytes. The format contains no executable code.

The format: https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from passus.arguments import shown
from passus.backend import Array
from passus.errors import WeightsError
from passus.files import FilePath, replacing
from passus.optional import import_optional
from passus.serializers.bfloat16 import from_bfloat16
from passus.serializers.files import check_readable
from passus.unpacking import BROKEN

__all__ = ["CHECKSUM", "RawArray", "raw_safetensors", "read_safetensors", "shapes_in_safetensors", "write_safetensors"]

BFLOAT16 = "BF16"
"""The type that is read as float32."""

READABLE = frozenset(
    (BFLOAT16, "BOOL", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "F16", "F32", "F64", "C64")
)
"""The types of the format that NumPy supports, and bfloat16."""

CHECKSUM = "passus.crc32"
"""The metadata key of the checksum, which the format itself does not have."""

ORDERS = "passus.orders"
"""The metadata key of the memory order of arrays that were not C-contiguous. The format stores arrays in C order, but the
last digits of matrix products depend on the order in memory.
"""


def write_safetensors(path: FilePath, arrays: Mapping[str, Array], metadata: dict[str, str] | None = None) -> None:
    """Write NumPy arrays and metadata by name; the file is replaced atomically.

    Raises `WeightsError` for a dtype that the format does not support.
    """
    library = _library()
    # The library writes the memory of an array and ignores its strides.
    contiguous = {name: np.asarray(array, array.dtype.newbyteorder("="), order="C") for name, array in arrays.items()}
    orders = {name: order for name, array in arrays.items() if (order := _order(array)) is not None}
    texts = (metadata or {}) | ({ORDERS: json.dumps(orders)} if orders else {})
    try:
        content = library.numpy.save(contiguous, {**texts, CHECKSUM: _checksum(contiguous, texts)})
    except library.SafetensorError as error:
        raise WeightsError(f"{path}: cannot be written as safetensors: {error}") from error
    with replacing(path) as file:
        file.write(content)


def read_safetensors(path: FilePath, must_be_checked: str = "") -> tuple[dict[str, Array], dict[str, str]]:
    """Read all arrays and the metadata by name; the checksum of files written by passus is verified.

    Files of other programs have no checksum; it is required only if the metadata contain the key ``must_be_checked``.
    bfloat16 is read as float32. Raises `WeightsError` for a file that is damaged, has another format, or contains types that
    NumPy does not support, such as F8_E4M3; `FileNotFoundError` for a missing file.
    """
    with _opened(path) as file:
        types = _types(path, file)
        content = _Content(path) if BFLOAT16 in types.values() else None
        arrays = {
            name: content.as_float32(name) if content and kind == BFLOAT16 else file.get_tensor(name)
            for name, kind in types.items()
        }
        texts = file.metadata() or {}
    checksum = texts.pop(CHECKSUM, None)
    if checksum is None and must_be_checked in texts:
        raise WeightsError(f"{path}: the checksum is missing; use an undamaged copy of the file")
    if checksum not in (None, _checksum(arrays, texts)):
        raise WeightsError(f"{path}: the checksum differs; use an undamaged copy of the file")
    try:
        for name, order in json.loads(texts.pop(ORDERS, "{}")).items():
            arrays[name] = _in_order(arrays[name], order)
    except BROKEN as error:
        raise WeightsError(f"{path}: invalid memory order: {shown(error)}") from error
    return arrays, texts


def shapes_in_safetensors(path: FilePath) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays in a file by name, from its header; no array is read.

    Raises the errors of `read_safetensors`, also if the length of the file does not match the header.
    """
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in _types(path, file)}


class RawArray(NamedTuple):
    """An array as it is stored; ``content``: its bytes, memory-mapped."""

    kind: str
    shape: tuple[int, ...]
    content: Array


def raw_safetensors(path: FilePath) -> tuple[dict[str, RawArray], dict[str, str]]:
    """The arrays of any type in a file by name, without conversion, and the metadata.

    Raises `WeightsError` for a file that is damaged or has another format, `FileNotFoundError` for a missing file.
    """
    with _opened(path) as file:
        names, metadata = list(file.keys()), file.metadata() or {}
        content = _Content(path)
    return {name: content.raw(name) for name in names}, metadata


@contextmanager
def _opened(path: FilePath) -> Iterator[Any]:
    """A file opened by the library; errors name the file."""
    library = _library()
    check_readable(path)
    try:
        with library.safe_open(path, framework="numpy") as file:
            yield file
    except WeightsError:
        raise
    except (*BROKEN, library.SafetensorError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file of numbers: {error}") from error


class _Content:
    """The memory-mapped bytes of a file."""

    def __init__(self, path: FilePath) -> None:
        self.bytes = np.asarray(np.memmap(Path(path), np.uint8, "r"))
        self.start = 8 + int.from_bytes(self.bytes[:8].tobytes(), "little")
        self.header: dict[str, Any] = json.loads(self.bytes[8 : self.start].tobytes())

    def as_float32(self, name: str) -> Array:
        """A bfloat16 array as float32, converted from the mapped file without another copy."""
        raw = self.raw(name)
        return from_bfloat16(raw.content.view("<u2")).reshape(raw.shape)

    def raw(self, name: str) -> RawArray:
        """An array as it is stored."""
        entry = self.header[name]
        first, last = entry["data_offsets"]
        return RawArray(entry["dtype"], tuple(entry["shape"]), self.bytes[self.start + first : self.start + last])


def _types(path: FilePath, file: Any) -> dict[str, str]:
    """The types of the arrays by name. Raises `WeightsError` for an unsupported type."""
    types = {name: str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118
    unsupported = {name: kind for name, kind in types.items() if kind not in READABLE}
    if unsupported:
        name, kind = next(iter(unsupported.items()))
        more = f" (and {len(unsupported) - 1} other arrays)" if len(unsupported) > 1 else ""
        raise WeightsError(
            f"{path}: {name[:200]}{more} has type {kind}, which is not supported; store it as F16, BF16 or F32"
        )
    return types


def _order(array: Array) -> list[int] | None:
    """The axes from the outermost to the innermost in memory; None for C order."""
    axes = [axis for axis in range(array.ndim) if array.shape[axis] != 1]
    order = sorted(axes, key=lambda axis: -abs(array.strides[axis]))
    return None if order == axes or not array.size else order


def _in_order(array: Array, order: list[int]) -> Array:
    """The same array with its axes in memory in the order that `_order` returned."""
    rest = [axis for axis in range(array.ndim) if axis not in order]
    axes = [*rest, *order]
    return np.ascontiguousarray(array.transpose(axes)).transpose(np.argsort(axes))


def _checksum(arrays: Mapping[str, Array], texts: Mapping[str, str]) -> str:
    checksum = zlib.crc32(repr(sorted(texts.items())).encode())
    for name, array in sorted(arrays.items()):
        checksum = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), checksum)
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return f"{checksum:08x}"


def _library() -> Any:
    import_optional("safetensors.numpy", "safetensors", "a file in this format")
    return import_optional("safetensors", "safetensors", "a file in this format")
