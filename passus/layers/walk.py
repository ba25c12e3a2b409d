"""The one walk through a layer, from which parameters are counted, frozen, saved and loaded.

What a layer consists of is what its attributes hold: parameters, buffers, other layers, and lists, tuples and dicts of
these, in the order in which they were first assigned. There is no second book-keeping that could disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from passus.backend import Array, backend_of
from passus.core import Parameter
from passus.layers.lazy import LazyParameter
from passus.tree import Spec

__all__ = ["Holder", "Node", "Slot", "label", "slot_of", "walk"]


class Holder:
    """What has parts: the root of `passus.layers.Layer`."""

    _buffers: tuple[str, ...] = ()
    """The attributes that hold arrays which are saved but not learnt."""


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
        return self.owner.spec if isinstance(self.owner, LazyParameter) else Spec(None)

    def copied(self, array: Array) -> Array:
        """A copy on the device where the array now there lies."""
        return backend_of(*([] if self.array is None else [self.array])).asarray(array).copy()

    def put(self, array: Array | None) -> None:
        """Put an array in its place."""
        setattr(self.owner, self.attribute, array)


Node: TypeAlias = Holder | Parameter | Slot

HOLDERS = (Holder, Parameter, list, tuple, dict)
"""What may hold a part of a layer, or be one."""


def walk(layer: Holder) -> Iterator[tuple[str, Node]]:
    """A layer and all that it consists of, by path: layers, parameters and buffers, each once, holders first."""
    return _below(layer, "", set())


def label(layer: Holder) -> str:
    """The name of the class in lower case: what messages call a layer that lies in no other."""
    return type(layer).__name__.lower()


def slot_of(node: Parameter | Slot) -> Slot:
    """Where the array of a parameter or buffer is kept."""
    return Slot(node, "data") if isinstance(node, Parameter) else node


def _below(node: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Node]]:
    seen.add(id(node))
    if isinstance(node, (Holder, Parameter)):
        yield path, node
    buffers = node._buffers if isinstance(node, Holder) else ()
    for name, member in _members(node):
        if name in buffers:
            yield f"{path}.{name}" if path else name, Slot(node, name)
        elif isinstance(member, HOLDERS) and id(member) not in seen:
            yield from _below(member, f"{path}.{name}" if path else str(name), seen)


def _members(node: Any) -> list[tuple[Any, Any]]:
    """What a layer or container holds directly; a list of its own, so that the holder may be changed meanwhile."""
    if isinstance(node, Holder):
        return list(node.__dict__.items())
    if isinstance(node, Parameter):
        return []
    return list(node.items()) if isinstance(node, dict) else list(enumerate(node))
