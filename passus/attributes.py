"""Snapshots of the attributes that a call changes, so that it can be repeated or undone.

Changes are assignments to attributes, such as the state of a recurrent layer, and in-place writes into arrays, such as
running averages. The states of random generators are saved in `passus.random`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from passus.scopes import collected_records

__all__ = [
    "ABSENT",
    "Key",
    "Snapshot",
    "Snapshots",
    "attribute_snapshots",
    "preserved_attributes",
    "restore",
    "restored_attributes",
    "snapshot",
    "unobserved",
    "value_before_restore",
]

ABSENT: Any = object()
"""The value of an attribute that does not exist."""


class Snapshot(NamedTuple):
    """The earlier value of an attribute, or of an array that is written in place, with the name None."""

    owner: Any
    name: str | None
    value: Any

    @property
    def current(self) -> Any:
        """The current value of the attribute, or a copy of the array."""
        return self.owner.copy() if self.name is None else getattr(self.owner, self.name, ABSENT)


Key: TypeAlias = tuple[int, str | None]
Snapshots: TypeAlias = dict[Key, Snapshot]
"""The earliest snapshot of each attribute and array."""

_snapshots: ContextVar[Snapshots | None] = ContextVar("attribute snapshots", default=None)

_before: ContextVar[Mapping[Key, Any]] = ContextVar("values before a repetition", default=MappingProxyType({}))


def snapshot(owner: Any, *names: str | None) -> None:
    """Save the values of attributes before a call assigns to them; the name None saves the elements of an array.

    Attribute values are not copied, because assignment replaces the object. Outside of `attribute_snapshots`, nothing is
    saved.

    >>> class Counter:
    ...     count = 0
    >>> with attribute_snapshots() as snapshots:
    ...     snapshot(Counter, "count")
    >>> list(snapshots.values())[0].value
    0
    """
    snapshots = _snapshots.get()
    if snapshots is not None:
        for name in names:
            if (id(owner), name) not in snapshots:
                new = Snapshot(owner, name, None)
                snapshots[id(owner), name] = new._replace(value=new.current)


@contextmanager
def attribute_snapshots() -> Iterator[Snapshots]:
    """Collect the snapshots that are taken inside a block.

    >>> class Counter:
    ...     count = 0
    ...     def step(self):
    ...         snapshot(self, "count")
    ...         self.count += 1
    >>> counter = Counter()
    >>> with attribute_snapshots() as snapshots:
    ...     counter.step()
    ...     counter.step()
    >>> restore(snapshots)
    >>> counter.count
    0
    """
    with collected_records(_snapshots) as snapshots:
        yield snapshots


@contextmanager
def unobserved() -> Iterator[None]:
    """Take no snapshots inside a block, for which something else restores all attributes.

    >>> class Counter:
    ...     count = 0
    >>> with attribute_snapshots() as snapshots, unobserved():
    ...     snapshot(Counter, "count")
    >>> len(snapshots)
    0
    """
    token = _snapshots.set(None)
    try:
        yield
    finally:
        _snapshots.reset(token)


@contextmanager
def preserved_attributes(is_preserved: Callable[[Snapshot], bool]) -> Iterator[None]:
    """Restore, after the block, the attributes and arrays that ``is_preserved`` selects.

    >>> class Counter:
    ...     count = 0
    >>> with preserved_attributes(lambda snapshot: snapshot.name == "count"):
    ...     snapshot(Counter, "count")
    ...     Counter.count = 1
    >>> Counter.count
    0
    """
    with attribute_snapshots() as snapshots:
        try:
            yield
        finally:
            restore({key: taken for key, taken in snapshots.items() if is_preserved(taken)})


@contextmanager
def restored_attributes(snapshots: Snapshots) -> Iterator[None]:
    """Restore earlier values inside a block; afterwards, restore the current values and undo all changes of the block.

    >>> class Counter:
    ...     count = 0
    >>> with attribute_snapshots() as snapshots:
    ...     snapshot(Counter, "count")
    >>> Counter.count = 1
    >>> with restored_attributes(snapshots):
    ...     Counter.count, value_before_restore(Counter, "count")
    (0, 1)
    >>> Counter.count
    1
    """
    with attribute_snapshots() as latest:
        for owner, name, _ in snapshots.values():
            snapshot(owner, name)
        values = {key: taken.value for key, taken in latest.items()}
        token = _before.set({**values, **_before.get()})
        try:
            restore(snapshots)
            yield
        finally:
            _before.reset(token)
            restore(latest)


def value_before_restore(owner: Any, name: str) -> Any:
    """The value of an attribute before `restored_attributes` restored an earlier one; `ABSENT` if it did not.

    >>> value_before_restore(Snapshot, "value") is ABSENT
    True
    """
    return _before.get().get((id(owner), name), ABSENT)


def restore(snapshots: Snapshots) -> None:
    """Assign the saved values to attributes and arrays.

    >>> import numpy as np
    >>> a = np.zeros(2)
    >>> with attribute_snapshots() as snapshots:
    ...     snapshot(a, None)
    >>> a += 1
    >>> restore(snapshots)
    >>> a
    array([0., 0.])
    """
    for owner, name, value in snapshots.values():
        if name is None:
            owner[...] = value
        elif value is not ABSENT:
            setattr(owner, name, value)
        elif hasattr(owner, name):
            delattr(owner, name)
