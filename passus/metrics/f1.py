"""F1, the harmonic mean of precision and recall."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from passus.arguments import checked_count, checked_real
from passus.backend import Array
from passus.errors import ArgumentError
from passus.functions.checks import array_of
from passus.loading import Loading
from passus.metrics.base import DisplayedMetric, measured, on_host
from passus.metrics.classification import ConfusionMatrix
from passus.tree import Tree

__all__ = ["F1", "Average", "f1"]

Average = Literal["binary", "macro", "micro", "weighted", "none"]


class F1(DisplayedMetric):
    """``2 * precision * recall / (precision + recall)``, for one class or averaged over classes.

    ``y``: scores (N, C, ...), of which the highest is the prediction, or classes (N, ...) as integers; for two classes also
    numbers (N, ...), such as probabilities, where values above ``threshold`` (0 for logits) predict class 1. ``t``: labels
    (N, ...); those equal to ``ignore_index`` are skipped. ``average``: "binary" for class 1 of two, "macro" for the mean
    over classes that occur, "weighted" for the mean weighted by class frequency, "micro" for all examples together, "none"
    for the values of all classes (C,); by default "binary" for two classes and "macro" for more.

    Raises `ArgumentError` for another average, and the errors of `ConfusionMatrix`.

    >>> metric = F1()
    >>> metric.update(np.array([0.9, 0.8, 0.3, 0.1]), np.array([1, 0, 1, 0]))
    >>> metric.compute()
    0.5
    """

    def __init__(
        self,
        classes: int = 2,
        average: Average | None = None,
        threshold: float = 0.5,
        ignore_index: int | None = None,
    ) -> None:
        classes = checked_count("F1", "classes", classes, low=2)
        self.average = average or ("binary" if classes == 2 else "macro")
        if self.average not in Average.__args__ or (self.average == "binary" and classes > 2):  # type: ignore[attr-defined]
            raise ArgumentError(
                f"F1: average is {average!r}, for {classes} classes; give one of {', '.join(Average.__args__)} "  # type: ignore[attr-defined]
                "('binary' for two classes only)"
            )
        self.threshold = checked_real("F1", "threshold", threshold)
        self._matrix = ConfusionMatrix(classes, ignore_index)

    def update(self, y: Any, t: Any) -> None:
        """Add a batch of scores or predicted classes, and labels."""
        scores = on_host(array_of("F1", y))
        if len(self._matrix.classes) == 2 and scores.dtype.kind == "f" and scores.shape == array_of("F1", t).shape:
            scores = (scores > self.threshold).astype(np.int64)
        self._matrix.update(scores, t)

    def compute(self) -> Any:
        """The value, from 0 to 1; NaN for a class, or for a mean over classes, without examples and predictions."""
        counts = self._matrix.counts
        if not counts.sum():
            raise ArgumentError("F1: no examples yet; call update first")
        correct, labels = counts.diagonal(), counts.sum(axis=1)
        total = labels + counts.sum(axis=0)
        with np.errstate(invalid="ignore"):
            per_class: Array = 2 * correct / total
        if self.average == "none":
            return per_class
        if self.average == "binary":
            return float(per_class[1])
        if self.average == "micro":
            return float(correct.sum() / counts.sum())
        occurs = total > 0
        weights = labels[occurs] if self.average == "weighted" else np.ones(int(occurs.sum()))
        return float((per_class[occurs] * weights).sum() / weights.sum())

    def reset(self) -> None:
        """Discard all examples."""
        self._matrix.reset()

    def state_dict(self) -> Tree:
        """The counts."""
        return self._matrix.state_dict()

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state; see `ConfusionMatrix.verify_state`."""
        self._matrix.verify_state(state, loading)


def f1(y: Any, t: Any, classes: int = 2, average: Average | None = None, threshold: float = 0.5) -> Any:
    """The F1 score of one batch; see `F1`.

    >>> f1(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]), classes=3, average="micro")
    0.75
    """
    return measured(F1(classes, average, threshold), y, t)
