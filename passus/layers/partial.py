"""Taking a part of a state: other names, names that lack or are too many, shapes that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from passus.errors import DTypeError, WeightsError, kind_of
from passus.tree import MAX_LISTED, compare

__all__ = ["Loaded", "Rename", "fitting", "renamed", "untied"]

Rename: TypeAlias = Mapping[str, str] | Callable[[str], str | None]
"""From names in a file to names in a model: a dict of names, or of the first parts of names, or a function; None leaves
an array out."""


class Loaded(NamedTuple):
    """What became of each array when a part of a state was taken.

    >>> Loaded(["l1.W", "l1.b"], ["l2.W"], ["head.W"], [])
    Loaded(2 taken; missing: l2.W; unexpected: head.W)
    """

    taken: list[str]
    """The names in the model of the arrays that were taken."""
    missing: list[str]
    """What the model has and the state has not; it is as it was."""
    unexpected: list[str]
    """What the state has and the model has not, by its name in the model."""
    misfits: list[str]
    """What both have, in another shape or dtype; it is as it was."""

    def __repr__(self) -> str:
        parts = [f"{len(self.taken)} taken"]
        for name, paths in zip(self._fields[1:], self[1:]):
            if paths:
                more = [f"and {len(paths) - MAX_LISTED} more"] if len(paths) > MAX_LISTED else []
                parts.append(f"{name}: {', '.join(paths[:MAX_LISTED] + more)}")
        return f"Loaded({'; '.join(parts)})"


def renamed(state: Mapping[str, Any], prefix: str, rename: Rename | None, what: str) -> dict[str, Any]:
    """The part of a state under ``prefix``, which is cut off, by new names.

    Raises `WeightsError` if nothing is under the prefix, or if two arrays get one name.

    >>> renamed({"net.body.W": 1, "net.head.W": 2, "step": 3}, "net", {"body": "encoder"}, "example")
    {'encoder.W': 1, 'head.W': 2}
    """
    start = f"{prefix}." if prefix else ""
    given = {path.removeprefix(start): x for path, x in state.items() if path.startswith(start)}
    if state and not given:
        raise WeightsError(f"{what}: nothing is named {prefix!r}; there are {_beginnings(state)}")
    names = {path: _new_name(path, rename) for path in given}
    result: dict[str, Any] = {}
    for path, name in names.items():
        if name in result:
            twice = [old for old, new in names.items() if new == name]
            raise WeightsError(f"{what}: {' and '.join(twice)} are both renamed to {name}. Nothing was changed")
        if name is not None:
            result[name] = given[path]
    return result


def _new_name(path: str, rename: Rename | None) -> str | None:
    if rename is None:
        return path
    if isinstance(rename, Mapping):
        # The longest beginning that is named counts.
        fitting = [old for old in rename if path == old or path.startswith(f"{old}.")]
        old = max(fitting, key=len, default=None)
        return path if old is None else f"{rename[old]}{path[len(old) :]}".lstrip(".")
    if not callable(rename):
        raise DTypeError(f"rename is {kind_of(rename)}; give a dict of names, or a function of a name")
    return rename(path)


def untied(state: Mapping[str, Any], aliases: Mapping[str, str], what: str) -> dict[str, Any]:
    """A state with one name for each array that the model has under several.

    Raises `WeightsError` if a state has different arrays for what is one parameter in the model.

    >>> untied({"embed.W": np.ones(1), "head.W": np.ones(1)}, {"head.W": "embed.W"}, "example")
    {'embed.W': array([1.])}
    """
    result: dict[str, Any] = {}
    for path, array in state.items():
        name = aliases.get(path, path)
        if name in result and not _equal(result[name], array):
            raise WeightsError(
                f"{what}: {path} and {name} are one parameter of the model, but differ in the state. "
                "Nothing was changed"
            )
        result.setdefault(name, array)
    return result


def fitting(expected: Mapping[str, Any], given: Mapping[str, Any], what: str) -> Loaded:
    """Which arrays of a state fit what a model expects.

    Raises `WeightsError` if none does: a prefix is to be cut off, or the file is of another model.

    >>> fitting({"W": np.ones(2), "b": np.ones(1)}, {"W": np.ones(3), "b": np.zeros(1)}, "example")
    Loaded(1 taken; misfits: W)
    """
    both = [path for path in expected if path in given]
    misfits = [path for path in both if not _fits(expected[path], given[path])]
    loaded = Loaded(
        [path for path in both if path not in misfits],
        [path for path in expected if path not in given],
        [path for path in given if path not in expected],
        misfits,
    )
    if not loaded.taken:
        raise WeightsError(
            f"{what}: nothing fits. The state has {_beginnings(given)}, and the model {_beginnings(expected)}; see prefix "
            "and rename. Nothing was changed"
        )
    return loaded


def _fits(expected: Any, given: Any) -> bool:
    try:
        compare({"": expected}, {"": given}, "")
    except WeightsError:
        return False
    return True


def _equal(a: Any, b: Any) -> bool:
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
        return a is b
    return np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f")


def _beginnings(state: Mapping[str, Any]) -> str:
    """The first few names, for messages."""
    names = list(state)
    return ", ".join(names[:5] + (["..."] if len(names) > 5 else [])) or "nothing"
