"""What a call changes beside its results, noted so that the call can be repeated, or leave no trace.

These are attributes, such as the state of a recurrent layer, and arrays written in place, such as running averages. Random
generators are noted in `passus.random`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from passus.scopes import collected_notes

__all__ = ["ABSENT", "Key", "Noted", "Notes", "note", "noted_attributes", "put", "repeated_value", "rewound_attributes"]

ABSENT: Any = object()
"""Stands for the value of an attribute that is not there."""


class Noted(NamedTuple):
    """A value that an attribute had; for an array whose elements are written in place, the name is None."""

    owner: Any
    name: str | None
    value: Any

    @property
    def now(self) -> Any:
        """What the attribute holds now, or a copy of the array."""
        return self.owner.copy() if self.name is None else getattr(self.owner, self.name, ABSENT)


Key: TypeAlias = tuple[int, str | None]
Notes: TypeAlias = dict[Key, Noted]
"""What was noted first of each attribute and array."""

_notes: ContextVar[Notes | None] = ContextVar("attributes noted", default=None)

_before: ContextVar[Mapping[Key, Any]] = ContextVar("values before a repetition", default=MappingProxyType({}))


def note(owner: Any, *names: str | None) -> None:
    """Note what attributes hold, before a call assigns to them; the elements of an array, where a name is None.

    A value that is noted is kept as it is, not copied: a call assigns another object. Outside of `noted_attributes`, nothing
    is noted.

    >>> class Counter:
    ...     count = 0
    >>> with noted_attributes() as notes:
    ...     note(Counter, "count")
    >>> list(notes.values())[0].value
    0
    """
    notes = _notes.get()
    if notes is not None:
        for name in names:
            if (id(owner), name) not in notes:
                noted = Noted(owner, name, None)
                notes[id(owner), name] = noted._replace(value=noted.now)


@contextmanager
def noted_attributes() -> Iterator[Notes]:
    """Collect what is noted inside a block.

    >>> class Counter:
    ...     count = 0
    ...     def step(self):
    ...         note(self, "count")
    ...         self.count += 1
    >>> counter = Counter()
    >>> with noted_attributes() as notes:
    ...     counter.step()
    ...     counter.step()
    >>> put(notes)
    >>> counter.count
    0
    """
    with collected_notes(_notes) as notes:
        yield notes


@contextmanager
def rewound_attributes(notes: Notes) -> Iterator[None]:
    """Let attributes be inside a block what was noted; after it they are what they were before, and so is all else noted in it.

    >>> class Counter:
    ...     count = 0
    >>> with noted_attributes() as notes:
    ...     note(Counter, "count")
    >>> Counter.count = 1
    >>> with rewound_attributes(notes):
    ...     Counter.count, repeated_value(Counter, "count")
    (0, 1)
    >>> Counter.count
    1
    """
    with noted_attributes() as now:
        for owner, name, _ in notes.values():
            note(owner, name)
        values = {key: noted.value for key, noted in now.items()}
        token = _before.set({**values, **_before.get()})
        try:
            put(notes)
            yield
        finally:
            _before.reset(token)
            put(now)


def repeated_value(owner: Any, name: str) -> Any:
    """What an attribute held before `rewound_attributes` put an earlier value there; `ABSENT` if it did not.

    >>> repeated_value(Noted, "value") is ABSENT
    True
    """
    return _before.get().get((id(owner), name), ABSENT)


def put(notes: Notes) -> None:
    """Give attributes and arrays the values that were noted.

    >>> import numpy as np
    >>> a = np.zeros(2)
    >>> with noted_attributes() as notes:
    ...     note(a, None)
    >>> a += 1
    >>> put(notes)
    >>> a
    array([0., 0.])
    """
    for owner, name, value in notes.values():
        if name is None:
            owner[...] = value
        elif value is not ABSENT:
            setattr(owner, name, value)
        elif hasattr(owner, name):
            delattr(owner, name)
