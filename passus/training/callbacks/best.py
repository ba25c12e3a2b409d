"""The best value so far of one number in the rows of a history."""

from __future__ import annotations

import math
from typing import Literal

from passus.arguments import checked_number, checked_real
from passus.errors import ArgumentError
from passus.loading import Loading, Verified, leaf
from passus.training.callbacks.base import Row
from passus.tree import Tree, check_tree

__all__ = ["Best", "Mode", "checked_mode", "monitored"]

Mode = Literal["min", "max"]
"""Whether a number should fall, as a loss, or rise, as an accuracy."""


class Best(Verified):
    """The best value so far of the number called ``monitor``.

    ``mode``: "min" if it should fall, "max" if it should rise. ``min_delta``: by how much it must be better to count.

    >>> best = Best("test_accuracy", mode="max")
    >>> [best.improves({"test_accuracy": value}) for value in (0.8, 0.7, 0.9)]
    [True, False, True]
    """

    def __init__(self, monitor: str, mode: Mode = "min", min_delta: float = 0.0) -> None:
        self.monitor = monitor
        self.mode = checked_mode("Best", mode)
        self.min_delta = checked_number("Best", "min_delta", min_delta)
        self.value: float | None = None

    def improves(self, row: Row) -> bool:
        """Take note of a row, and say whether it is the best so far; a NaN never is."""
        value = monitored(row, self.monitor)
        if math.isnan(value) or not self._better(value):
            return False
        self.value = value
        return True

    def _better(self, value: float) -> bool:
        if self.value is None:
            return True
        gain = self.value - value if self.mode == "min" else value - self.value
        return gain > self.min_delta

    def state_dict(self) -> Tree:
        """The value."""
        return {"value": self.value}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """What `load_state_dict` does first. Raises `WeightsError` if it has no value, `ArgumentError` if that is NaN."""
        where = "Best.load_state_dict"
        check_tree(where, state, ["value"])
        value = None if state["value"] is None else checked_real(where, "value", leaf(state["value"]))
        if value is not None and math.isnan(value):
            raise ArgumentError(f"{where}: value is nan, which nothing is better than")
        loading.put(self, "value", value)


def checked_mode(name: str, mode: Mode) -> Mode:
    """``mode``, if there is such a one. Raises `ArgumentError` if not; ``name`` is who asks.

    >>> checked_mode("Best", "max")
    'max'
    """
    if mode not in ("min", "max"):
        raise ArgumentError(f"{name}: mode must be 'min' or 'max', not {mode!r}")
    return mode


def monitored(row: Row, monitor: str) -> float:
    """The number called ``monitor``. Raises `ArgumentError` with those that there are, if it is none of them.

    >>> monitored({"loss": 0.5}, "loss")
    0.5
    """
    if monitor not in row:
        raise ArgumentError(f"monitor is {monitor!r}, but an epoch ends with {', '.join(row)}; choose one of these")
    return float(row[monitor])
