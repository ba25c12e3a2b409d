"""The weights in an ONNX file, read without the package onnx.

The format is a message of Protocol Buffers: https://onnx.ai/onnx/repo-docs/IR.html
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from passus.backend import Array
from passus.errors import WeightsError
from passus.files import FilePath, checked_path
from passus.serializers.files import check_readable
from passus.unpacking import BROKEN

__all__ = ["load_onnx_weights"]

GRAPH, INITIALIZER = 7, 5
"""Fields of a model, and of a graph."""
DIMS, DTYPE, FLOATS, NAME, RAW, LOCATION = 1, 2, 4, 8, 9, 14
"""Fields of a tensor."""
DTYPES = {
    1: "<f4",
    2: "<u1",
    3: "<i1",
    4: "<u2",
    5: "<i2",
    6: "<i4",
    7: "<i8",
    9: "?",
    10: "<f2",
    11: "<f8",
    12: "<u4",
    13: "<u8",
}
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""How the value of a field is encoded."""
MOST_AXES = 64
"""How many axes an array of NumPy can have."""


def load_onnx_weights(path: FilePath) -> dict[str, Array]:
    """The initializers of an ONNX file by their names: the weights of its graph, without those of branches and loops.

    Raises `WeightsError` for a file that is broken, or stores a tensor in another file or as other than numbers;
    `FileNotFoundError` if there is none.

    >>> load_onnx_weights("never-saved.onnx")
    Traceback (most recent call last):
        ...
    passus.errors.MissingWeightsError: never-saved.onnx: no such file; check the path
    """
    check_readable(path)
    try:
        content = memoryview(checked_path(path).read_bytes())
        graphs = [value for field, value in _fields(content) if field == GRAPH]
        if len(graphs) != 1:
            raise ValueError(f"it has {len(graphs)} graphs")
        tensors = [value for field, value in _fields(_message(graphs[0])) if field == INITIALIZER]
        found = dict([_tensor(_message(tensor)) for tensor in tensors])
        if len(found) < len(tensors):
            raise ValueError("two of its tensors have one name")
    except BROKEN as error:
        raise WeightsError(f"{path}: not a readable ONNX file: {error}") from error
    return found


def _tensor(message: memoryview) -> tuple[str, Array]:
    """The name and the array of a tensor."""
    shape: list[int] = []
    name, kind, raw, floats = "", 0, None, None
    for field, value in _fields(message):
        if field == DIMS:
            shape += [value] if isinstance(value, int) else _varints(value)
        elif field == DTYPE and isinstance(value, int):
            kind = value
        elif field == NAME:
            name = bytes(_message(value)).decode()
        elif field == RAW:
            raw = _message(value)
        elif field == FLOATS:
            floats = _message(value)  # Packed, as in all files of the third version of the format.
        elif field == LOCATION and value != 0:
            raise ValueError(f"the numbers of {name or 'a tensor'} are in another file")
    if kind not in DTYPES:
        raise ValueError(f"{name} is of type {kind}, which holds no numbers of NumPy")
    if len(shape) > MOST_AXES:
        raise ValueError(f"{name} has {len(shape)} axes")
    dtype = np.dtype(DTYPES[kind])
    data = floats if raw is None and DTYPES[kind] == "<f4" else raw
    data = memoryview(b"") if data is None else data
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{name} has {len(data)} bytes for {dtype} of shape {tuple(shape)}")
    array: Array = np.frombuffer(data, dtype).reshape(shape)
    return name, array.astype(dtype.newbyteorder("="))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message, each with an integer or its bytes."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == VARINT:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if kind == BYTES:
            size, position = _varint(message, position)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"there is a field of the unknown kind {kind}")
        if size > len(message) - position:
            raise EOFError("it ends early")
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """An integer in groups of 7 bits, the lowest first, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise EOFError("it ends early")
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("an integer has more than 64 bits")


def _varints(message: memoryview) -> list[int]:
    found, position = [], 0
    while position < len(message):
        value, position = _varint(message, position)
        found.append(value)
    return found


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise TypeError("a number stands where a message should")
    return value
