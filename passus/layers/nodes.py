"""The nodes of a model's tree: layers, parameters, buffers and random generators."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType, MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from passus.backend import Array, Device, backend_of, copied, to_device
from passus.core import Parameter, Variable
from passus.layers.lazy import LazyParameter
from passus.tree import Spec

__all__ = ["LEAF_TYPES", "SKIPPED", "TRANSIENT", "LayerBase", "Node", "StateRef", "label", "state_ref"]


class LayerBase:
    """The root of `passus.layers.Layer`, with the attributes that a walk through a model reads."""

    _buffers: Mapping[str, Spec] = MappingProxyType({})
    """The attributes that hold buffers, arrays that are saved but not trained, with the expected shape and dtype of
    arrays that are still None."""
    _carried: tuple[str, ...] = ()
    """The attributes that carry state from one call to the next, a Variable or None: part of the state of a run, but
    not of weights. See `passus.layers.Layer.register_state`."""

    def _carried_faults(self, values: Mapping[str, Array | None]) -> dict[str, str]:
        """The reasons why values for the carried attributes do not fit together, by attribute."""
        return {}


class StateRef(NamedTuple):
    """A reference to an array of the state: an attribute of a layer (a buffer) or the data of a parameter."""

    owner: Any
    attribute: str

    @property
    def array(self) -> Array | None:
        """The array; None before it is initialized."""
        return getattr(self.owner, self.attribute)

    @property
    def expected(self) -> Spec:
        """The shape and dtype that a new array must have."""
        if self.array is not None:
            return Spec(self.array.shape, self.array.dtype)
        if isinstance(self.owner, LayerBase):
            return self.owner._buffers[self.attribute]
        return self.owner.spec if isinstance(self.owner, LazyParameter) else Spec(None)

    def copied(self, array: Array) -> Array:
        """A copy of another array on the device of this one, with the same memory layout as the other."""
        return copied(backend_of(*([] if self.array is None else [self.array])).asarray(array))

    def set(self, array: Array | None) -> None:
        """Assign another array."""
        setattr(self.owner, self.attribute, array)

    def move(self, array: Array | None, device: Device) -> None:
        """Assign the same numbers on a device, and move the gradient of a parameter, too."""
        if isinstance(self.owner, LazyParameter):
            self.owner.device = device
        if array is self.array:
            return
        grad = self.owner._grad if isinstance(self.owner, Parameter) else None
        self.set(array)
        if grad is not None:
            self.owner.grad = to_device(grad._data, device)


Node: TypeAlias = LayerBase | Parameter | StateRef | np.random.Generator

TRANSIENT = ("inputs", "outputs", "_parameters", "_warned_of_dtype", "_hooks", "_next_token")
"""The attributes in which a layer keeps its last call, last walk, warning, hooks and program; never copied or saved."""

SKIPPED = (*TRANSIENT, "_buffers", "_carried")
"""The attributes that a walk skips by name."""

LEAF_TYPES = frozenset([int, float, bool, str, type(None), np.ndarray, Variable, FunctionType])
"""The types of most other attributes. They are no nodes and contain none, so a walk skips them at once."""


def label(layer: LayerBase) -> str:
    """The class name in lower case, by which messages refer to a layer that no other layer contains."""
    return type(layer).__name__.lower()


def state_ref(node: Parameter | StateRef) -> StateRef:
    """The reference to the array of a parameter or buffer."""
    return StateRef(node, "data") if isinstance(node, Parameter) else node
