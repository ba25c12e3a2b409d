"""Records of side effects of a call, so that it can be repeated or undone.

Side effects are assignments to attributes, such as the state of a recurrent layer, and in-place writes into arrays, such as
running averages. Random generators are recorded in `passus.random`.
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
"""The value of an attribute that does not exist."""


class Noted(NamedTuple):
    """The earlier value of an attribute, or of an array that is written in place, with the name None."""

    owner: Any
    name: str | None
    value: Any

    @property
    def now(self) -> Any:
        """The current value of the attribute, or a copy of the array."""
        return self.owner.copy() if self.name is None else getattr(self.owner, self.name, ABSENT)


Key: TypeAlias = tuple[int, str | None]
Notes: TypeAlias = dict[Key, Noted]
"""The first recorded value of each attribute and array."""

_notes: ContextVar[Notes | None] = ContextVar("attributes noted", default=None)

_before: ContextVar[Mapping[Key, Any]] = ContextVar("values before a repetition", default=MappingProxyType({}))


def note(owner: Any, *names: str | None) -> None:
    """Record the values of attributes before a call assigns to them; a name of None records the elements of an array.

    Attribute values are not copied, because assignment replaces the object. Outside of `noted_attributes`, nothing is
    recorded.

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
    """Collect the records inside a block.

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
    """Restore recorded values inside a block; afterwards, restore the current values and undo all changes of the block.

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
    """The value of an attribute before `rewound_attributes` restored an earlier one; `ABSENT` if it did not.

    >>> repeated_value(Noted, "value") is ABSENT
    True
    """
    return _before.get().get((id(owner), name), ABSENT)


def put(notes: Notes) -> None:
    """Assign the recorded values to attributes and arrays.

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
