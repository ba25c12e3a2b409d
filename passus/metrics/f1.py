"""The harmonic mean of precision and recall."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from passus.arguments import checked_count, checked_real
from passus.backend import Array
from passus.errors import ArgumentError
from passus.functions.checks import array_of
from passus.loading import Loading, Verified
from passus.metrics.base import here, measured
from passus.metrics.classification import ConfusionMatrix
from passus.tree import Tree

__all__ = ["F1", "Average", "f1"]

Average = Literal["binary", "macro", "micro", "weighted", "none"]


class F1(Verified):
    """``2 * precision * recall / (precision + recall)``, for one class or over all.

    ``y``: scores (N, C, ...), of which the highest counts, or classes (N, ...) as integers; for two classes also numbers
    (N, ...), such as probabilities, which mean class 1 where they are above ``threshold`` (0 for logits). ``t``: labels
    (N, ...); those that are ``ignore_index`` do not count. ``average``: "binary" for class 1 of two, "macro" for the
    mean over classes that occur, "weighted" for one weighted by how often they do, "micro" for all examples together,
    "none" for all of them (C,); without it "binary" for two classes, and "macro" for more.

    Raises `ArgumentError` for another average; `ShapeError` and `LabelError` as `ConfusionMatrix` does.

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
                f"F1: average is {average!r}, for {classes} classes; give one of {', '.join(Average.__args__)}, "  # type: ignore[attr-defined]
                "and 'binary' for two classes alone"
            )
        self.threshold = checked_real("F1", "threshold", threshold)
        self._matrix = ConfusionMatrix(classes, ignore_index)

    def update(self, y: Any, t: Any) -> None:
        """Add a batch of scores or predicted classes, and labels."""
        scores = here(array_of("F1", y))
        if len(self._matrix.classes) == 2 and scores.dtype.kind == "f" and scores.shape == array_of("F1", t).shape:
            scores = (scores > self.threshold).astype(np.int64)
        self._matrix.update(scores, t)

    def compute(self) -> Any:
        """The measure, from 0 to 1; NaN for a class, or a mean over classes, of which there is nothing."""
        counts = self._matrix.counts
        if not counts.sum():
            raise ArgumentError("F1: no examples yet; call update first")
        right, truths = counts.diagonal(), counts.sum(axis=1)
        both = truths + counts.sum(axis=0)
        with np.errstate(invalid="ignore"):
            each: Array = 2 * right / both
        if self.average == "none":
            return each
        if self.average == "binary":
            return float(each[1])
        if self.average == "micro":
            return float(right.sum() / counts.sum())
        occurs = both > 0
        weights = truths[occurs] if self.average == "weighted" else np.ones(int(occurs.sum()))
        return float((each[occurs] * weights).sum() / weights.sum())

    def reset(self) -> None:
        """Forget all examples."""
        self._matrix.reset()

    def state_dict(self) -> Tree:
        """The counts."""
        return self._matrix.state_dict()

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """What `load_state_dict` does first."""
        self._matrix.verify_state(state, loading)


def f1(y: Any, t: Any, classes: int = 2, average: Average | None = None, threshold: float = 0.5) -> Any:
    """The F1 measure of one batch; see `F1`.

    >>> f1(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]), classes=3, average="micro")
    0.75
    """
    return measured(F1(classes, average, threshold), y, t)
