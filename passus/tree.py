"""Named trees: nested dicts whose leaves are arrays, numbers or strings. All state in passus is such a tree.

A path joins the keys from the root to a leaf with dots: ``encoder.l2.W``. Every object with state has ``state_dict()``, which
returns a tree, and ``load_state_dict(tree)``, which loads all of it or nothing.

>>> flatten({"l1": {"W": 1, "b": 2}, "step": 3})
{'l1.W': 1, 'l1.b': 2, 'step': 3}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from passus.errors import ArgumentError, DTypeError, WeightsError, kind_of

__all__ = [
    "Spec",
    "Stateful",
    "Tree",
    "check_tree",
    "compare",
    "flatten",
    "leaves_like",
    "tree_leaves",
    "tree_map",
    "unflatten",
]

Tree: TypeAlias = dict[str, Any]
"""A nested dict with strings as keys."""

MAX_DEPTH = 100
"""Maximum depth of a tree; deeper ones may be cyclic, or exhaust Python's stack."""

MAX_LISTED = 12
"""Maximum number of names that a message lists per kind of mismatch; a file of another model may have thousands."""


@runtime_checkable
class Stateful(Protocol):
    """An object whose state can be saved, such as a model, an optimizer, a schedule or a loader."""

    def state_dict(self) -> Tree:
        """The complete state; the caller must not modify its arrays."""

    def load_state_dict(self, state: Tree) -> None:
        """Load a state, all of it or nothing."""


class Spec(NamedTuple):
    """The expected shape and dtype of an array that does not exist yet; None allows any."""

    shape: tuple[int | None, ...] | None
    dtype: Any = None


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a tree by path, in order; empty dicts are leaves, so that they are preserved.

    Raises `DTypeError` unless the tree is a dict, `ArgumentError` for keys that are not non-empty strings, and for two leaves
    with the same path.

    >>> flatten({"W": 1, "slots": {}}, prefix="l1")
    {'l1.W': 1, 'l1.slots': {}}
    """
    check_tree("flatten", tree)
    leaves: dict[str, Any] = {}
    for path, leaf in _leaves(tree, prefix):
        if path in leaves:
            raise ArgumentError(f"flatten: two leaves have the path {path}; avoid dots in names")
        leaves[path] = leaf
    return leaves


def _leaves(tree: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, child in tree.items():
        if not isinstance(name, str) or not name:
            raise ArgumentError(
                f"flatten: {kind_of(name)} in {path or 'the tree'} cannot be a name; names are non-empty strings"
            )
        below = f"{path}.{name}" if path else name
        if isinstance(child, Mapping) and child:
            yield from _leaves(child, below)
        else:
            yield below, child


def unflatten(leaves: Mapping[str, Any]) -> Tree:
    """The tree of leaves given by path; the inverse of `flatten` for names without dots.

    Raises `ArgumentError` if one path is a prefix of another.

    >>> unflatten({"l1.W": 1, "l1.b": 2})
    {'l1': {'W': 1, 'b': 2}}
    """
    tree: Tree = {}
    branches = {id(tree)}  # Leaves can be dicts, too, and must not be extended.
    for path, leaf in leaves.items():
        *parents, name = path.split(".")
        node = tree
        for parent in parents:
            if parent not in node:
                node[parent] = {}
                branches.add(id(node[parent]))
            node = node[parent]
            if id(node) not in branches:
                raise ArgumentError(
                    f"unflatten: {path} extends the path of a leaf; a path must not be a prefix of another"
                )
        if name in node:
            raise ArgumentError(
                f"unflatten: {path} is both a leaf and a branch; a path must not be a prefix of another"
            )
        node[name] = leaf
    return tree


def tree_map(function: Callable[[Any], Any], structure: Any) -> Any:
    """Apply a function to all leaves of nested dicts, lists and tuples; None is unchanged.

    >>> tree_map(abs, {"W": -1, "more": [-2, None]})
    {'W': 1, 'more': [2, None]}
    """
    if structure is None:
        return None
    if isinstance(structure, Mapping):
        return {name: tree_map(function, child) for name, child in structure.items()}
    if isinstance(structure, (list, tuple)):
        children = [tree_map(function, child) for child in structure]
        return type(structure)(*children) if hasattr(structure, "_fields") else type(structure)(children)
    return function(structure)


def tree_leaves(structure: Any) -> list[Any]:
    """The leaves of nested dicts, lists and tuples, in order.

    >>> tree_leaves({"W": 1, "more": [2, None]})
    [1, 2]
    """
    leaves: list[Any] = []
    tree_map(leaves.append, structure)
    return leaves


def leaves_like(where: str, structure: Any, given: Any) -> list[Any]:
    """The leaves of ``given``, which must have the structure ``structure``, in the order of its leaves.

    Raises `ArgumentError` for other keys or lengths; ``where``: the caller, for the message.

    >>> leaves_like("jvp", {"W": 1, "b": 2}, {"b": 20, "W": 10})
    [10, 20]
    """
    if structure is None:
        return []
    if isinstance(structure, Mapping):
        if not isinstance(given, Mapping) or given.keys() != structure.keys():
            names = ", ".join(map(str, given)) if isinstance(given, Mapping) else f"{kind_of(given)}"
            raise ArgumentError(f"{where}: expected a dict with {', '.join(map(str, structure))}, not {names}")
        pairs = [(structure[name], given[name]) for name in structure]
    elif isinstance(structure, (list, tuple)):
        if not isinstance(given, (list, tuple)) or len(given) != len(structure):
            count = str(len(given)) if isinstance(given, (list, tuple)) else f"{kind_of(given)}"
            raise ArgumentError(f"{where}: expected {len(structure)} items, not {count}")
        pairs = list(zip(structure, given))
    else:
        return [given]
    return [leaf for child, value in pairs for leaf in leaves_like(where, child, value)]


def check_tree(where: str, state: Any, names: Iterable[str] = ()) -> None:
    """Raise `DTypeError` unless a state is a dict, `WeightsError` unless it has these keys and is not too deep.

    ``where``: the caller, for the message.

    >>> check_tree("SGD.load_state_dict", {"step": 3}, ["step"])
    """
    if not isinstance(state, Mapping):
        raise DTypeError(f"{where}: {kind_of(state)} is not a state; give the dict that state_dict() returned")
    missing = [name for name in names if name not in state]
    if missing:
        raise WeightsError(f"{where}: missing: {', '.join(missing)}. Nothing was changed")
    level: list[Any] = [state]
    for _ in range(MAX_DEPTH):
        below = (child for node in level for child in (node.values() if isinstance(node, Mapping) else node))
        # Each object once, because the same list can occur many times.
        level = list({id(node): node for node in below if isinstance(node, (Mapping, list, tuple))}.values())
        if not level:
            return
    raise WeightsError(f"{where}: the state is more than {MAX_DEPTH} levels deep. Nothing was changed")


def compare(expected: Mapping[str, Any], given: Mapping[str, Any], where: str, fix: str = "") -> None:
    """Check that two flat dicts of arrays have the same names, shapes and dtypes.

    An expected array may be a `Spec`. ``where``: the caller, ``fix``: advice for another dtype, both for the message. Raises
    `WeightsError` with lists of missing and extra arrays, and of those of another shape or dtype.

    >>> import numpy as np
    >>> compare({"W": Spec((None, 3))}, {"W": np.zeros((2, 3))}, "Linear")
    """
    both = [(name, expected[name], given[name]) for name in expected if _is_array(given.get(name))]
    shapes = [f"{n} {b.shape} instead of {_shown(a.shape)}" for n, a, b in both if not _fits(a.shape, b.shape)]
    # Not `in (None, b.dtype)`: NumPy treats None as float64 in comparisons.
    differing = [(n, a, b) for n, a, b in both if a.dtype is not None and a.dtype != b.dtype]
    dtypes = [f"{n} {b.dtype} instead of {a.dtype}" for n, a, b in differing]
    mismatches = [
        *_listed("missing", [name for name in expected if name not in given]),
        *_listed("extra", [name for name in given if name not in expected]),
        *_listed("not an array", [n for n in expected if n in given and not _is_array(given[n])]),
        *_listed("of another shape", shapes),
        *_listed("of another dtype", dtypes),
    ]
    if mismatches:
        hint = f" {fix}." if fix and dtypes else ""
        raise WeightsError(f"{where}: the state does not fit: {'; '.join(mismatches)}.{hint} Nothing was changed")


def _is_array(x: Any) -> bool:
    return isinstance(getattr(x, "shape", None), tuple) and hasattr(x, "dtype")


def _fits(expected: tuple[int | None, ...] | None, given: tuple[int, ...]) -> bool:
    if expected is None:
        return True
    return len(expected) == len(given) and all(n in (None, m) for n, m in zip(expected, given))


def _shown(shape: tuple[int | None, ...]) -> str:
    """A shape with question marks for unknown lengths."""
    return str(shape).replace("None", "?")


def _listed(kind: str, names: list[str]) -> list[str]:
    more = [f"and {len(names) - MAX_LISTED} more"] if len(names) > MAX_LISTED else []
    return [f"{kind}: {', '.join([str(name)[:200] for name in names[:MAX_LISTED]] + more)}"] if names else []
