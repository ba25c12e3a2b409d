"""Reactions to a number that no longer improves: stop, or reduce the learning rate."""

from __future__ import annotations

from typing import Any

from passus.arguments import checked_count
from passus.errors import DTypeError, kind_of
from passus.loading import Loading, Verified, leaf
from passus.schedules import OnPlateau
from passus.training.callbacks.base import Callback, Row, Run
from passus.training.callbacks.best import Best, Mode, checked_mode, monitored
from passus.tree import Tree, check_tree

__all__ = ["EarlyStopping", "ReportPlateau"]


class EarlyStopping(Verified, Callback):
    """Stop when a number has not improved for ``patience`` consecutive epochs, and restore the best weights.

    ``monitor``, ``mode``, ``min_delta``: see `Best`. ``restore_best``: whether the weights and buffers of the best
    epoch are restored at the end of the training; after an error or Ctrl-C the model keeps the latest ones.

    A stopped training stays stopped: ``fit`` called again, or after a resume, adds no epoch. To continue, give a
    greater ``patience``, or set ``waited`` to 0.
    """

    def __init__(
        self,
        monitor: str = "test_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        mode: Mode | None = None,
        restore_best: bool = True,
    ) -> None:
        self.best = Best(monitor, mode, min_delta)
        self.patience = checked_count("EarlyStopping", "patience", patience)
        self.restore_best = restore_best
        self.waited = 0
        """Number of consecutive epochs without improvement."""
        self._weights: dict[str, Any] = {}

    def on_start(self, run: Run) -> None:
        """Stop at once if the training was stopped before."""
        if self.waited >= self.patience:
            run.stop()

    def on_epoch(self, run: Run, row: Row) -> None:
        """Compare with the best epoch, and stop after ``patience`` epochs without improvement."""
        if self.best.improves(row):
            self.waited = 0
            self._weights = run.model.state_dict() if self.restore_best else {}
        else:
            self.waited += 1
        if self.waited >= self.patience:
            run.stop()

    def on_finish(self, run: Run) -> None:
        """Restore the best weights."""
        if self._weights:
            run.model.load_state_dict(self._weights)

    def state_dict(self) -> Tree:
        """The best value and weights, and the number of epochs since."""
        return {"best": self.best.state_dict(), "waited": self.waited, "weights": self._weights}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state for `load_state_dict`. Raises `WeightsError` if it is incomplete or of another model."""
        where = "EarlyStopping.load_state_dict"
        check_tree(where, state, ["best", "waited", "weights"])
        check_tree(f"{where}, weights", state["weights"])
        if state["weights"] and loading.model is not None:
            Loading().verify(
                loading.model, state["weights"], "weights"
            )  # Verified only: they are loaded at the end of the training.
        loading.verify(self.best, state["best"], "best")
        loading.assign(self, "waited", checked_count(where, "waited", leaf(state["waited"]), low=0))
        loading.assign(self, "_weights", dict(state["weights"]))


class ReportPlateau(Callback):
    """Report a number to an `OnPlateau` schedule after each epoch, which reduces the learning rate accordingly.

    Raises `DTypeError` for another schedule.

    >>> from passus.optimizers import SGD
    >>> schedule = OnPlateau(0.1, factor=0.5, patience=0)
    >>> optimizer, callback = SGD(lr=schedule), ReportPlateau(schedule, monitor="loss")
    >>> for loss in (1.0, 2.0):
    ...     callback.on_epoch(None, {"loss": loss})
    >>> optimizer.lr
    0.05
    """

    def __init__(self, schedule: OnPlateau, monitor: str = "test_loss", mode: Mode | None = None) -> None:
        if not isinstance(schedule, OnPlateau):
            raise DTypeError(
                f"ReportPlateau: {kind_of(schedule)} is not an OnPlateau schedule; only OnPlateau needs reports"
            )
        self.schedule = schedule
        self.monitor = monitor
        self.mode = checked_mode("ReportPlateau", monitor, mode)

    def on_epoch(self, run: Run, row: Row) -> None:
        """Report the number of the epoch."""
        value = monitored(row, self.monitor)
        self.schedule.report(value if self.mode == "min" else -value)
