"""Arrays in a file of the format safetensors: a header in JSON, then the bytes. It holds nothing that could be executed.

The format: https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from passus.arguments import shown
from passus.backend import Array
from passus.errors import WeightsError
from passus.files import FilePath, replacing
from passus.optional import import_optional
from passus.serializers.bfloat16 import from_bfloat16
from passus.serializers.files import check_readable
from passus.unpacking import BROKEN

__all__ = ["read_safetensors", "shapes_in_safetensors", "write_safetensors"]

BFLOAT16 = "BF16"
"""The type of the format that is read as float32."""

READABLE = frozenset(
    (BFLOAT16, "BOOL", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "F16", "F32", "F64", "C64")
)
"""The types of the format that NumPy has, and bfloat16."""

CHECKSUM = "passus.crc32"
"""The text beside the arrays that holds their checksum, which the format itself has not."""


ORDERS = "passus.orders"
"""The text that tells in which order the axes of arrays lay in memory, where it was not the usual one: the format lays down
that one, but the last digits of products depend on it.
"""


def write_safetensors(path: FilePath, arrays: Mapping[str, Array], metadata: dict[str, str] | None = None) -> None:
    """Write NumPy arrays by their names, and texts beside them; the file appears whole or not at all.

    Raises `WeightsError` for an array of a dtype that the format does not have.
    """
    library = _library()
    # The library writes the memory of an array as it lies, whatever its strides.
    whole = {name: np.asarray(array, array.dtype.newbyteorder("="), order="C") for name, array in arrays.items()}
    orders = {name: order for name, array in arrays.items() if (order := _order(array)) is not None}
    texts = (metadata or {}) | ({ORDERS: json.dumps(orders)} if orders else {})
    try:
        content = library.numpy.save(whole, {**texts, CHECKSUM: _checksum(whole, texts)})
    except library.SafetensorError as error:
        raise WeightsError(f"{path}: cannot be written as safetensors: {error}") from error
    with replacing(path) as file:
        file.write(content)


def read_safetensors(path: FilePath, must_be_checked: str = "") -> tuple[dict[str, Array], dict[str, str]]:
    """Read all arrays by their names, and the texts beside them; a file of passus' own is checked to the bit.

    A file of another program has no checksum, and needs none, unless there is a text called ``must_be_checked``. Numbers
    in bfloat16 are read as float32. Raises `WeightsError` for a file that is broken, of another format, or with numbers
    of a type that NumPy does not have, such as F8_E4M3; `FileNotFoundError` if there is none.
    """
    with _opened(path) as file:
        types = _types(path, file)
        content = _Content(path) if BFLOAT16 in types.values() else None
        arrays = {
            name: content.widened(name) if content and kind == BFLOAT16 else file.get_tensor(name)
            for name, kind in types.items()
        }
        texts = file.metadata() or {}
    checksum = texts.pop(CHECKSUM, None)
    if checksum is None and must_be_checked in texts:
        raise WeightsError(f"{path}: the checksum is missing, so the file is incomplete; use an intact copy")
    if checksum not in (None, _checksum(arrays, texts)):
        raise WeightsError(f"{path}: some bytes are not those that were written; take a copy that is whole")
    try:
        for name, order in json.loads(texts.pop(ORDERS, "{}")).items():
            arrays[name] = _in_order(arrays[name], order)
    except BROKEN as error:
        raise WeightsError(f"{path}: the order of axes in memory is invalid: {shown(error)}") from error
    return arrays, texts


def shapes_in_safetensors(path: FilePath) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays in a file whose header is valid and whose length is what the header says, by their names.

    Raises what `read_safetensors` raises; the arrays themselves are not read.
    """
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in _types(path, file)}


@contextmanager
def _opened(path: FilePath) -> Iterator[Any]:
    """A file, open in the library; errors name it."""
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
    """The bytes of a file, mapped into memory, for arrays in bfloat16."""

    def __init__(self, path: FilePath) -> None:
        self.bytes = np.asarray(np.memmap(Path(path), np.uint8, "r"))
        self.start = 8 + int.from_bytes(self.bytes[:8].tobytes(), "little")
        self.header: dict[str, Any] = json.loads(self.bytes[8 : self.start].tobytes())

    def widened(self, name: str) -> Array:
        """The array as float32; no other copy of it is made."""
        entry = self.header[name]
        first, last = entry["data_offsets"]
        bits = self.bytes[self.start + first : self.start + last].view("<u2")
        return from_bfloat16(bits).reshape(entry["shape"])


def _types(path: FilePath, file: Any) -> dict[str, str]:
    """The type of each array by its name. Raises `WeightsError` for one that cannot be read."""
    types = {name: str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118
    strange = {name: kind for name, kind in types.items() if kind not in READABLE}
    if strange:
        name, kind = next(iter(strange.items()))
        more = f", and so do {len(strange) - 1} others" if len(strange) > 1 else ""
        raise WeightsError(
            f"{path}: {name[:200]} holds numbers of type {kind}{more}, which cannot be read; store them as F16, BF16 or F32"
        )
    return types


def _order(array: Array) -> list[int] | None:
    """The axes from the outermost in memory to the innermost; None if they are in order there, as most are."""
    axes = [axis for axis in range(array.ndim) if array.shape[axis] != 1]
    order = sorted(axes, key=lambda axis: -abs(array.strides[axis]))
    return None if order == axes or not array.size else order


def _in_order(array: Array, order: list[int]) -> Array:
    """The same array with its numbers in memory as `_order` says."""
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
