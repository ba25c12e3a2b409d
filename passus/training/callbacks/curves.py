"""Curves of a history as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from passus.arguments import checked_count, checked_share
from passus.errors import ArgumentError
from passus.files import FilePath, checked_path, made_folder, replacing
from passus.optional import import_optional
from passus.training.callbacks.base import Callback, Row, Run

__all__ = ["PlotCurves", "plot_history"]

AXES = ("epoch", "step", "lr")
"""What is not drawn."""

KINDS = ("png", "svg", "pdf")

FIRST = 0.5
"""How many seconds the first picture is expected to take."""

COLUMNS = 3
"""How many curves stand side by side."""


class PlotCurves(Callback):
    """Draw the history into the picture ``path`` after every ``every``-th epoch and at the end; see `plot_history`.

    A picture takes as long as many a short epoch. It is left out where drawing would take more than ``share`` of the
    time of the training; that at the end is always drawn.

    Raises `ArgumentError` for another kind of picture or a share outside of 0 to 1, `DependencyError` if matplotlib is
    not installed.
    """

    def __init__(self, path: FilePath, every: int = 1, share: float = 0.05) -> None:
        import_optional("matplotlib", "matplotlib", "PlotCurves")
        self.path = checked_path(path)
        _checked_kind(self.path)
        self.every = checked_count("PlotCurves", "every", every)
        self.share = checked_share("PlotCurves", "share", share)
        self._start = 0.0
        self._spent, self._last = 0.0, FIRST
        """How many seconds all pictures took, and the last one."""
        self._drawn = -1
        """The last epoch in the picture."""

    def on_start(self, run: Run) -> None:
        """Begin to measure the time."""
        self._start, self._spent, self._drawn = monotonic(), 0.0, -1

    def on_epoch(self, run: Run, row: Row) -> None:
        """Draw, if it is time to and does not take too much of it."""
        if run.epoch % self.every == 0 and self._spent + self._last <= self.share * (monotonic() - self._start):
            self._draw(run)

    def on_end(self, run: Run) -> None:
        """Draw the epochs since the last picture."""
        if run.history and run.epoch != self._drawn:
            self._draw(run)

    def _draw(self, run: Run) -> None:
        start = monotonic()
        plot_history(run.history, self.path)
        self._last = monotonic() - start
        self._spent, self._drawn = self._spent + self._last, run.epoch


def plot_history(history: Sequence[Row], path: FilePath) -> None:
    """Draw each number of a history over the epochs, training and test together, into a picture (png, svg, pdf).

    The picture is replaced as a whole, so that a viewer never sees half of one; its folder is created.

    Raises `ArgumentError` for an empty history, a row without its epoch, or another kind of picture, and
    `DependencyError` if matplotlib is not installed.
    """
    path = checked_path(path)
    kind, names = _checked_kind(path), _names(history)
    if not names:
        raise ArgumentError("plot_history: there is nothing to draw; train an epoch first")
    if not all("epoch" in row for row in history):
        raise ArgumentError("plot_history: a row has no epoch, over which to draw it; give each row its number")
    columns = min(len(names), COLUMNS)
    rows = math.ceil(len(names) / columns)
    figure = import_optional("matplotlib.figure", "matplotlib", "plot_history").Figure(
        figsize=(5 * columns, 3.8 * rows), dpi=120, layout="constrained"
    )
    for i, name in enumerate(names):
        _draw(figure.add_subplot(rows, columns, i + 1), history, name)
    made_folder(path.parent)
    with replacing(path) as file:
        figure.savefig(file, format=kind)


def _checked_kind(path: Path) -> str:
    kind = path.suffix.lower().removeprefix(".") or "png"
    if kind not in KINDS:
        raise ArgumentError(f"plot_history: cannot draw {path}; let its name end in {', '.join(KINDS)}")
    return kind


def _names(history: Sequence[Row]) -> list[str]:
    """What there is to draw; ``test_loss`` is drawn with ``loss``. A dict keeps the order."""
    return list({name.removeprefix("test_"): None for row in history for name in row if name not in AXES})


def _draw(axes: Any, history: Sequence[Row], name: str) -> None:
    for key, label in ((name, "training"), (f"test_{name}", "test")):
        points = [(row["epoch"], row[key]) for row in history if key in row and math.isfinite(row[key])]
        if points:
            axes.plot(
                *zip(*points), label=f"{label}: {points[-1][1]:.4g}", marker="o" if len(points) < 40 else "", ms=3
            )
    axes.set_title(name)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False)
