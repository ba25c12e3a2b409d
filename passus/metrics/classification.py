"""Metrics of classification: accuracy and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from passus.arguments import checked_count, checked_integer
from passus.backend import Array
from passus.display import html_table
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.functions.checks import array_of, check_label_shape, check_labels
from passus.functions.nn.class_axis import class_axis, classes_second
from passus.loading import Loading, Verified
from passus.metrics.base import Averaged, measured, on_host
from passus.tree import Tree, check_tree

__all__ = [
    "Accuracy",
    "ConfusionMatrix",
    "TopKAccuracy",
    "accuracy",
    "confusion_matrix",
    "top_k_accuracy",
]


class TopKAccuracy(Averaged):
    """The fraction of examples whose class is among the ``k`` with the highest scores.

    ``y``: scores (N, C, ...), with C at least k; ``t``: labels (N, ...). Ties are broken in favour of the first class, and a
    NaN score is never correct. Examples with the label ``ignore_index`` are skipped. ``axis``: the axis of the classes, 1
    by default; the logits (N, T, V) of a language model with labels (N, T) need ``axis=-1``.

    Raises `ArgumentError` for k < 1 or k > C, `ShapeError` and `LabelError` for invalid labels.

    >>> metric = TopKAccuracy(k=2)
    >>> metric.update(np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]), np.array([1, 2]))
    >>> metric.compute()
    0.5
    """

    needs: ClassVar[str] = ", with labels other than ignore_index"

    def __init__(self, k: int, ignore_index: int | None = None, axis: int | None = None) -> None:
        self.k = checked_count(type(self).__name__, "k", k)
        self.axis = None if axis is None else checked_integer(type(self).__name__, "axis", axis)
        self.ignore_index = checked_ignore_index(type(self).__name__, ignore_index)
        super().__init__()

    def update(self, y: Any, t: Any) -> None:
        """Add a batch of scores and labels."""
        correct = _ranks(type(self).__name__, y, t, self.k, self.ignore_index, self.axis) < self.k
        # Integers, so that the result does not depend on the division into batches.
        self._mean.total += int(correct.sum())
        self._mean.weight += correct.size


class Accuracy(TopKAccuracy):
    """The fraction of examples whose class has the highest score.

    ``y``, ``t``, ``ignore_index`` and ``axis`` are those of `TopKAccuracy`.

    >>> metric = Accuracy(ignore_index=-1)
    >>> metric.update(np.array([[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]]), np.array([1, 1, -1]))
    >>> metric.compute()
    0.5
    """

    def __init__(self, ignore_index: int | None = None, axis: int | None = None) -> None:
        super().__init__(1, ignore_index, axis)


class ConfusionMatrix(Verified):
    """Counts of examples of class i (row) that were predicted as class j (column).

    ``classes``: their number or their names. ``y``: scores (N, C, ...), of which the highest is the prediction, or predicted
    classes (N, ...) as integers; ``t``: labels (N, ...). Labels equal to ``ignore_index`` are skipped.

    Raises `ShapeError` and `LabelError` for invalid scores or labels, `DTypeError` for scores that are not numbers,
    `ArgumentError` for a NaN score.

    >>> matrix = ConfusionMatrix(["cat", "dog"])
    >>> matrix.update(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]))
    >>> print(matrix)
         cat  dog
    cat    1    1
    dog    0    2
    >>> matrix.recall()
    array([0.5, 1. ])
    """

    def __init__(self, classes: int | Sequence[str], ignore_index: int | None = None) -> None:
        self.ignore_index = checked_ignore_index("ConfusionMatrix", ignore_index)
        names: Any = classes if np.ndim(classes) else range(checked_count("ConfusionMatrix", "classes", classes))
        self.classes = [str(name) for name in names]
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise ArgumentError(f"ConfusionMatrix: classes are {self.classes}; give each a distinct name")
        self.reset()

    def update(self, y: Any, t: Any) -> None:
        """Add a batch of scores or predicted classes, and labels."""
        n = len(self.classes)
        scores, labels = array_of("ConfusionMatrix", y), array_of("ConfusionMatrix", t)
        if scores.dtype.kind not in "iu" or scores.shape != labels.shape:
            check_label_shape("ConfusionMatrix", y, t)
        scores, labels = without_ignored(scores, labels, self.ignore_index)
        predicted, labels = self._predicted(scores, labels, n), check_labels("ConfusionMatrix", labels, n)
        cells = n * _flat(labels) + _flat(predicted)
        self.counts += np.bincount(cells, minlength=n * n).reshape(n, n)

    def compute(self) -> Array:
        """A copy of the counts (C, C), rows by label, columns by prediction."""
        return self.counts.copy()

    def precision(self) -> Array:
        """The precision of each class (C,); NaN for a class that was never predicted."""
        return self._fractions(axis=0)

    def recall(self) -> Array:
        """The recall of each class (C,); NaN for a class without examples."""
        return self._fractions(axis=1)

    def reset(self) -> None:
        """Discard all examples."""
        self.counts = np.zeros((len(self.classes), len(self.classes)), np.int64)

    def state_dict(self) -> Tree:
        """The counts."""
        return {"counts": self.counts.copy()}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state. Raises `WeightsError` for missing counts, `ShapeError` for another number of classes."""
        check_tree("ConfusionMatrix.load_state_dict", state, ["counts"])
        counts = state["counts"]
        if not isinstance(counts, np.ndarray):
            raise DTypeError(f"ConfusionMatrix: counts are {kind_of(counts)}, not an array of integers")
        if counts.shape != self.counts.shape:
            raise ShapeError(f"ConfusionMatrix: counts {counts.shape} do not fit {len(self.classes)} classes")
        if counts.dtype.kind not in "iu":
            raise DTypeError(f"ConfusionMatrix: counts are an array of {counts.dtype}, not integers")
        if counts.min() < 0 or counts.max() > np.iinfo(np.int64).max:
            raise ArgumentError("ConfusionMatrix: a count is negative or exceeds 63 bits")
        loading.assign(self, "counts", counts.astype(np.int64))

    def __repr__(self) -> str:
        rows = [["", *self.classes]] + [[name, *map(str, row)] for name, row in zip(self.classes, self.counts.tolist())]
        first = max(len(row[0]) for row in rows)
        width = max(len(cell) for row in rows for cell in row[1:]) + 2
        return "\n".join(row[0].ljust(first) + "".join(cell.rjust(width) for cell in row[1:]) for row in rows)

    def _repr_html_(self) -> str:
        head = ["label \\ prediction", *self.classes]
        rows = [[name, *counts] for name, counts in zip(self.classes, self.counts.tolist())]
        with np.errstate(invalid="ignore"):
            shares = self.counts / self.counts.sum(axis=1, keepdims=True)
        return html_table(head, rows, right=len(self.classes), title=type(self).__name__, shades=shares.tolist())

    def _predicted(self, scores: Array, labels: Array, n: int) -> Array:
        if scores.ndim == labels.ndim:
            return check_labels("ConfusionMatrix", scores, n)
        if scores.shape[1] != n:
            raise ShapeError(
                f"ConfusionMatrix: scores {scores.shape} are for {scores.shape[1]} classes, but the metric was created for {n}; pass classes={scores.shape[1]}"
            )
        scores = _numeric("ConfusionMatrix", scores)
        if scores.dtype.kind == "f" and (scores != scores).any():
            raise ArgumentError(
                "ConfusionMatrix: a score is NaN, so the predicted class is undefined; check the data for NaN"
            )
        return scores.argmax(axis=1)

    def _fractions(self, axis: int) -> Array:
        with np.errstate(invalid="ignore"):
            return self.counts.diagonal() / self.counts.sum(axis=axis)


def accuracy(y: Any, t: Any, ignore_index: int | None = None, axis: int | None = None) -> float:
    """The accuracy of one batch, as a Python number; see `Accuracy`.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 0]))
    1.0
    """
    return measured(Accuracy(ignore_index, axis), y, t)


def top_k_accuracy(y: Any, t: Any, k: int, ignore_index: int | None = None, axis: int | None = None) -> float:
    """The top-k accuracy of one batch, as a Python number; see `TopKAccuracy`. Raises for an empty batch.

    >>> top_k_accuracy(np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]), np.array([1, 2]), k=2)
    0.5
    """
    return measured(TopKAccuracy(k, ignore_index, axis), y, t)


def confusion_matrix(y: Any, t: Any, num_classes: int, ignore_index: int | None = None) -> Array:
    """The confusion matrix (C, C) of one batch, rows by label; see `ConfusionMatrix`.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), num_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    return measured(ConfusionMatrix(checked_count("confusion_matrix", "num_classes", num_classes), ignore_index), y, t)


def without_ignored(scores: Array, labels: Array, ignore_index: int | None) -> tuple[Array, Array]:
    """Scores (N, C, ...), or one for each label, and labels (N, ...), without the labels ``ignore_index``.

    >>> without_ignored(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, -1]), ignore_index=-1)
    (array([[0.1, 0.9]]), array([1]))
    """
    scores, labels = on_host(scores), on_host(labels)
    if ignore_index is None:
        return scores, labels
    rows = scores if scores.ndim == labels.ndim else np.moveaxis(scores, 1, -1)
    valid = labels != ignore_index
    return rows[valid], labels[valid]


def checked_ignore_index(name: str, ignore_index: int | None) -> int | None:
    """Return ``ignore_index``. Raises `DTypeError` unless it is an integer or None.

    >>> checked_ignore_index("Accuracy", -1)
    -1
    """
    return None if ignore_index is None else checked_integer(name, "ignore_index", ignore_index)


def _ranks(name: str, y: Any, t: Any, k: int, ignore_index: int | None, axis: int | None) -> Array:
    """The rank of the correct class of each example, from 0."""
    axis = class_axis(name, y, axis)
    scores = array_of(name, classes_second(name, array_of(name, y), axis))
    check_label_shape(name, scores, t, axis)
    scores = _numeric(name, scores)
    num_classes = scores.shape[1]
    if k > num_classes:
        raise ArgumentError(f"{name}: k is {k}, but y {scores.shape} has only {num_classes} classes")
    scores, labels = without_ignored(scores, array_of(name, t), ignore_index)
    labels = np.expand_dims(check_labels(name, labels, num_classes), 1)
    own = np.take_along_axis(scores, labels, axis=1)
    classes = np.arange(num_classes).reshape(-1, *[1] * (scores.ndim - 2))
    # Negated, so that a NaN, for which every comparison is False, ranks before the correct class.
    before: Array = ~(scores <= own) | ((scores == own) & (classes < labels))
    return before.sum(axis=1)


def _numeric(name: str, scores: Array) -> Array:
    if scores.dtype.kind not in "fiu":
        raise DTypeError(f"{name}: scores must be numbers, not {scores.dtype}")
    return scores


def _flat(labels: Array) -> Array:
    """Flat labels as int64, in which products do not overflow."""
    return on_host(labels).ravel().astype(np.int64)
