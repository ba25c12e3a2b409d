"""What an optimizer remembers of a parameter: its slots, such as moving averages, and its number of updates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from passus.backend import Array, is_elsewhere, moved_to
from passus.errors import ArgumentError

__all__ = ["ParamState", "SlotArrays"]


class SlotArrays(dict[str, Array]):
    """Slots of a parameter or a bundle, by name; an assignment writes into the array, which may be a view.

    Raises `ArgumentError` for a name that was not declared.

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
        return SlotArrays, (dict(self),)  # Names cannot be added to an empty copy.

    def setdefault(self, name: str, default: Any = None) -> Array:
        return self[name]


@dataclass(eq=False)
class ParamState:
    """The state of one parameter: its number of updates, its shape and dtype, its slots, and the index of its group."""

    step: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    slots: SlotArrays = field(default_factory=SlotArrays)
    group: int | None = None
    """None before the first update, and after groups have changed."""

    def is_elsewhere(self, data: Array) -> bool:
        """Whether the slots are not on the device of a parameter, which has been moved."""
        return any(is_elsewhere(slot, data) for slot in self.slots.values())

    def move_to(self, data: Array) -> None:
        """Copy the slots to the device of a parameter."""
        self.slots.update({name: moved_to(slot, data) for name, slot in self.slots.items()})

    def leaves(self, path: str) -> dict[str, Any]:
        """The leaves of the saved state of the parameter at ``path``.

        >>> ParamState(3, (), np.dtype(float), SlotArrays(v=np.array(0.5))).leaves("l1.W")
        {'slots.l1.W.step': 3, 'slots.l1.W.v': array(0.5)}
        """
        return {f"slots.{path}.step": self.step} | {f"slots.{path}.{name}": x for name, x in self.slots.items()}
