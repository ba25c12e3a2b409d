"""Named trees: nested dicts whose leaves are arrays, numbers or names. All state in passus is one.

A path joins the names on the way to a leaf with dots: ``encoder.l2.W``. Everything that has state offers
``state_dict()``, which returns such a tree, and ``load_state_dict(tree)``, which takes it back, all or nothing.

>>> flatten({"l1": {"W": 1, "b": 2}, "step": 3})
{'l1.W': 1, 'l1.b': 2, 'step': 3}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

from passus.errors import ArgumentError, WeightsError

__all__ = ["Stateful", "Tree", "compare", "flatten", "unflatten"]

Tree: TypeAlias = dict[str, Any]
"""A nested dict with names as keys."""


@runtime_checkable
class Stateful(Protocol):
    """Anything whose state can be saved: models, optimizers, schedules, loaders."""

    def state_dict(self) -> Tree:
        """The whole state, in arrays of its own or of the object; the caller only reads it."""

    def load_state_dict(self, state: Tree) -> None:
        """Take back a state, all or nothing."""


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a tree by their paths, in order; an empty dict inside is a leaf, so that nothing is lost.

    Raises `ArgumentError` for a name that is no string, or holds a dot where ``unflatten`` would then split it.
    """
    leaves: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [(prefix, tree)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, Mapping) and (node or not path):
            for name in node:
                if not isinstance(name, str) or not name:
                    raise ArgumentError(
                        f"flatten: the name {name!r} in {path or 'the tree'} is not a string with letters"
                    )
            waiting += [(f"{path}.{name}" if path else name, child) for name, child in reversed(list(node.items()))]
        else:
            leaves[path] = node
    return leaves


def unflatten(leaves: Mapping[str, Any]) -> Tree:
    """The tree of leaves named by paths; the inverse of `flatten`.

    Raises `ArgumentError` if a path goes on below a leaf.

    >>> unflatten({"l1.W": 1, "l1.b": 2})
    {'l1': {'W': 1, 'b': 2}}
    """
    tree: Tree = {}
    for path, leaf in leaves.items():
        *way, name = path.split(".")
        node = tree
        for step in way:
            node = node.setdefault(step, {})
            if not isinstance(node, dict):
                raise ArgumentError(f"unflatten: {path} goes on below a leaf")
        node[name] = leaf
    return tree


def compare(expected: Mapping[str, Any], given: Mapping[str, Any], what: str) -> None:
    """Check that two flat dicts of arrays have the same names, shapes and kinds of numbers.

    Raises `WeightsError` with the whole list of what is missing, extra, or of another shape or dtype.
    """
    faults = [_listed("missing", [name for name in expected if name not in given])]
    faults.append(_listed("extra", [name for name in given if name not in expected]))
    both = [(name, expected[name], given[name]) for name in expected if name in given]
    faults.append(
        _listed("of another shape", [f"{n} {b.shape} instead of {a.shape}" for n, a, b in both if a.shape != b.shape])
    )
    faults.append(
        _listed("of another dtype", [f"{n} {b.dtype} instead of {a.dtype}" for n, a, b in both if a.dtype != b.dtype])
    )
    found = [fault for fault in faults if fault]
    if found:
        raise WeightsError(f"{what}: does not fit: " + "; ".join(found) + ". Nothing was changed")


def _listed(kind: str, names: Iterable[str]) -> str:
    names = list(names)
    return f"{kind}: {', '.join(names)}" if names else ""
