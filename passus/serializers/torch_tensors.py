"""Tensors as PyTorch describes them in its files: numbers in a storage, and how the tensor lies in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from passus.backend import Array
from passus.errors import WeightsError
from passus.serializers.bfloat16 import from_bfloat16
from passus.serializers.torch_pickle import Global

__all__ = ["NAMES", "Storage", "Storages"]

DTYPES = {
    "torch BFloat16Storage": ("<u2", "float32"),
    "torch BoolStorage": ("u1", "bool"),
    "torch ByteStorage": ("u1", "uint8"),
    "torch CharStorage": ("i1", "int8"),
    "torch DoubleStorage": ("<f8", "float64"),
    "torch FloatStorage": ("<f4", "float32"),
    "torch HalfStorage": ("<f2", "float16"),
    "torch IntStorage": ("<i4", "int32"),
    "torch LongStorage": ("<i8", "int64"),
    "torch ShortStorage": ("<i2", "int16"),
}
"""For each kind of storage, how a number lies in the file and what it becomes."""

AXES = 64
"""How many axes an array of NumPy can have."""

ADDRESSES = range(1 << 63)
"""All numbers that can be a length or a place in memory."""


@dataclass(frozen=True)
class Storage:
    """Numbers of one kind, (count,); they are there once the bytes have been put in."""

    kind: str
    array: Array

    @property
    def nbytes(self) -> int:
        """How many bytes they take in the file."""
        return int(self.array.size * np.dtype(DTYPES[self.kind][0]).itemsize)

    def put(self, content: bytes) -> None:
        """Take the numbers from the bytes of the file. Raises `WeightsError` if there are more or fewer of them."""
        if len(content) != self.nbytes:
            raise WeightsError(f"{len(content)} bytes are there for {self.array.size} numbers of {self.nbytes} bytes")
        numbers = np.frombuffer(content, DTYPES[self.kind][0])
        if self.kind == "torch BFloat16Storage":
            numbers = from_bfloat16(numbers)
        self.array[:] = numbers


class Storages(dict[str, Storage]):
    """The storages of a file by their keys; in the file, they take at most ``room`` bytes together."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def referred(self, reference: tuple[Any, ...]) -> Storage:
        """The storage that a pickle refers to: ("storage", kind, key, device, count), in old files with None behind."""
        what, kind, key, _, count, *part = reference
        if type(kind) is not Global or kind.name not in DTYPES or type(key) is not str or type(count) is not int:
            raise WeightsError("a reference leads to no storage of numbers")
        if what != "storage" or count < 0 or any(p is not None for p in part):
            raise WeightsError(f"a reference to {count} numbers leads to no storage, or to a part of one")
        if key not in self:
            self._add(key, kind.name, count)
        if (self[key].kind, self[key].array.size) != (kind.name, count):
            raise WeightsError(f"storage {key} is described in two ways")
        return self[key]

    def _add(self, key: str, kind: str, count: int) -> None:
        stored, becomes = map(np.dtype, DTYPES[kind])
        self.room -= count * stored.itemsize
        if self.room < 0:
            raise WeightsError(f"its storages are larger than the file: storage {key} is to hold {count} numbers")
        self[key] = Storage(kind, np.empty(count, becomes))


def tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Array:
    """The array of shape ``size`` that lies in a storage from ``offset`` on, with a step of ``stride`` along each axis.

    Whether it wanted a gradient, and what hung on it, stands behind and is not needed.
    Raises `WeightsError` if it does not lie in the storage.
    """
    if type(storage) is not Storage or type(size) is not tuple or type(stride) is not tuple:
        raise WeightsError("a tensor is described by something else than a storage and numbers")
    numerals = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > AXES or any(type(n) is not int or n not in ADDRESSES for n in numerals):
        raise WeightsError(
            f"the lengths and steps of a tensor are not as many numbers of 0 or more, up to {AXES} of each"
        )
    numbers, array = math.prod(size), storage.array
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    if numbers == 0:
        return np.empty(size, array.dtype)
    # More numbers than there are would be copies: a few bytes could stand for more than all memory.
    if numbers > array.size or last >= array.size:
        raise WeightsError(
            f"a tensor of {numbers} numbers, the last of which is number {last} of a storage of {array.size}; tensors "
            "that were expanded are saved after .contiguous()"
        )
    width = array.itemsize
    steps = [0 if n == 1 else step * width for n, step in zip(size, stride)]
    return np.ndarray(size, array.dtype, array, offset * width, steps)


def ordered_dict() -> dict[str, Any]:
    """An empty dict; its contents come after it."""
    return {}


NAMES = {
    **dict.fromkeys(DTYPES),
    "collections OrderedDict": ordered_dict,
    "torch._utils _rebuild_tensor_v2": tensor,
}
"""The names that stand in files of tensors, and what is called in their place."""
