"""The one walk through a layer, from which parameters are counted, frozen, saved and loaded.

What a layer consists of is what its attributes hold: parameters, buffers, random generators, other layers, and lists,
tuples and dicts of these, in the order in which they were first assigned. There is no second book-keeping that could
disagree: what `learnt` remembers of a walk, for each training step needs it twice, counts only until the next change.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from passus.core import Parameter
from passus.errors import DTypeError, WeightsError
from passus.layers.parts import NO_PARTS, PLAIN, Holder, Node, Slot, label
from passus.tree import Spec

__all__ = ["aliases", "changed", "learnt", "walk"]


def walk(layer: Holder) -> list[tuple[str, Node]]:
    """A layer and all that it consists of, by path, each once, holders first.

    Raises `DTypeError` for a set with a part in it, `WeightsError` for two parts of one path.
    """
    return _Walk(layer).found


def aliases(layer: Holder) -> dict[str, str]:
    """The other names of what is reached in several ways, such as tied weights, and the first name of each."""
    new = _Walk(layer)
    first = {id(node): path for path, node in new.found}
    names: dict[str, str] = {}
    for alias, node in new.again:
        start = first[id(node)]
        below = [path for path in first.values() if path == start or path.startswith(f"{start}." if start else "")]
        names |= {f"{alias}{path[len(start) :]}" if start else f"{alias}.{path}": path for path in below}
    return names


def learnt(layer: Holder) -> list[tuple[str, Parameter]]:
    """The parameters by path, from a new walk only if something may have changed since the last one.

    A part written past the layer, straight into its ``__dict__``, does not count as a change.
    """
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
        self.again: list[tuple[str, Holder | Parameter]] = []
        """Other ways to what was found before."""
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
            elif type(member) in PLAIN or name in passed_over:
                continue
            elif id(member) in self._seen:
                if isinstance(member, (Holder, Parameter)):
                    self.again.append((f"{prefix}{name}", member))
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
