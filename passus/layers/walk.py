"""The one walk through a layer, from which parameters are counted, frozen, saved and loaded.

What a layer consists of is what its attributes hold: parameters, buffers, other layers, and lists, tuples and dicts of
these, in the order in which they were first assigned. There is no second book-keeping that could disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from passus.backend import Array, backend_of
from passus.core import Parameter
from passus.layers.lazy import LazyParameter
from passus.tree import Spec

__all__ = ["Holder", "REMEMBERED", "Node", "Slot", "label", "slot_of", "walk"]


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

REMEMBERED = ("inputs", "outputs")
"""The attributes in which a layer remembers its last call; they are no parts of it."""

PLAIN = frozenset([int, float, bool, str, type(None), np.ndarray, np.random.Generator, FunctionType])
"""Types of most other attributes: passed over at once, for the walk is part of every training step."""


def walk(layer: Holder) -> list[tuple[str, Node]]:
    """A layer and all that it consists of, by path: layers, parameters and buffers, each once, holders first."""
    found: list[tuple[str, Node]] = []
    _gather(layer, "", set(), found)
    return found


def label(layer: Holder) -> str:
    """The name of the class in lower case: what messages call a layer that lies in no other."""
    return type(layer).__name__.lower()


def slot_of(node: Parameter | Slot) -> Slot:
    """Where the array of a parameter or buffer is kept."""
    return Slot(node, "data") if isinstance(node, Parameter) else node


def _gather(node: Any, path: str, seen: set[int], found: list[tuple[str, Node]]) -> None:
    seen.add(id(node))
    members: Iterable[tuple[Any, Any]] = ()
    buffers: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    if isinstance(node, Holder):
        found.append((path, node))
        members, buffers, passed_over = node.__dict__.items(), node._buffers, REMEMBERED
    elif isinstance(node, dict):
        members = node.items()
    elif isinstance(node, (list, tuple)):
        members = enumerate(node)
    prefix = f"{path}." if path else ""
    for name, member in members:
        if name in buffers:
            found.append((f"{prefix}{name}", Slot(node, name)))
        elif type(member) in PLAIN or name in passed_over or id(member) in seen:
            continue
        elif isinstance(member, Parameter):
            seen.add(id(member))
            found.append((f"{prefix}{name}", member))
        else:
            _gather(member, f"{prefix}{name}", seen, found)
