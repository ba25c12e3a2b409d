"""A time limit for the training."""

from __future__ import annotations

from time import monotonic
from typing import ClassVar

from passus.arguments import checked_number
from passus.loading import Loading, Verified, leaf
from passus.training.callbacks.base import Callback, Run
from passus.tree import Tree, check_tree

__all__ = ["TimeLimit"]


class TimeLimit(Verified, Callback):
    """Stop after ``minutes`` of wall-clock time, including the time before a resume; the current step is completed.

    With this callback, ``fit()`` needs neither epochs nor steps.

    ``share`` is the fraction of the time that has passed, from 0 to 1. A schedule of ``share`` ends with the training
    on machines of any speed, as in ``AdamW(lr=lambda step: schedule(1000 * limit.share))``.

    A stopped training stays stopped: ``fit`` called again, or after a resume, adds no step.

    Raises `ArgumentError` unless ``minutes`` is above 0.

    >>> limit = TimeLimit(minutes=5)
    >>> limit.seconds, limit.share
    (0.0, 0.0)
    """

    sets_end: ClassVar[bool] = True

    def __init__(self, minutes: float) -> None:
        self.minutes = checked_number("TimeLimit", "minutes", minutes, open_low=True)
        self.seconds = 0.0
        """Number of seconds so far."""
        self._start = 0.0

    @property
    def share(self) -> float:
        """The fraction of the time that has passed, from 0 to 1."""
        return min(self.seconds / (60 * self.minutes), 1.0)

    def on_start(self, run: Run) -> None:
        """Start the clock, or stop at once if no time is left."""
        self._start = monotonic() - self.seconds
        self._check(run)

    def on_step(self, run: Run) -> None:
        """Read the clock, and stop if no time is left."""
        self.seconds = monotonic() - self._start
        self._check(run)

    def state_dict(self) -> Tree:
        """The time so far."""
        return {"seconds": self.seconds}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state for `load_state_dict`. Raises `WeightsError` if the time is missing."""
        where = "TimeLimit.load_state_dict"
        check_tree(where, state, ["seconds"])
        loading.assign(self, "seconds", checked_number(where, "seconds", leaf(state["seconds"])))

    def _check(self, run: Run) -> None:
        if self.share >= 1.0:
            run.stop()
