"""Reading the weights in an ONNX file without the package onnx.

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
from passus.unpacking import BROKEN, MAX_AXES

__all__ = ["load_onnx_weights"]

GRAPH, INITIALIZER = 7, 5
"""Field numbers in a model and in a graph."""
DIMS, DTYPE, FLOATS, NAME, RAW, LOCATION = 1, 2, 4, 8, 9, 14
"""Field numbers in a tensor."""
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
"""Wire types of Protocol Buffers."""


def load_onnx_weights(path: FilePath) -> dict[str, Array]:
    """The initializers in the main graph of an ONNX file, by name; those of subgraphs (branches and loops) are skipped.

    Raises `WeightsError` for a damaged file, and for tensors stored in another file or with a non-numeric type;
    `FileNotFoundError` for a missing file.

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
        arrays = dict([_tensor(_message(tensor)) for tensor in tensors])
        if len(arrays) < len(tensors):
            raise ValueError("two tensors have the same name")
    except BROKEN as error:
        raise WeightsError(f"{path}: not a readable ONNX file: {error}") from error
    return arrays


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
            floats = _message(value)  # Packed, as in all files of proto3.
        elif field == LOCATION and value != 0:
            raise ValueError(f"the data of {name or 'a tensor'} are in another file")
    if kind not in DTYPES:
        raise ValueError(f"{name} has type {kind}, which NumPy does not support")
    if len(shape) > MAX_AXES:
        raise ValueError(f"{name} has {len(shape)} axes")
    dtype = np.dtype(DTYPES[kind])
    data = floats if raw is None and DTYPES[kind] == "<f4" else raw
    data = memoryview(b"") if data is None else data
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{name} has {len(data)} bytes for {dtype} of shape {tuple(shape)}")
    array: Array = np.frombuffer(data, dtype).reshape(shape)
    return name, array.astype(dtype.newbyteorder("="))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message: field numbers with integers or bytes."""
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
            raise ValueError(f"unknown wire type {kind}")
        if size > len(message) - position:
            raise EOFError("unexpected end of file")
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Decode an integer in groups of 7 bits, the lowest first; returns it with the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise EOFError("unexpected end of file")
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("an integer has more than 64 bits")


def _varints(message: memoryview) -> list[int]:
    values, position = [], 0
    while position < len(message):
        value, position = _varint(message, position)
        values.append(value)
    return values


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise TypeError("expected a message, found an integer")
    return value
