"""Plots of the history."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from passus.arguments import checked_count, checked_fraction
from passus.errors import ArgumentError
from passus.files import FilePath, checked_path, ensured_folder, replacing
from passus.optional import import_optional
from passus.training.callbacks.base import Callback, Row, Run

__all__ = ["PlotCurves", "curve_names", "curves_of", "plot_history"]

AXES = ("epoch", "step", "lr")
"""Numbers that are not plotted."""

KINDS = ("png", "svg", "pdf")

FIRST = 0.5
"""Expected number of seconds for the first plot."""

COLUMNS = 3
"""Number of plots side by side."""


class PlotCurves(Callback):
    """Plot the history into the file ``path`` after every ``every``-th epoch and at the end; see `plot_history`.

    A plot may take longer than a short epoch. It is skipped if plots would take more than a fraction ``share`` of the
    training time; the plot at the end is never skipped.

    Raises `ArgumentError` for another file format or a share outside 0 to 1, `DependencyError` if matplotlib is not
    installed.
    """

    def __init__(self, path: FilePath, every: int = 1, share: float = 0.05) -> None:
        import_optional("matplotlib", "matplotlib", "PlotCurves")
        self.path = checked_path(path)
        _checked_kind(self.path)
        self.every = checked_count("PlotCurves", "every", every)
        self.share = checked_fraction("PlotCurves", "share", share)
        self._start = 0.0
        self._spent, self._last = 0.0, FIRST
        """Number of seconds for all plots, and for the last one."""
        self._drawn = -1
        """The last epoch in the plot."""

    def on_start(self, run: Run) -> None:
        """Start to measure the time."""
        self._start, self._spent, self._drawn = monotonic(), 0.0, -1

    def on_epoch(self, run: Run, row: Row) -> None:
        """Plot at the interval ``every``, unless it would take too much time."""
        if run.epoch % self.every == 0 and self._spent + self._last <= self.share * (monotonic() - self._start):
            self._draw(run)

    def on_end(self, run: Run) -> None:
        """Plot once more if there are epochs since the last plot."""
        if run.history and run.epoch != self._drawn:
            self._draw(run)

    def _draw(self, run: Run) -> None:
        start = monotonic()
        plot_history(run.history, self.path)
        self._last = monotonic() - start
        self._spent, self._drawn = self._spent + self._last, run.epoch


def plot_history(history: Sequence[Row], path: FilePath) -> None:
    """Plot each number of a history over the epochs, training and test together, into a png, svg or pdf file.

    The file is replaced atomically; its folder is created.

    Raises `ArgumentError` for an empty history, a row without its epoch, or another file format, and `DependencyError`
    if matplotlib is not installed.
    """
    path = checked_path(path)
    kind, names = _checked_kind(path), curve_names(history)
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
    ensured_folder(path.parent)
    with replacing(path) as file:
        figure.savefig(file, format=kind)


def _checked_kind(path: Path) -> str:
    kind = path.suffix.lower().removeprefix(".") or "png"
    if kind not in KINDS:
        raise ArgumentError(f"plot_history: cannot draw {path}; use one of the suffixes {', '.join(KINDS)}")
    return kind


def curve_names(history: Sequence[Row]) -> list[str]:
    """The names of the plots, in order; ``test_loss`` is plotted with ``loss``."""
    return list({name.removeprefix("test_"): None for row in history for name in row if name not in AXES})


def curves_of(history: Sequence[Row], name: str) -> dict[str, list[tuple[float, float]]]:
    """The finite values of a number over the epochs, in training and in test."""
    return {
        label: [(row["epoch"], row[key]) for row in history if key in row and math.isfinite(row[key])]
        for label, key in (("training", name), ("test", f"test_{name}"))
    }


def _draw(axes: Any, history: Sequence[Row], name: str) -> None:
    for label, points in curves_of(history, name).items():
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
