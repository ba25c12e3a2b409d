"""Arrays in a file of the format safetensors: a header in JSON, then the bytes. It holds nothing that could be executed.

The format: https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from passus.backend import Array
from passus.errors import WeightsError
from passus.files import FilePath, replacing
from passus.optional import import_optional
from passus.serializers.files import check_readable

__all__ = ["read_safetensors", "write_safetensors"]

CHECKSUM = "passus.crc32"
"""The text beside the arrays that holds their checksum, which the format itself has not."""


def write_safetensors(path: FilePath, arrays: Mapping[str, Array], metadata: dict[str, str] | None = None) -> None:
    """Write NumPy arrays by their names, and texts beside them; the file appears whole or not at all.

    Raises `WeightsError` for an array of a dtype that the format does not have.
    """
    library = _library()
    # The library writes the memory of an array as it lies, whatever its strides.
    whole = {name: np.asarray(array, array.dtype.newbyteorder("="), order="C") for name, array in arrays.items()}
    try:
        content = library.numpy.save(whole, {**(metadata or {}), CHECKSUM: _checksum(whole, metadata or {})})
    except library.SafetensorError as error:
        raise WeightsError(f"{path}: cannot be written as safetensors: {error}") from error
    with replacing(path) as file:
        file.write(content)


def read_safetensors(path: FilePath) -> tuple[dict[str, Array], dict[str, str]]:
    """Read all arrays by their names, and the texts beside them; a file of passus' own is checked to the bit.

    Raises `WeightsError` for a file that is broken or of another format, `FileNotFoundError` if there is none.
    """
    library = _library()
    check_readable(path)
    try:
        with library.safe_open(path, framework="numpy") as file:
            arrays, texts = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, ValueError, TypeError, AttributeError, library.SafetensorError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file of numbers: {error}") from error
    if texts.pop(CHECKSUM, None) not in (None, _checksum(arrays, texts)):
        raise WeightsError(f"{path}: some bytes are not those that were written; take a copy that is whole")
    return arrays, texts


def _checksum(arrays: Mapping[str, Array], texts: Mapping[str, str]) -> str:
    checksum = zlib.crc32(repr(sorted(texts.items())).encode())
    for name, array in sorted(arrays.items()):
        checksum = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), checksum)
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return f"{checksum:08x}"


def _library() -> Any:
    import_optional("safetensors.numpy", "safetensors", "a file in this format")
    return import_optional("safetensors", "safetensors", "a file in this format")
