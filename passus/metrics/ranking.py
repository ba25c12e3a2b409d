"""Metrics of ranking: the area under the ROC curve."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from passus.backend import Array
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.functions.checks import array_of, check_labels
from passus.loading import Loading
from passus.metrics.base import DisplayedMetric, measured, on_host
from passus.metrics.classification import checked_ignore_index, without_ignored
from passus.tree import Tree, check_tree

__all__ = ["AUC", "auc"]


class AUC(DisplayedMetric):
    """The area under the ROC curve: the probability that an example of class 1 has a higher score than one of class 0.

    ``y``: scores of class 1 (probabilities or logits), of the shape of ``t``, or scores of both classes (N, 2, ...); ``t``:
    labels 0 and 1, as integers or booleans; those equal to ``ignore_index`` are skipped. Ties count half. All scores are
    stored, because the result depends on their order. The result is NaN if only one class occurs.

    Raises `ShapeError` for other shapes (for several classes, write ``auc(y[:, c], t == c)`` for each), `LabelError` for
    other labels, `ArgumentError` for a NaN score.

    >>> metric = AUC()
    >>> metric.update(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    >>> metric.compute()
    0.75
    """

    def __init__(self, ignore_index: int | None = None) -> None:
        self.ignore_index = checked_ignore_index("AUC", ignore_index)
        self.reset()

    def update(self, y: Any, t: Any) -> None:
        """Add a batch of scores and labels."""
        scores, labels = on_host(array_of("AUC", y)), on_host(array_of("AUC", t))
        labels = labels.astype(np.int64) if labels.dtype.kind == "b" else labels
        if scores.dtype.kind not in "fiu":
            raise DTypeError(f"AUC: scores must be numbers, not {scores.dtype}")
        if (
            scores.shape != labels.shape
            and scores.shape[:1] + scores.shape[2:] == labels.shape
            and scores.shape[1] == 2
        ):
            scores = np.subtract(scores[:, 1], scores[:, 0], dtype=np.float64)
        if scores.shape != labels.shape:
            fix = (
                f"write y.reshape({labels.shape})"
                if scores.size == labels.size
                else "give scores (N,) of class 1, or (N, 2) of both; for more classes write auc(y[:, c], t == c) for each class"
            )
            raise ShapeError(f"AUC: scores {scores.shape} do not fit labels {labels.shape}; {fix}")
        scores, labels = without_ignored(scores, labels, self.ignore_index)
        check_labels("AUC", labels, 2)
        if (scores != scores).any():
            raise ArgumentError("AUC: a score is NaN, which cannot be ranked; check the data for NaN")
        self._scores.append(scores.ravel())
        self._labels.append(labels.ravel() == 1)

    def compute(self) -> float:
        """The area, from 0 to 1; 0.5 is chance. Raises `ArgumentError` if there were no examples."""
        scores, labels = self._all()
        if not scores.size:
            raise ArgumentError("AUC: no examples yet; call update first")
        _, rank = np.unique(scores, return_inverse=True)
        ones = np.bincount(rank, weights=labels)
        zeros = np.bincount(rank) - ones
        pairs = ones.sum() * zeros.sum()
        return float((ones * (zeros.cumsum() - zeros / 2)).sum() / pairs) if pairs else math.nan

    def reset(self) -> None:
        """Discard all examples."""
        self._scores: list[Array] = []
        self._labels: list[Array] = []

    def state_dict(self) -> Tree:
        """All scores and labels."""
        scores, labels = self._all()
        return {"scores": scores, "labels": labels}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state. Raises `WeightsError` for a missing array, `ShapeError` for unequal lengths, `DTypeError` for other
        types, `ArgumentError` for a NaN score.
        """
        check_tree("AUC.load_state_dict", state, ["scores", "labels"])
        scores, labels = state["scores"], state["labels"]
        if not isinstance(scores, np.ndarray) or not isinstance(labels, np.ndarray):
            raise DTypeError(f"AUC: the state holds {kind_of(scores)} and {kind_of(labels)}, not two arrays")
        if scores.dtype.kind not in "fiu" or labels.dtype.kind != "b":
            raise DTypeError(f"AUC: the state holds scores of {scores.dtype} and labels of {labels.dtype}, not of bool")
        if scores.ndim != 1 or scores.shape != labels.shape:
            raise ShapeError(f"AUC: the state holds scores {scores.shape} and labels {labels.shape}, not (N,) each")
        if (scores != scores).any():
            raise ArgumentError("AUC: the state holds NaN scores, which cannot be ranked")
        loading.assign(self, "_scores", [scores.copy()])
        loading.assign(self, "_labels", [labels.copy()])

    def _all(self) -> tuple[Array, Array]:
        """All scores and all labels, concatenated."""
        if not self._scores:
            return np.zeros(0), np.zeros(0, bool)
        return np.concatenate(self._scores), np.concatenate(self._labels)


def auc(y: Any, t: Any) -> float:
    """The area under the ROC curve of one batch; see `AUC`.

    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.75
    """
    return measured(AUC(), y, t)
