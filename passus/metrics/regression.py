"""Metrics of regression: mean absolute error and R2."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.functions.checks import array_of, check_same_shape
from passus.loading import Loading, leaf
from passus.metrics.base import Averaged, DisplayedMetric, measured, on_host
from passus.tree import Tree, check_tree

__all__ = ["MAE", "R2", "mae", "r2"]


class MAE(Averaged):
    """The mean absolute error, ``mean(|y - t|)``, over all elements; ``y`` and ``t`` have the same shape.

    Raises `ShapeError` for different shapes, which are not broadcast.

    >>> metric = MAE()
    >>> metric.update(np.array([1.0, 2.0]), np.array([1.5, 4.0]))
    >>> metric.compute()
    1.25
    """

    def update(self, y: Any, t: Any) -> None:
        """Add a batch of predictions and targets."""
        y, t = _pair("MAE", y, t)
        self._mean.total += float(abs(y - t).sum())
        self._mean.weight += y.size


class R2(DisplayedMetric):
    """The coefficient of determination, ``1 - sum((y - t)**2) / sum((t - mean(t))**2)``: 1 is best; predicting the mean
    scores 0.

    ``y`` and ``t``: (N, ...), of the same shape; the result is averaged over columns. A column of constant targets scores 1
    if it is predicted exactly, otherwise 0. Raises `ShapeError` for different shapes.

    >>> metric = R2()
    >>> metric.update(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    >>> metric.compute()
    0.5
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Array = np.zeros(0)
        self.spread: Array = np.zeros(0)
        self.error: Array = np.zeros(0)

    def update(self, y: Any, t: Any) -> None:
        """Add a batch of predictions and targets."""
        y, t = _pair("R2", y, t)
        if not y.ndim:
            raise ShapeError("R2: y and t are scalars; give arrays (N, ...)")
        if not len(y):
            return
        y, t = y.reshape(len(y), -1), t.reshape(len(t), -1)
        if not self.count:
            self.mean, self.spread, self.error = t.mean(axis=0), np.zeros(t.shape[1]), np.zeros(t.shape[1])
        elif t.shape[1:] != self.mean.shape:
            raise ShapeError(
                f"R2: a batch of {t.shape[1]} columns after batches of {self.mean.size}; use the same number"
            )
        # Squared deviations are merged by Chan's formula; sums of squares would cancel for large means.
        count, delta = self.count + len(t), t.mean(axis=0) - self.mean
        self.spread = self.spread + ((t - t.mean(axis=0)) ** 2).sum(axis=0) + delta**2 * self.count * len(t) / count
        self.error = self.error + ((y - t) ** 2).sum(axis=0)
        self.mean = self.mean + delta * len(t) / count
        self.count = count

    def compute(self) -> float:
        """The mean over the columns. Raises `ArgumentError` if there were no examples."""
        if not self.count:
            raise ArgumentError("R2: no examples yet; call update first")
        exact = (self.error == 0).astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.where(self.spread > 0, 1 - self.error / self.spread, exact).mean())

    def reset(self) -> None:
        """Discard all examples."""
        self.count, self.mean, self.spread, self.error = 0, np.zeros(0), np.zeros(0), np.zeros(0)

    def state_dict(self) -> Tree:
        """The number of examples, and the sums of each column."""
        return {"count": self.count, "mean": self.mean, "spread": self.spread, "error": self.error}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state. Raises `WeightsError` for a missing entry, `DTypeError` and `ShapeError` unless the sums are
        floating-point arrays of one shape (columns,).
        """
        where = "R2.load_state_dict"
        check_tree(where, state, self.state_dict())
        loading.assign(self, "count", checked_count(where, "count", leaf(state["count"]), low=0))
        shapes = set()
        for name in ("mean", "spread", "error"):
            sums = state[name]
            if not isinstance(sums, np.ndarray) or sums.dtype.kind != "f":
                raise DTypeError(f"{where}: {name} is {kind_of(sums)}, not an array of floating-point numbers")
            shapes.add(sums.shape)
            loading.assign(self, name, sums.copy())
        if len(shapes) > 1 or sums.ndim != 1:
            raise ShapeError(
                f"{where}: sums have shapes {', '.join(map(str, sorted(shapes)))}; expected one number per column"
            )


def mae(y: Any, t: Any) -> float:
    """The mean absolute error of one batch; see `MAE`.

    >>> mae(np.array([1.0, 2.0]), np.array([1.5, 4.0]))
    1.25
    """
    return measured(MAE(), y, t)


def r2(y: Any, t: Any) -> float:
    """The coefficient of determination of one batch; see `R2`.

    >>> r2(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    0.5
    """
    return measured(R2(), y, t)


def _pair(name: str, y: Any, t: Any) -> tuple[Array, Array]:
    """Predictions and targets as float64, for accurate sums."""
    check_same_shape(name, y, t, arguments=("y", "t"))
    return on_host(array_of(name, y)).astype(np.float64), on_host(array_of(name, t)).astype(np.float64)
