"""Named trees: nested dicts whose leaves are arrays, numbers or names. All state in passus is one.

A path joins the names on the way to a leaf with dots: ``encoder.l2.W``. Everything that has state offers
``state_dict()``, which returns such a tree, and ``load_state_dict(tree)``, which takes it back, all or nothing.

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
"""A nested dict with names as keys."""

DEEPEST = 100
"""How deep a tree may be; what has no end, or would exhaust Python's stack, is none."""

MAX_LISTED = 12
"""Maximum number of names that a message lists per kind of mismatch; a file of another model may have thousands."""


@runtime_checkable
class Stateful(Protocol):
    """Anything whose state can be saved: models, optimizers, schedules, loaders."""

    def state_dict(self) -> Tree:
        """The whole state, in arrays of its own or of the object; the caller only reads it."""

    def load_state_dict(self, state: Tree) -> None:
        """Take back a state, all or nothing."""


class Spec(NamedTuple):
    """What is expected of an array that is not there yet; None stands for anything."""

    shape: tuple[int | None, ...] | None
    dtype: Any = None


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a tree by their paths, in order; an empty dict inside is a leaf, so that nothing is lost.

    Raises `DTypeError` for what is no dict, `ArgumentError` for a name that is no string or empty, and for two leaves
    of one path.

    >>> flatten({"W": 1, "slots": {}}, prefix="l1")
    {'l1.W': 1, 'l1.slots': {}}
    """
    check_tree("flatten", tree)
    leaves: dict[str, Any] = {}
    for path, leaf in _leaves(tree, prefix):
        if path in leaves:
            raise ArgumentError(f"flatten: two leaves are called {path}; a name with a dot in it meets a deeper one")
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
    """The tree of leaves named by paths; the inverse of `flatten` for names without dots.

    Raises `ArgumentError` if a path goes on below a leaf.

    >>> unflatten({"l1.W": 1, "l1.b": 2})
    {'l1': {'W': 1, 'b': 2}}
    """
    tree: Tree = {}
    branches = {id(tree)}  # A leaf may be a dict too, and must not grow.
    for path, leaf in leaves.items():
        *way, name = path.split(".")
        node = tree
        for step in way:
            if step not in node:
                node[step] = {}
                branches.add(id(node[step]))
            node = node[step]
            if id(node) not in branches:
                raise ArgumentError(f"unflatten: {path} goes on below a leaf")
        if name in node:
            raise ArgumentError(f"unflatten: {path} is the name of a leaf and of a branch")
        node[name] = leaf
    return tree


def tree_map(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same dicts, lists and tuples with the results of a function in place of what they hold; None stays None.

    >>> tree_map(abs, {"W": -1, "more": [-2, None]})
    {'W': 1, 'more': [2, None]}
    """
    if structure is None:
        return None
    if isinstance(structure, Mapping):
        return {name: tree_map(function, part) for name, part in structure.items()}
    if isinstance(structure, (list, tuple)):
        parts = [tree_map(function, part) for part in structure]
        return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)
    return function(structure)


def tree_leaves(structure: Any) -> list[Any]:
    """What dicts, lists and tuples hold, however deep, in order.

    >>> tree_leaves({"W": 1, "more": [2, None]})
    [1, 2]
    """
    leaves: list[Any] = []
    tree_map(leaves.append, structure)
    return leaves


def leaves_like(what: str, structure: Any, given: Any) -> list[Any]:
    """The leaves of ``given``, in the order of those of ``structure``, which it must resemble.

    Raises `ArgumentError` where it has other names, or another number of parts; ``what`` is who asks.

    >>> leaves_like("jvp", {"W": 1, "b": 2}, {"b": 20, "W": 10})
    [10, 20]
    """
    if structure is None:
        return []
    if isinstance(structure, Mapping):
        if not isinstance(given, Mapping) or given.keys() != structure.keys():
            names = ", ".join(map(str, given)) if isinstance(given, Mapping) else f"{kind_of(given)}"
            raise ArgumentError(
                f"{what}: a dict with {', '.join(map(str, structure))} is needed, and {names} was given"
            )
        pairs = [(structure[name], given[name]) for name in structure]
    elif isinstance(structure, (list, tuple)):
        if not isinstance(given, (list, tuple)) or len(given) != len(structure):
            count = str(len(given)) if isinstance(given, (list, tuple)) else f"{kind_of(given)}"
            raise ArgumentError(f"{what}: there must be {len(structure)} parts, and {count} were given")
        pairs = list(zip(structure, given))
    else:
        return [given]
    return [leaf for part, own in pairs for leaf in leaves_like(what, part, own)]


def check_tree(what: str, state: Any, names: Iterable[str] = ()) -> None:
    """Raise `DTypeError` unless a state is a dict, `WeightsError` unless it has these names and is not too deep.

    ``what`` is who asks, for the message.

    >>> check_tree("SGD.load_state_dict", {"step": 3}, ["step"])
    """
    if not isinstance(state, Mapping):
        raise DTypeError(f"{what}: {kind_of(state)} is not a state; give the dict that state_dict() returned")
    missing = [name for name in names if name not in state]
    if missing:
        raise WeightsError(f"{what}: missing: {', '.join(missing)}. Nothing was changed")
    level: list[Any] = [state]
    for _ in range(DEEPEST):
        below = (child for node in level for child in (node.values() if isinstance(node, Mapping) else node))
        # Each once: the same list may be in many places.
        level = list({id(node): node for node in below if isinstance(node, (Mapping, list, tuple))}.values())
        if not level:
            return
    raise WeightsError(f"{what}: the state is more than {DEEPEST} levels deep, as no state is. Nothing was changed")


def compare(expected: Mapping[str, Any], given: Mapping[str, Any], what: str, fix: str = "") -> None:
    """Check that two flat dicts of arrays have the same names, shapes and kinds of numbers.

    An expected array may be a `Spec`. ``what`` is who asks, and ``fix`` how to mend another dtype, for the message.
    Raises `WeightsError` that lists what is missing, extra, or of another shape or dtype.

    >>> import numpy as np
    >>> compare({"W": Spec((None, 3))}, {"W": np.zeros((2, 3))}, "Linear")
    """
    both = [(name, expected[name], given[name]) for name in expected if _is_array(given.get(name))]
    shapes = [f"{n} {b.shape} instead of {_shown(a.shape)}" for n, a, b in both if not _fits(a.shape, b.shape)]
    # Not `in (None, b.dtype)`: to NumPy, None is the name of float64.
    differing = [(n, a, b) for n, a, b in both if a.dtype is not None and a.dtype != b.dtype]
    dtypes = [f"{n} {b.dtype} instead of {a.dtype}" for n, a, b in differing]
    faults = [
        *_listed("missing", [name for name in expected if name not in given]),
        *_listed("extra", [name for name in given if name not in expected]),
        *_listed("no array", [n for n in expected if n in given and not _is_array(given[n])]),
        *_listed("of another shape", shapes),
        *_listed("of another dtype", dtypes),
    ]
    if faults:
        hint = f" {fix}." if fix and dtypes else ""
        raise WeightsError(f"{what}: the state does not fit. {'; '.join(faults)}.{hint} Nothing was changed")


def _is_array(x: Any) -> bool:
    return isinstance(getattr(x, "shape", None), tuple) and hasattr(x, "dtype")


def _fits(expected: tuple[int | None, ...] | None, given: tuple[int, ...]) -> bool:
    if expected is None:
        return True
    return len(expected) == len(given) and all(n in (None, m) for n, m in zip(expected, given))


def _shown(shape: tuple[int | None, ...]) -> str:
    """A shape with a question mark for each length that is not known."""
    return str(shape).replace("None", "?")


def _listed(kind: str, names: list[str]) -> list[str]:
    more = [f"and {len(names) - MAX_LISTED} more"] if len(names) > MAX_LISTED else []
    return [f"{kind}: {', '.join([str(name)[:200] for name in names[:MAX_LISTED]] + more)}"] if names else []
