"""Measures of predictions, collected over batches of any size, and the same measures of one batch as functions.

>>> metric = Accuracy()
>>> for y, t in [(np.array([[0.2, 0.8]]), np.array([1])), (np.array([[0.6, 0.4], [0.9, 0.1]]), np.array([1, 0]))]:
...     metric.update(y, t)
>>> round(metric.compute(), 4)
0.6667
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from passus.arguments import checked_count, checked_number
from passus.backend import Array, backend_of
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.functions.checks import array_of, check_label_shape, check_labels
from passus.tree import Stateful, Tree, check_tree

__all__ = [
    "Accuracy",
    "ConfusionMatrix",
    "Mean",
    "Metric",
    "TopKAccuracy",
    "accuracy",
    "confusion_matrix",
    "top_k_accuracy",
]


class Metric(Stateful, Protocol):
    """Anything that measures predictions batch by batch, and can say what it noted."""

    def update(self, y: Any, t: Any) -> None:
        """Take note of the predictions ``y`` of a batch and of the truth ``t``."""

    def compute(self) -> Any:
        """The measure of all that was noted; raises `ArgumentError` if that is nothing."""

    def reset(self) -> None:
        """Forget all that was noted."""


class Mean:
    """The mean of numbers, each with its weight: ``sum(w * x) / sum(w)``.

    The mean loss of batches of unequal size is right when each loss has the size of its batch as weight.

    >>> loss = Mean()
    >>> loss.update(1.0, weight=3)
    >>> loss.update(2.0, weight=1)
    >>> loss.compute()
    1.25
    """

    def __init__(self) -> None:
        self.reset()

    def update(self, value: Any, weight: float = 1.0) -> None:
        """Add a number, or a Variable or array of one element.

        Raises `ShapeError` for more elements, `ArgumentError` for a weight that is negative or not finite.
        """
        number = array_of("Mean", value)
        if number.size != 1:
            raise ShapeError(f"Mean: {number.shape} is not one number; give its mean, and its size as weight")
        weight = checked_number("Mean", "weight", weight)
        self.total += weight * number.item()
        self.weight += weight

    def compute(self) -> float:
        """The mean. Raises `ArgumentError` if the weights add up to nothing."""
        if not self.weight:
            raise ArgumentError("Mean: there is nothing to take the mean of; call update first")
        return self.total / self.weight

    def reset(self) -> None:
        """Forget all numbers."""
        self.total = 0.0
        self.weight = 0.0

    def state_dict(self) -> Tree:
        """The sums."""
        return {"total": self.total, "weight": self.weight}

    def load_state_dict(self, state: Tree) -> None:
        """Take back a state. Raises `WeightsError` if a sum is missing."""
        check_tree("Mean.load_state_dict", state, ["total", "weight"])
        self.total, self.weight = float(state["total"]), float(state["weight"])


class TopKAccuracy:
    """The share of examples whose class is among the ``k`` with the highest scores.

    ``y``: scores (N, C, ...), with C at least k; ``t``: labels (N, ...). Of equal scores the first class counts more,
    and a NaN is never right.

    Raises `ArgumentError` for k < 1 or k > C, `ShapeError` and `LabelError` for labels that do not fit.

    >>> metric = TopKAccuracy(k=2)
    >>> metric.update(np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]), np.array([1, 2]))
    >>> metric.compute()
    0.5
    """

    def __init__(self, k: int) -> None:
        self.k = checked_count(type(self).__name__, "k", k)
        self._mean = Mean()

    def update(self, y: Any, t: Any) -> None:
        """Add a batch of scores and labels."""
        right = _ranks(type(self).__name__, y, t, self.k) < self.k
        # Whole numbers, so that the share does not depend on how examples were put into batches.
        self._mean.total += int(right.sum())
        self._mean.weight += right.size

    def compute(self) -> float:
        """The share of right examples, from 0 to 1."""
        return self._mean.compute()

    def reset(self) -> None:
        """Forget all examples."""
        self._mean.reset()

    def state_dict(self) -> Tree:
        """The sums."""
        return self._mean.state_dict()

    def load_state_dict(self, state: Tree) -> None:
        """Take back a state."""
        self._mean.load_state_dict(state)


class Accuracy(TopKAccuracy):
    """The share of examples whose class has the highest score; ``y`` and ``t`` are those of `TopKAccuracy`.

    >>> metric = Accuracy()
    >>> metric.update(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    >>> metric.compute()
    0.5
    """

    def __init__(self) -> None:
        super().__init__(k=1)


class ConfusionMatrix:
    """How often class i (row) was taken for class j (column).

    ``classes``: their number or their names. ``y``: scores (N, C, ...), of which the highest counts, or the classes
    (N, ...) that were predicted, as integers; ``t``: labels (N, ...).

    Raises `ShapeError` and `LabelError` for scores or labels that do not fit, `DTypeError` for scores that are no numbers,
    `ArgumentError` if one is NaN, which no class is the highest of.

    >>> matrix = ConfusionMatrix(["cat", "dog"])
    >>> matrix.update(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]))
    >>> print(matrix)
         cat  dog
    cat    1    1
    dog    0    2
    >>> matrix.recall()
    array([0.5, 1. ])
    """

    def __init__(self, classes: int | Sequence[str]) -> None:
        names: Any = classes if np.ndim(classes) else range(checked_count("ConfusionMatrix", "classes", classes))
        self.classes = [str(name) for name in names]
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise ArgumentError(f"ConfusionMatrix: classes are {self.classes}; give each a name of its own")
        self.reset()

    def update(self, y: Any, t: Any) -> None:
        """Add a batch of scores or predicted classes, and labels."""
        n = len(self.classes)
        predicted, labels = self._predicted(y, t, n), check_labels("ConfusionMatrix", t, n)
        cells = n * _whole(labels) + _whole(predicted)
        self.counts += np.bincount(cells, minlength=n * n).reshape(n, n)

    def compute(self) -> Array:
        """The matrix of counts (C, C), rows by truth, columns by prediction; a copy."""
        return self.counts.copy()

    def precision(self) -> Array:
        """Of those taken for a class, the share that belongs to it (C,); NaN for a class that was never predicted."""
        return self._share(axis=0)

    def recall(self) -> Array:
        """Of those that belong to a class, the share taken for it (C,); NaN for a class without examples."""
        return self._share(axis=1)

    def reset(self) -> None:
        """Forget all examples."""
        self.counts = np.zeros((len(self.classes), len(self.classes)), np.int64)

    def state_dict(self) -> Tree:
        """The counts."""
        return {"counts": self.counts.copy()}

    def load_state_dict(self, state: Tree) -> None:
        """Take back a state. Raises `WeightsError` without counts, `ShapeError` for another number of classes."""
        check_tree("ConfusionMatrix.load_state_dict", state, ["counts"])
        counts = np.array(state["counts"], np.int64)
        if counts.shape != self.counts.shape:
            raise ShapeError(f"ConfusionMatrix: a state {counts.shape} does not fit {len(self.classes)} classes")
        self.counts = counts

    def __str__(self) -> str:
        rows = [["", *self.classes]] + [[name, *map(str, row)] for name, row in zip(self.classes, self.counts.tolist())]
        first = max(len(row[0]) for row in rows)
        width = max(len(cell) for row in rows for cell in row[1:]) + 2
        return "\n".join(row[0].ljust(first) + "".join(cell.rjust(width) for cell in row[1:]) for row in rows)

    def _predicted(self, y: Any, t: Any, n: int) -> Array:
        scores = array_of("ConfusionMatrix", y)
        if scores.dtype.kind in "iu" and scores.shape == array_of("ConfusionMatrix", t).shape:
            return check_labels("ConfusionMatrix", y, n)
        check_label_shape("ConfusionMatrix", y, t)
        if scores.shape[1] != n:
            raise ShapeError(
                f"ConfusionMatrix: scores {scores.shape} are for {scores.shape[1]} classes, and not for {n}"
            )
        scores = _numeric("ConfusionMatrix", scores)
        if scores.dtype.kind == "f" and (scores != scores).any():
            raise ArgumentError(
                "ConfusionMatrix: a score is NaN, so no class has the highest; look for NaN in the data"
            )
        return scores.argmax(axis=1)

    def _share(self, axis: int) -> Array:
        with np.errstate(invalid="ignore"):
            return self.counts.diagonal() / self.counts.sum(axis=axis)


def accuracy(y: Any, t: Any) -> float:
    """The accuracy of one batch, as a Python number; see `Accuracy`.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 0]))
    1.0
    """
    metric = Accuracy()
    metric.update(y, t)
    return metric.compute()


def top_k_accuracy(y: Any, t: Any, k: int) -> float:
    """The top-k accuracy of one batch, as a Python number; see `TopKAccuracy`. Raises for an empty batch.

    >>> top_k_accuracy(np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]), np.array([1, 2]), k=2)
    0.5
    """
    metric = TopKAccuracy(k)
    metric.update(y, t)
    return metric.compute()


def confusion_matrix(y: Any, t: Any, num_classes: int) -> Array:
    """The confusion matrix (C, C) of one batch, rows by truth; see `ConfusionMatrix`.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), num_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    metric = ConfusionMatrix(checked_count("confusion_matrix", "num_classes", num_classes))
    metric.update(y, t)
    return metric.compute()


def _ranks(name: str, y: Any, t: Any, k: int) -> Array:
    """How many classes come before the right one, for each example."""
    check_label_shape(name, y, t)
    scores = _numeric(name, array_of(name, y))
    num_classes = scores.shape[1]
    if k > num_classes:
        raise ArgumentError(f"{name}: k is {k}, but there are only {num_classes} classes in y {scores.shape}")
    scores, labels = _here(scores), np.expand_dims(_here(check_labels(name, t, num_classes)), 1)
    own = np.take_along_axis(scores, labels, axis=1)
    classes = np.arange(num_classes).reshape(-1, *[1] * (scores.ndim - 2))
    # Written so that a NaN, which compares as False, comes before the right class.
    before: Array = ~(scores <= own) | ((scores == own) & (classes < labels))
    return before.sum(axis=1)


def _numeric(name: str, scores: Array) -> Array:
    if scores.dtype.kind not in "fiu":
        raise DTypeError(f"{name}: scores must be numbers, not {scores.dtype}")
    return scores


def _whole(labels: Array) -> Array:
    """Labels in a row, in a type with room for products."""
    return _here(labels).ravel().astype(np.int64)


def _here(array: Array) -> Array:
    """The array in main memory."""
    return backend_of(array).to_numpy(array)
