"""Small parameters updated together: a call on one flat array costs hardly more than a call on each part of it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

import numpy as np

from passus.backend import Array
from passus.core import Parameter
from passus.kernels.sums import at_least_float32
from passus.optimizers.blocks import BLOCK
from passus.optimizers.options import Options
from passus.optimizers.state import SlotArrays, Slots

__all__ = ["SMALL", "Bundle", "Member", "in_bundles"]

Member = tuple[Parameter, Slots]

SMALL = BLOCK // 4
"""Elements of the largest parameter that is worth copying into a bundle and out again."""


class Bundle:
    """Flat arrays for parameters of one dtype; the slots of its members become views of its own.

    >>> slots = [Slots(0, (n,), np.dtype(float), {"v": np.full(n, n)}) for n in (1, 2)]
    >>> Bundle(slots).slots["v"]
    array([1, 2, 2])
    """

    def __init__(self, members: Sequence[Slots]) -> None:
        self.members = members
        sizes = [int(np.prod(slots.shape)) for slots in members]
        self._places = [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes))]
        self._p, self._g = at_least_float32(np.empty((2, sum(sizes)), members[0].dtype))
        self._parts = [self._p[place].reshape(slots.shape) for place, slots in zip(self._places, members)]
        self.slots = SlotArrays({name: self._joined(name) for name in members[0].arrays})

    def _joined(self, name: str) -> Array:
        flat = np.concatenate([slots.arrays[name].ravel() for slots in self.members])
        for place, slots in zip(self._places, self.members):
            slots.arrays.update({name: flat[place].reshape(slots.shape)})  # Another array, no other numbers.
        return flat

    def holds(self, members: Sequence[Slots]) -> bool:
        """Whether these, and no others, are its members."""
        return len(members) == len(self.members) and all(map(operator.is_, members, self.members))

    def update(self, params: Sequence[Parameter], rule: Callable[..., None], o: Options) -> None:
        """Update the parameters by one call of ``rule(p, g, slots, o)``."""
        np.concatenate([p._data.ravel() for p in params], out=self._p)
        np.concatenate([p._grad._data.ravel() for p in params if p._grad is not None], out=self._g)
        rule(self._p, self._g, self.slots, o)
        for p, part in zip(params, self._parts):
            p._data[...] = part
            p.mark_edited()


def in_bundles(members: Iterable[Member]) -> Iterator[list[Member]]:
    """The members in parts of at most `BLOCK` elements, which stay in cache."""
    part: list[Member] = []
    room = BLOCK
    for member in members:
        size = member[0]._data.size
        if size > room:
            yield part
            part, room = [], BLOCK
        part.append(member)
        room -= size
    yield part
