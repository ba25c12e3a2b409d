"""The parts of a layer: what an attribute may hold that is counted, learnt or saved."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType, MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from passus.backend import Array, backend_of, copied
from passus.core import Parameter, Variable
from passus.layers.lazy import LazyParameter
from passus.tree import Spec

__all__ = ["Holder", "NO_PARTS", "PLAIN", "REMEMBERED", "Node", "Slot", "label", "slot_of"]


class Holder:
    """What has parts: the root of `passus.layers.Layer`."""

    _buffers: Mapping[str, Spec] = MappingProxyType({})
    """The attributes that hold arrays which are saved but not learnt, and what those not there yet will be like."""
    _carried: tuple[str, ...] = ()
    """The attributes that hold what one call leaves to the next, a Variable or None: part of the state of a run, but not of
    weights. See `passus.layers.Layer.register_state`."""

    def _misfits(self, kept: Mapping[str, Array | None]) -> dict[str, str]:
        """Why what is given for these attributes, all of them, cannot be kept, by attribute."""
        return {}


class Slot(NamedTuple):
    """Where an array of the state is kept: the attribute of a layer (a buffer) or of a parameter."""

    owner: Any
    attribute: str

    @property
    def array(self) -> Array | None:
        """The array; None if it is not there yet."""
        return getattr(self.owner, self.attribute)

    @property
    def expected(self) -> Spec:
        """What an array must be to take its place."""
        if self.array is not None:
            return Spec(self.array.shape, self.array.dtype)
        if isinstance(self.owner, Holder):
            return self.owner._buffers[self.attribute]
        return self.owner.spec if isinstance(self.owner, LazyParameter) else Spec(None)

    def copied(self, array: Array) -> Array:
        """A copy on the device where the array now there lies, with its numbers in the same order in memory."""
        return copied(backend_of(*([] if self.array is None else [self.array])).asarray(array))

    def put(self, array: Array | None) -> None:
        """Put an array in its place."""
        setattr(self.owner, self.attribute, array)


Node: TypeAlias = Holder | Parameter | Slot | np.random.Generator

REMEMBERED = ("inputs", "outputs", "_learnt", "_warned_of_dtype")
"""The attributes in which a layer remembers its last call, its last walk and its warning; they are no parts of it."""

NO_PARTS = (*REMEMBERED, "_buffers", "_carried")
"""The attributes that a walk passes over by name."""

PLAIN = frozenset([int, float, bool, str, type(None), np.ndarray, Variable, FunctionType])
"""Types of most other attributes, passed over at once: they are no parts, and hold none."""


def label(layer: Holder) -> str:
    """The name of the class in lower case: what messages call a layer that lies in no other."""
    return type(layer).__name__.lower()


def slot_of(node: Parameter | Slot) -> Slot:
    """Where the array of a parameter or buffer is kept."""
    return Slot(node, "data") if isinstance(node, Parameter) else node
