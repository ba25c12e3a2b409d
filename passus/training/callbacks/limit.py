"""A budget of time."""

from __future__ import annotations

from time import monotonic
from typing import ClassVar

from passus.arguments import checked_number
from passus.loading import Loading, Verified, leaf
from passus.training.callbacks.base import Callback, Run
from passus.tree import Tree, check_tree

__all__ = ["TimeLimit"]


class TimeLimit(Verified, Callback):
    """Stop after ``minutes`` of wall-clock time in all, that before a resume included; the step under way is completed.

    With it, ``fit()`` needs neither epochs nor steps.

    ``share`` is the part of the budget that is used, from 0 to 1: a schedule of ``share`` reaches its end with the budget, however
    fast the machine is, as in ``AdamW(lr=lambda step: schedule(1000 * limit.share))``.

    A training that was stopped stays so: ``fit`` called again, or after a resume, adds no step.

    Raises `ArgumentError` unless ``minutes`` is above 0.

    >>> limit = TimeLimit(minutes=5)
    >>> limit.seconds, limit.share
    (0.0, 0.0)
    """

    sets_end: ClassVar[bool] = True

    def __init__(self, minutes: float) -> None:
        self.minutes = checked_number("TimeLimit", "minutes", minutes, open_low=True)
        self.seconds = 0.0
        """How much time is used."""
        self._start = 0.0

    @property
    def share(self) -> float:
        """The part of the budget that is used, from 0 to 1."""
        return min(self.seconds / (60 * self.minutes), 1.0)

    def on_start(self, run: Run) -> None:
        """Start the clock, or stop at once what has used its budget."""
        self._start = monotonic() - self.seconds
        self._check(run)

    def on_step(self, run: Run) -> None:
        """Read the clock, and stop if it is time to."""
        self.seconds = monotonic() - self._start
        self._check(run)

    def state_dict(self) -> Tree:
        """The time used."""
        return {"seconds": self.seconds}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """What `load_state_dict` does first. Raises `WeightsError` if the time is missing."""
        where = "TimeLimit.load_state_dict"
        check_tree(where, state, ["seconds"])
        loading.put(self, "seconds", checked_number(where, "seconds", leaf(state["seconds"])))

    def _check(self, run: Run) -> None:
        if self.share >= 1.0:
            run.stop()
