"""Metrics of predictions, without gradient."""

from __future__ import annotations

from passus.backend import Array
from passus.config import no_grad
from passus.core import Function, Operand, Result
from passus.functions.checks import check_label_shape, check_labels, check_reduction
from passus.functions.nn.class_axis import class_axis, classes_second

__all__ = ["Accuracy", "accuracy"]


class Accuracy(Function):
    def forward(self, y: Array, t: Array) -> Array:
        return (y.argmax(axis=1) == t).mean().astype(y.dtype if y.dtype.kind == "f" else float)


def accuracy(y: Operand, t: Operand, axis: int | None = None) -> Result:
    """The fraction of examples whose highest score is that of the right class; of ties, the first class counts.

    ``y``: (N, C, ...), probabilities or other scores; ``t``: integers (N, ...). ``axis``: the axis of the classes, 1 by
    default; the logits (N, T, V) of a language model need ``axis=-1``. It has no gradient.

    Raises `LabelError` for a label out of range, `ShapeError` for shapes that do not fit, `ArgumentError` for an
    empty batch.

    >>> import numpy as np
    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    array(0.5)
    """
    with no_grad():
        axis = class_axis("accuracy", y, axis)
        y = classes_second("accuracy", y, axis)
        labels = check_labels("accuracy", t, check_label_shape("accuracy", y, t, axis))
        check_reduction("accuracy", "mean", labels.size)
        return Accuracy()(y, labels)
