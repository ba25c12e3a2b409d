"""The state of an optimizer as a tree: how it is named, checked and taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from passus.backend import Array, copied
from passus.errors import ArgumentError
from passus.tree import Tree, check_tree, compare, flatten

__all__ = ["SlotArrays", "Slots", "as_arrays", "read_arrays", "slot_leaves"]


class SlotArrays(dict[str, Array]):
    """The slots of one parameter, or of several together, by name. Assigning to one writes into its array.

    So ``slots["v"] = 0.9 * slots["v"] + g`` is kept, wherever the array is a part of another one. Raises `ArgumentError`
    for a name that was not declared.

    >>> v = np.zeros(2)
    >>> SlotArrays(v=v)["v"] = np.ones(2)
    >>> v
    array([1., 1.])
    """

    def __missing__(self, name: str) -> Array:
        declared = ", ".join(map(repr, self)) or "none"
        raise ArgumentError(
            f"slots[{name!r}]: no such slot is declared (declared: {declared}); write in the optimizer "
            f'class: slots = ("{name}",)'
        )

    def __setitem__(self, name: str, value: Any) -> None:
        self[name][...] = value

    def __reduce__(self) -> tuple[Any, ...]:
        return SlotArrays, (dict(self),)  # A copy is made with its names, for they cannot be added to an empty one.

    def setdefault(self, name: str, default: Any = None) -> Array:
        return self[name]


@dataclass
class Slots:
    """What an optimizer remembers of one parameter: how often it was updated, what it looks like, and arrays."""

    step: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    arrays: dict[str, Array]


def slot_leaves(path: str, slots: Slots) -> dict[str, Any]:
    """The leaves that hold the slots of one parameter.

    >>> slot_leaves("l1.W", Slots(3, (), np.dtype(float), {"v": np.array(0.5)}))
    {'slots.l1.W.step': 3, 'slots.l1.W.v': array(0.5)}
    """
    return {f"slots.{path}.step": slots.step} | {f"slots.{path}.{name}": x for name, x in slots.arrays.items()}


def as_arrays(leaves: Mapping[str, Any]) -> dict[str, Array]:
    """Numbers, pairs and names as arrays, which is how they come back from a file; all else as it is."""
    return {name: np.asarray(leaf) if _is_plain(leaf) else leaf for name, leaf in leaves.items()}


def _is_plain(leaf: Any) -> bool:
    """Whether it is a number or a name, or a few of them."""
    few = leaf if isinstance(leaf, (tuple, list)) and len(leaf) < 10 else (leaf,)
    return all(isinstance(part, (bool, int, float, str, np.generic)) for part in few)


def read_arrays(state: Tree, name: str, params: Mapping[str, Array], what: str) -> dict[str, Array]:
    """Copies of the arrays under ``name``, by path, each like the parameter of its path; an empty tree may be missing.

    Raises `WeightsError` with the list of what does not fit.

    >>> read_arrays({"sums": {"l1": {"b": np.zeros(1)}}}, "sums", {"l1.b": np.ones(1)}, "example")
    {'l1.b': array([0.])}
    """
    tree = state.get(name) or {}
    check_tree(f"{what}, {name}", tree)
    given = as_arrays(flatten(tree))
    compare({path: x for path, x in params.items() if path in given}, given, what)
    return {path: copied(x) for path, x in given.items()}
