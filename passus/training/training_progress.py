"""The progress of a whole training."""

from __future__ import annotations

import math
from typing import Any, Self

from passus.training.callbacks import Row
from passus.training.progress import Lines, progress_bar

__all__ = ["TrainingProgress"]


class TrainingProgress:
    """One bar over all epochs of a training. Where a bar cannot be drawn, it prints a line for each epoch.

    The bar shows the loss of the last batch and the numbers of the last epoch. ``epochs`` and ``steps``: the goals of the
    training, infinite if there is none.

    >>> with TrainingProgress(show=False, epochs=2, steps=math.inf) as progress:
    ...     progress.start_epoch(epoch=0, step=0, batch=0, length=10)
    ...     progress.update(loss=0.5)
    """

    def __init__(self, show: bool, epochs: float, steps: float) -> None:
        self.show, self.epochs, self.steps = show, epochs, steps
        self._bar: Any = None
        self._numbers: Row = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def start_epoch(self, epoch: int, step: int, batch: int, length: int) -> None:
        """Show the number of the epoch; ``batch`` of its ``length`` batches, and ``step`` in total, are complete."""
        desc = f"epoch {epoch + 1}" + (f"/{self.epochs}" if self.epochs < math.inf else "")
        if self._bar is None:
            end = min(step - batch + (self.epochs - epoch) * length, self.steps)
            self._bar = progress_bar(
                desc=desc, total=None if end == math.inf else int(end), initial=step, show=self.show
            )
            if isinstance(self._bar, Lines):
                self._bar.total, self._bar.n = length, batch  # A line is about one epoch.
        self._bar.set_description(desc, refresh=False)

    def update(self, loss: float) -> None:
        """Advance by one batch."""
        numbers = {"loss": loss} if isinstance(self._bar, Lines) else {**self._numbers, "loss": loss}
        self._bar.set_postfix(numbers, refresh=False)
        self._bar.update()

    def end_epoch(self, row: Row) -> None:
        """Show the numbers of an epoch, the loss first, because a narrow terminal cuts the end off."""
        numbers = {name: value for name, value in row.items() if name not in ("epoch", "step", "lr")}
        self._numbers = {**numbers, "lr": row["lr"]}
        self._bar.set_postfix(self._numbers)
        if isinstance(self._bar, Lines):
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
