"""Parameters and buffers that are constants of a program, as long as nobody changes them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from passus.backend import Array
from passus.core import Variable
from passus.core.edits import last_access
from passus.kernels.dispatch import native_module
from passus.layers.walk import version
from passus.recording.layout import address
from passus.recording.program import Place, Value

__all__ = ["Frozen"]


class Frozen:
    """The state of a model in inference, with copies of its arrays from the first `update` on.

    Assignments and updates of optimizers are noticed by `passus.core.edits.last_access`. So is reading ``parameter.data``, because
    the array may be edited in place: arrays are then compared with the copies. Buffers have no such access, so they are compared
    in each run, and so are arrays that somebody else holds.
    """

    def __init__(self, state: list[tuple[Value, Place]]) -> None:
        self.values = [value for value, _ in state]
        self._places = [place for _, place in state]
        self._watched = self._all = _Comparison([])
        self._seen: tuple[int, object, object] | None = None
        self.arrays: list[Array] = []
        self._copies: list[Array] = []
        self.watched: list[int] = []
        """The numbers of the arrays that are compared in each run."""

    def update(self) -> None:
        """Take the arrays as they are now."""
        self._watched = self._all = _Comparison([])  # They hold the arrays.
        self._seen = self._now()
        """What identified the state when it was compared last."""
        self.arrays = [place.get() for place in self._places]
        self._copies = [np.array(x, order="K") for x in self.arrays]
        self.watched = [i for i in range(len(self.arrays)) if self._may_change(i)]
        self._watched = _Comparison([(self.arrays[i], self._copies[i]) for i in self.watched])
        self._all = _Comparison(list(zip(self.arrays, self._copies)))

    def constants(self) -> dict[Value, Array]:
        """Copies of the arrays, by their Values."""
        return dict(zip(self.values, self._copies))

    def has_changed(self) -> bool:
        """Whether an array is another one, or holds other numbers."""
        now = self._now()
        if now == self._seen:
            return bool(self.watched) and not self._watched.holds()
        if any(place.get() is not x for place, x in zip(self._places, self.arrays)) or not self._all.holds():
            return True
        self._seen = now
        return False

    def _now(self) -> tuple[int, object, object]:
        """The time of the last access to a parameter, and what identifies the attributes of all layers."""
        return (last_access[0], *version())

    def _may_change(self, i: int) -> bool:
        """Whether an array may change without notice: it is a buffer, or somebody else holds it, or a view of it."""
        return not isinstance(self._places[i].owner, Variable) or sys.getrefcount(self.arrays[i]) > BY_VARIABLE


class _Comparison:
    """Pairs of arrays that must have equal bits."""

    def __init__(self, pairs: list[tuple[Array, Array]]) -> None:
        self._pairs = pairs
        self._native = native_module("machine") if all(_is_plain(x) for x, _ in pairs) else None
        rows = [(address(x), address(copy), x.nbytes) for x, copy in pairs] if self._native else []
        self._table = np.array(rows, np.int64).reshape(-1, 3)

    def holds(self) -> bool:
        if self._native is not None:
            return bool(self._native.are_equal(address(self._table), len(self._table)))
        return all(_bits(x) == _bits(copy) for x, copy in self._pairs)


def _is_plain(x: Any) -> bool:
    return isinstance(x, np.ndarray) and bool(x.flags.c_contiguous)


def _bits(x: Any) -> bytes:
    return bytes(np.asarray(x).tobytes())


class _Held:
    """A list of arrays and a Variable, as a Frozen and a model hold them."""

    def __init__(self) -> None:
        self.x = Variable(np.zeros(1))
        self.arrays = [self.x._data]

    def count(self, i: int) -> int:
        return sys.getrefcount(self.arrays[i])


BY_VARIABLE = _Held().count(0)
"""References to an array that only a Variable and one list hold."""
