"""The one walk through a layer, from which parameters are counted, frozen, saved and loaded.

What a layer consists of is what its attributes hold: parameters, buffers, random generators, other layers, and lists,
tuples and dicts of these, in the order in which they were first assigned. There is no second book-keeping that could
disagree: what `learnt` remembers of a walk, for each training step needs it twice, counts only until the next change.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from types import FunctionType, MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from passus.backend import Array, backend_of
from passus.core import Parameter, Variable
from passus.errors import DTypeError, WeightsError
from passus.layers.lazy import LazyParameter
from passus.tree import Spec

__all__ = ["Holder", "PLAIN", "REMEMBERED", "Node", "Slot", "changed", "label", "learnt", "slot_of", "walk"]


class Holder:
    """What has parts: the root of `passus.layers.Layer`."""

    _buffers: Mapping[str, Spec] = MappingProxyType({})
    """The attributes that hold arrays which are saved but not learnt, and what those not there yet will be like."""


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
        """A copy on the device where the array now there lies."""
        return backend_of(*([] if self.array is None else [self.array])).asarray(array).copy()

    def put(self, array: Array | None) -> None:
        """Put an array in its place."""
        setattr(self.owner, self.attribute, array)


Node: TypeAlias = Holder | Parameter | Slot | np.random.Generator

REMEMBERED = ("inputs", "outputs", "_learnt")
"""The attributes in which a layer remembers its last call and its last walk; they are no parts of it."""

NO_PARTS = (*REMEMBERED, "_buffers")

PLAIN = frozenset([int, float, bool, str, type(None), np.ndarray, Variable, FunctionType])
"""Types of most other attributes, passed over at once: they are no parts, and hold none."""


def walk(layer: Holder) -> list[tuple[str, Node]]:
    """A layer and all that it consists of, by path, each once, holders first.

    Raises `DTypeError` for a set with a part in it, `WeightsError` for two parts of one path.
    """
    return _Walk(layer).found


def learnt(layer: Holder) -> list[tuple[str, Parameter]]:
    """The parameters by path, from a new walk only if something may have changed since the last one."""
    known: _Learnt | None = layer.__dict__.get("_learnt")
    if known is None or not known.holds():
        structure = _structure[0]
        new = _Walk(layer)
        named = [(path, node) for path, node in new.found if isinstance(node, Parameter)]
        known = layer.__dict__["_learnt"] = _Learnt(structure, new.containers, named)
    return known.named


def changed() -> None:
    """Take note that an attribute of some layer got or lost a part, or may have."""
    _structure[0] = object()


def label(layer: Holder) -> str:
    """The name of the class in lower case: what messages call a layer that lies in no other."""
    return type(layer).__name__.lower()


def slot_of(node: Parameter | Slot) -> Slot:
    """Where the array of a parameter or buffer is kept."""
    return Slot(node, "data") if isinstance(node, Parameter) else node


_structure = [object()]
"""Stands for what the attributes of all layers hold: another object after each change."""


class _Learnt(NamedTuple):
    """The parameters that a walk found, and all on which that depended."""

    structure: object
    containers: list[tuple[Any, tuple[Any, ...]]]
    named: list[tuple[str, Parameter]]

    def holds(self) -> bool:
        """Whether a walk would find the same again."""
        return self.structure is _structure[0] and all(_holds(node, held) for node, held in self.containers)


class _Walk:
    """What is found on the way through a layer, and the lists and dicts that were met, with what they held."""

    def __init__(self, layer: Holder) -> None:
        self.layer = layer
        self.found: list[tuple[str, Node]] = []
        self.containers: list[tuple[Any, tuple[Any, ...]]] = []
        self._seen: set[int] = set()
        self._visit(layer, "")
        self._check_names()

    def _visit(self, node: Any, path: str) -> None:
        self._seen.add(id(node))
        buffers: Mapping[str, Spec] = {}
        passed_over: tuple[str, ...] = ()
        if isinstance(node, Holder):
            self.found.append((path, node))
            buffers, passed_over = node._buffers, NO_PARTS
        elif isinstance(node, (list, dict)):
            self.containers.append((node, _members(node)))
        prefix = f"{path}." if path else ""
        for name, member in self._named_members(node, path):
            if name in buffers:
                self.found.append((f"{prefix}{name}", Slot(node, name)))
            elif type(member) in PLAIN or name in passed_over or id(member) in self._seen:
                continue
            elif isinstance(member, (Parameter, np.random.Generator)):
                self._seen.add(id(member))
                self.found.append((f"{prefix}{name}", member))
            else:
                self._visit(member, f"{prefix}{name}")

    def _check_names(self) -> None:
        paths = [path for path, _ in self.found]
        if len(set(paths)) < len(paths):
            twice = next(path for path in paths if paths.count(path) > 1)
            raise WeightsError(f"{label(self.layer)}: two parts are called {twice}; rename one of them")

    def _named_members(self, node: Any, path: str) -> Iterable[tuple[Any, Any]]:
        if isinstance(node, Holder):
            return node.__dict__.items()
        if isinstance(node, dict):
            return node.items()
        if isinstance(node, (list, tuple)):
            return enumerate(node)
        if isinstance(node, (set, frozenset)) and any(isinstance(part, (Holder, Parameter)) for part in node):
            raise DTypeError(f"{label(self.layer)}.{path}: a set has no order by which to name its parts; use a list")
        return ()


def _members(node: Any) -> tuple[Any, ...]:
    return (*node, *node.values()) if isinstance(node, dict) else tuple(node)


def _holds(node: Any, members: tuple[Any, ...]) -> bool:
    """Whether a list or dict still holds the very same members."""
    now = _members(node)
    return len(now) == len(members) and all(map(operator.is_, now, members))
