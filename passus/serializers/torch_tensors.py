"""Tensors in PyTorch files: views of storages, given by an offset, a shape and strides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from passus.backend import Array
from passus.errors import WeightsError
from passus.serializers.bfloat16 import from_bfloat16
from passus.serializers.torch_pickle import Global
from passus.unpacking import MAX_AXES

__all__ = ["CALLABLES", "Storage", "Storages"]

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
"""For each kind of storage, the dtype in the file and the dtype of the array."""

INT64_RANGE = range(1 << 63)
"""The range of lengths, offsets and strides."""


@dataclass(frozen=True)
class Storage:
    """A flat array of one dtype, (count,); uninitialized until `fill` is called."""

    kind: str
    array: Array

    @property
    def nbytes(self) -> int:
        """Size in the file, in bytes."""
        return int(self.array.size * np.dtype(DTYPES[self.kind][0]).itemsize)

    def fill(self, content: bytes) -> None:
        """Set the array from bytes of the file. Raises `WeightsError` if their number is wrong."""
        if len(content) != self.nbytes:
            raise WeightsError(
                f"a storage of {self.array.size} numbers has {len(content)} bytes instead of {self.nbytes}"
            )
        numbers = np.frombuffer(content, DTYPES[self.kind][0])
        if self.kind == "torch BFloat16Storage":
            numbers = from_bfloat16(numbers)
        self.array[:] = numbers


class Storages(dict[str, Storage]):
    """The storages of a file by key; ``room``: limit of their total size in bytes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def resolve(self, persistent_id: tuple[Any, ...]) -> Storage:
        """The storage of a persistent id ("storage", kind, key, device, count); the legacy format appends a view, None."""
        tag, kind, key, _, count, *view = persistent_id
        if type(kind) is not Global or kind.name not in DTYPES or type(key) is not str or type(count) is not int:
            raise WeightsError("a persistent id does not name a storage of numbers")
        if tag != "storage" or count < 0 or any(v is not None for v in view):
            raise WeightsError(f"a persistent id of {count} numbers does not name a whole storage")
        if key not in self:
            self._add(key, kind.name, count)
        if (self[key].kind, self[key].array.size) != (kind.name, count):
            raise WeightsError(f"storage {key} is described inconsistently")
        return self[key]

    def _add(self, key: str, kind: str, count: int) -> None:
        stored, converted = map(np.dtype, DTYPES[kind])
        self.room -= count * stored.itemsize
        if self.room < 0:
            raise WeightsError(f"the storages are larger than the file: storage {key} has {count} numbers")
        self[key] = Storage(kind, np.empty(count, converted))


def tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Array:
    """The array of shape ``size`` that views a storage at ``offset`` with the strides ``stride``, in elements.

    The remaining arguments, ``requires_grad`` and hooks, are ignored. Raises `WeightsError` if the view exceeds the storage.
    """
    if type(storage) is not Storage or type(size) is not tuple or type(stride) is not tuple:
        raise WeightsError("a tensor is not described by a storage, a size and a stride")
    integers = (offset, *size, *stride)
    if (
        len(size) != len(stride)
        or len(size) > MAX_AXES
        or any(type(n) is not int or n not in INT64_RANGE for n in integers)
    ):
        raise WeightsError(
            f"size and stride of a tensor must be equally many integers of 0 or more, at most {MAX_AXES} each"
        )
    count, array = math.prod(size), storage.array
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    if count == 0:
        return np.empty(size, array.dtype)
    # An expanded tensor could have far more elements than the file has bytes.
    if count > array.size or last >= array.size:
        raise WeightsError(
            f"a tensor of {count} numbers ends at index {last} of a storage of {array.size}; call .contiguous() on expanded "
            "tensors before saving"
        )
    itemsize = array.itemsize
    strides = [0 if n == 1 else step * itemsize for n, step in zip(size, stride)]
    return np.ndarray(size, array.dtype, array, offset * itemsize, strides)


def new_dict() -> dict[str, Any]:
    """An empty dict; the pickle sets its items later."""
    return {}


CALLABLES = {
    **dict.fromkeys(DTYPES),
    "collections OrderedDict": new_dict,
    "torch._utils _rebuild_tensor_v2": tensor,
}
"""The supported global names, with the functions to call instead of them."""
