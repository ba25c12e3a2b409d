"""The walk through a model that finds its parameters, buffers and layers: to count, freeze, save and load them.

The nodes of a layer are read from its attributes: parameters, buffers, random generators, other layers, and lists,
tuples and dicts of these, in the order of first assignment. There is no registry that could disagree with the
attributes. `named_parameters` caches the result of a walk, because each training step needs it twice, until any layer
changes.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from passus.core import Parameter
from passus.errors import DTypeError, WeightsError
from passus.layers.nodes import LEAF_TYPES, SKIPPED, LayerBase, Node, StateRef, label
from passus.tree import Spec

__all__ = ["aliases", "invalidate", "members", "named_parameters", "set_option", "version", "walk"]


def walk(layer: LayerBase) -> list[tuple[str, Node]]:
    """A layer and all nodes below it with their paths, each once, parents before children.

    Raises `DTypeError` for a set that contains a node, `WeightsError` for two nodes with one path.
    """
    return _Walk(layer).found


def aliases(layer: LayerBase) -> dict[str, str]:
    """The other paths of nodes with several paths, such as tied weights, mapped to the first path of each."""
    new = _Walk(layer)
    first = {id(node): path for path, node in new.found}
    names: dict[str, str] = {}
    for alias, node in new.again:
        start = first[id(node)]
        below = [path for path in first.values() if path == start or path.startswith(f"{start}." if start else "")]
        names |= {f"{alias}{path[len(start) :]}" if start else f"{alias}.{path}": path for path in below}
    return names


def named_parameters(layer: LayerBase) -> list[tuple[str, Parameter]]:
    """The parameters with their paths; walks again only if a layer may have changed since the last walk.

    A node written into the ``__dict__`` of a layer directly is not noticed.
    """
    cached: _Parameters | None = layer.__dict__.get("_parameters")
    if cached is None or not cached.valid():
        version = _version[0]
        new = _Walk(layer)
        named = [(path, node) for path, node in new.found if isinstance(node, Parameter)]
        cached = layer.__dict__["_parameters"] = _Parameters(version, new.containers, named)
    return cached.named


def invalidate() -> None:
    """Discard the cached walks of all layers: an attribute of some layer may have gained or lost a node."""
    _version[0] = object()


def set_option() -> None:
    """Tell recorded steps that an attribute of some layer, which holds no node, may have another value."""
    _options[0] = object()


def version() -> tuple[object, object]:
    """Identifies the structure of all layers, and their other attributes: another object after each change."""
    return _version[0], _options[0]


_options = [object()]
"""Identifies the attributes of all layers that hold no nodes."""

_version = [object()]
"""Identifies the current structure of all layers; another object after each change."""


class _Parameters(NamedTuple):
    """The parameters that a walk found, with everything that the result depends on."""

    version: object
    containers: list[tuple[Any, tuple[Any, ...]]]
    named: list[tuple[str, Parameter]]

    def valid(self) -> bool:
        """Whether a new walk would find the same."""
        return self.version is _version[0] and all(_unchanged(node, known) for node, known in self.containers)


class _Walk:
    """The nodes found in a layer, and the lists and dicts on the way with their members at that time."""

    def __init__(self, layer: LayerBase) -> None:
        self.layer = layer
        self.found: list[tuple[str, Node]] = []
        self.containers: list[tuple[Any, tuple[Any, ...]]] = []
        self.again: list[tuple[str, LayerBase | Parameter]] = []
        """Further paths to nodes that were found before."""
        self._seen: set[int] = set()
        self._visit(layer, "")
        self._check_names()

    def _visit(self, node: Any, path: str) -> None:
        self._seen.add(id(node))
        buffers: Mapping[str, Spec] = {}
        skipped: tuple[str, ...] = ()
        if isinstance(node, LayerBase):
            self.found.append((path, node))
            buffers, skipped = node._buffers, SKIPPED
        elif isinstance(node, (list, dict)):
            self.containers.append((node, members(node)))
        prefix = f"{path}." if path else ""
        for name, member in self._named_members(node, path):
            if name in buffers:
                self.found.append((f"{prefix}{name}", StateRef(node, name)))
            elif type(member) in LEAF_TYPES or name in skipped:
                continue
            elif id(member) in self._seen:
                if isinstance(member, (LayerBase, Parameter)):
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
        if isinstance(node, LayerBase):
            return node.__dict__.items()
        if isinstance(node, dict):
            return node.items()
        if isinstance(node, (list, tuple)):
            return enumerate(node)
        if isinstance(node, (set, frozenset)) and any(isinstance(member, (LayerBase, Parameter)) for member in node):
            raise DTypeError(f"{label(self.layer)}.{path}: a set has no order by which to name its parts; use a list")
        return ()


def members(node: Any) -> tuple[Any, ...]:
    """The members of a list, or the keys and values of a dict.

    >>> members({"a": 1})
    ('a', 1)
    """
    return (*node, *node.values()) if isinstance(node, dict) else tuple(node)


def _unchanged(node: Any, known: tuple[Any, ...]) -> bool:
    """Whether a list or dict still contains exactly these objects."""
    now = members(node)
    return len(now) == len(known) and all(map(operator.is_, now, known))
