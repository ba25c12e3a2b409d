"""Partial loading of a state: renamed, missing and unexpected names, and shapes that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from passus.errors import DTypeError, WeightsError, kind_of
from passus.tree import MAX_LISTED, compare

__all__ = ["Loaded", "Rename", "check_level", "fitting", "renamed", "untied"]

Rename: TypeAlias = Mapping[str, str] | Callable[[str], str | None]
"""Maps names in a file to names in a model: a dict of names or prefixes, or a function, which returns None to skip an
array."""


class Loaded(NamedTuple):
    """The outcome of partial loading, for each array.

    >>> Loaded(["l1.W", "l1.b"], ["l2.W"], ["head.W"], [])
    Loaded(2 taken; missing: l2.W; unexpected: head.W)
    """

    taken: list[str]
    """Loaded arrays, by their names in the model."""
    missing: list[str]
    """Arrays of the model that are not in the state; unchanged."""
    unexpected: list[str]
    """Arrays of the state that are not in the model, by their names after renaming."""
    misfits: list[str]
    """Arrays with another shape or dtype in the state; unchanged."""

    def __repr__(self) -> str:
        entries = [f"{len(self.taken)} taken"]
        for name, paths in zip(self._fields[1:], self[1:]):
            if paths:
                more = [f"and {len(paths) - MAX_LISTED} more"] if len(paths) > MAX_LISTED else []
                entries.append(f"{name}: {', '.join(paths[:MAX_LISTED] + more)}")
        return f"Loaded({'; '.join(entries)})"


def renamed(state: Mapping[str, Any], prefix: str, rename: Rename | None, where: str) -> dict[str, Any]:
    """The arrays of a state whose names begin with ``prefix``, without the prefix and renamed.

    Raises `WeightsError` if no name has the prefix, or if two arrays get the same name.

    >>> renamed({"net.body.W": 1, "net.head.W": 2, "step": 3}, "net", {"body": "encoder"}, "example")
    {'encoder.W': 1, 'head.W': 2}
    """
    prefix = prefix.removesuffix(".")
    start = f"{prefix}." if prefix else ""
    given = {path.removeprefix(start): x for path, x in state.items() if path.startswith(start)}
    if state and not given:
        raise WeightsError(f"{where}: nothing is named {prefix!r}; there are {_first_names(state)}")
    names = {path: _new_name(path, rename) for path in given}
    result: dict[str, Any] = {}
    for path, name in names.items():
        if name in result:
            twice = [old for old, new in names.items() if new == name]
            raise WeightsError(f"{where}: {' and '.join(twice)} are both renamed to {name}. Nothing was changed")
        if name is not None:
            result[name] = given[path]
    return result


def check_level(names: Iterable[str], given: Iterable[str], prefix: str, where: str) -> None:
    """Raise `WeightsError` with the prefix to give, if a state has all names of a model under another prefix only.

    >>> check_level(["l1.W"], ["loader.order", "model.l1.W"], "", "best.safetensors")
    Traceback (most recent call last):
        ...
    passus.errors.WeightsError: best.safetensors: the names begin with 'model.', as in a checkpoint; write prefix='model'. Nothing was changed
    """
    names, given = list(names), set(given)
    if not names or not given.isdisjoint(names):
        return
    starts = [path.removesuffix(f".{names[0]}") for path in given if path.endswith(f".{names[0]}")]
    for start in sorted(starts, key=len):
        if all(f"{start}.{name}" in given for name in names):
            whole = ".".join(filter(None, [prefix.removesuffix("."), start]))
            raise WeightsError(
                f"{where}: the names begin with '{whole}.', as in a checkpoint; write prefix={whole!r}. Nothing was changed"
            )


def _new_name(path: str, rename: Rename | None) -> str | None:
    if rename is None:
        return path
    if isinstance(rename, Mapping):
        # The longest matching prefix wins.
        prefixes = {old.removesuffix("."): new.removesuffix(".") for old, new in rename.items()}
        fitting = [old for old in prefixes if path == old or path.startswith(f"{old}.")]
        old = max(fitting, key=len, default=None)
        return path if old is None else f"{prefixes[old]}{path[len(old) :]}".lstrip(".")
    if not callable(rename):
        raise DTypeError(f"rename is {kind_of(rename)}; give a dict of names, or a function of a name")
    return rename(path)


def untied(state: Mapping[str, Any], aliases: Mapping[str, str], where: str) -> dict[str, Any]:
    """A state with only the first name of each parameter that has several names in the model.

    Raises `WeightsError` if the state has different arrays for one parameter.

    >>> untied({"embed.W": np.ones(1), "head.W": np.ones(1)}, {"head.W": "embed.W"}, "example")
    {'embed.W': array([1.])}
    """
    result: dict[str, Any] = {}
    for path, array in state.items():
        name = aliases.get(path, path)
        if name in result and not _equal(result[name], array):
            raise WeightsError(
                f"{where}: {path} and {name} are one parameter of the model, but differ in the state. "
                "Nothing was changed"
            )
        result.setdefault(name, array)
    return result


def fitting(expected: Mapping[str, Any], given: Mapping[str, Any], where: str) -> Loaded:
    """Determine which arrays of a state fit a model.

    Raises `WeightsError` if none fits: the names may have a prefix, or the file belongs to another model.

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
            f"{where}: nothing fits. The state has {_first_names(given)}, and the model {_first_names(expected)}; see prefix "
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


def _first_names(state: Mapping[str, Any]) -> str:
    """The first few names, for messages."""
    names = list(state)
    return ", ".join(names[:5] + (["..."] if len(names) > 5 else [])) or "nothing"
