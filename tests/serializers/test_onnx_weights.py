"""Weights in ONNX files, which the tests write byte by byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from passus.errors import WeightsError
from passus.serializers import load_onnx_weights
from tests.helpers.real_data import real

KINDS = {"f4": 1, "u1": 2, "i1": 3, "u2": 4, "i2": 5, "i4": 6, "i8": 7, "b1": 9, "f2": 10, "f8": 11, "u4": 12, "u8": 13}


def varint(n: int) -> bytes:
    return bytes([n & 127 | 128]) + varint(n >> 7) if n > 127 else bytes([n])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name: str, array: np.ndarray, packed: bool = True, raw: bool = True, kind: int | None = None) -> bytes:
    dims = field(1, b"".join(map(varint, array.shape))) if packed else b"".join(field(1, n) for n in array.shape)
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    dtype = KINDS[array.dtype.str[1:]] if kind is None else kind
    return dims + field(2, dtype) + field(8, name.encode()) + field(9 if raw else 4, data)


def model(*tensors: bytes) -> bytes:
    """A model whose graph contains a node and is surrounded by other fields."""
    graph = field(1, field(4, b"Conv")) + field(2, b"graph") + b"".join(field(5, t) for t in tensors)
    return field(1, 8) + field(2, b"here") + field(7, graph) + field(8, field(2, 15)) + varint(99 << 3 | 5) + bytes(4)


def read(folder: Path, content: bytes) -> dict[str, np.ndarray]:
    (folder / "m.onnx").write_bytes(content)
    return load_onnx_weights(folder / "m.onnx")


@pytest.mark.parametrize("code", KINDS)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 1, 300)])
def test_arrays_of_each_dtype_are_read(code, shape, tmp_path):
    array = (np.random.default_rng(0).standard_normal(shape) * 20).astype(code)
    for packed in (True, False):
        found = read(tmp_path, model(tensor("a.W", array, packed), tensor("b", np.ones(2))))
        assert list(found) == ["a.W", "b"]
        assert found["a.W"].dtype == array.dtype
        assert found["a.W"].flags.writeable
        np.testing.assert_array_equal(found["a.W"], array)


def test_floats_are_read_from_the_typed_field(tmp_path):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(read(tmp_path, model(tensor("x", x, raw=False)))["x"], x)
    assert read(tmp_path, model()) == {}


X = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 graphs"),
        (model(tensor("x", X)) * 2, "2 graphs"),
        (model(tensor("x", X))[:-20], "unexpected end of file"),
        (model(tensor("x", X), tensor("x", X)), "the same name"),
        (model(tensor("x", X, kind=8)), "x has type 8"),
        (model(tensor("x", X, kind=11)), "x has 24 bytes for float64 of shape"),
        (model(tensor("x", X) + field(1, 1 << 40)), "x has 24 bytes"),
        (model(tensor("x", X) + field(1, (1 << 64) - 1)), "x has 24 bytes"),
        (model(tensor("x", X) + field(1, 1) * 65), "67 axes"),
        (model(tensor("x", X) + field(14, 1)), "in another file"),
        (model(field(8, b"\xff")), "invalid start byte"),
        (field(7, 3), "expected a message"),
        (b"\xff" * 20, "more than 64 bits"),
        (b"\x0b", "unknown wire type 3"),
        (b"\x89PNG", "not a readable ONNX file"),
    ],
)
def test_malformed_files_raise_with_the_reason(content, message, tmp_path):
    with pytest.raises(WeightsError, match=rf"m\.onnx: not a readable ONNX file: .*({message})|{message}"):
        read(tmp_path, content)


def test_a_published_file_has_the_documented_arrays():
    arrays = load_onnx_weights(real("silero_vad_16k_op15.onnx"))
    assert len(arrays) == 15
    assert sum(a.size for a in arrays.values()) == 309_633
