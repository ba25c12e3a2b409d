"""Classification losses: cross entropy with labels or probabilities, negative log-likelihood, KL divergence.

Classes are on axis 1 by default: ``x`` is (N, C) with labels (N,), or (N, C, d1, ...) with labels (N, d1, ...). The
logits (N, T, V) of a language model have them on the last axis and need ``axis=-1``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_fraction, checked_integer
from passus.backend import Array, backend_of, invalid
from passus.core import HALF, Function, Operand, Result, upcast_inputs
from passus.errors import ArgumentError, ShapeError
from passus.functions.arrays.arithmetic import mul, neg, sub
from passus.functions.arrays.elementwise import log
from passus.functions.arrays.indexing import get_item
from passus.functions.arrays.reductions import sum
from passus.functions.arrays.selection import where
from passus.functions.checks import (
    array_of,
    check_label_shape,
    check_labels,
    check_reduction,
    check_same_shape,
)
from passus.functions.nn.class_axis import check_class_axis, class_axis, classes_second
from passus.functions.nn.scores import expect_logarithms, expect_scores
from passus.functions.nn.softmax import log_softmax, softmax
from passus.functions.nn.weighting import in_dtype_of, product, weighted, zero_unweighted
from passus.kernels.elementwise import masked
from passus.kernels.rows import cross_entropy, cross_entropy_gradient, label_index

__all__ = ["SoftmaxCrossEntropy", "kl_divergence", "nll_loss", "softmax_cross_entropy"]


class SoftmaxCrossEntropy(Function):
    """Softmax, logarithm, selection of the label and reduction, fused."""

    upcast_dtypes = HALF

    # Used by ordinary backward passes only; recorded passes start from x.
    constants = ("top", "z", "e", "weights", "total")

    def __init__(self, reduction: str = "mean", weights: Array | None = None, smoothing: float = 0.0) -> None:
        self.reduction, self.weights, self.smoothing = reduction, weights, smoothing

    def forward(self, x: Array, t: Array) -> Array:
        self.t = t
        if self.weights is None:
            losses, self.top, self.z, self.e = cross_entropy(x, t, self.smoothing)
            self.total = t.size
        else:
            with np.errstate(invalid="ignore"):  # Ignored examples may contain any number.
                losses, self.top, self.z, self.e = cross_entropy(x, t, self.smoothing)
            losses = masked(losses, self.weights != 0) * self.weights
            self.total = self.weights.sum()
        if self.reduction == "none":
            return losses
        return losses.sum() / self.total if self.reduction == "mean" else losses.sum()

    def backward(self, gy: Any) -> Any:
        # (softmax(x) - onehot(t)) * gy / n, with a smoothed target in place of onehot(t).
        if self.reduction == "mean":
            gy = gy / self.total
        x = self.saved(self.operands[0])
        if self.weights is not None:
            gy = masked(gy, self.weights != 0) * self.weights
        if not self.recording:
            return cross_entropy_gradient(gy, x, self.t, self.top, self.z, self.e, self.smoothing), None
        if gy.ndim:
            gy = gy[:, None]
        if self.weights is None:
            return gy * self._derivative(x), None
        counted = (self.weights != 0)[:, None]
        return masked(gy * self._derivative(masked(x, counted)), counted), None

    def _derivative(self, x: Any) -> Any:
        onehot = _onehot(self.t, x.shape[1], self.z.dtype)
        return softmax(x, axis=1) - (
            (1 - self.smoothing) * onehot + self.smoothing / x.shape[1] if self.smoothing else onehot
        )


def _onehot(t: Array, classes: int, dtype: Any) -> Array:
    """One-hot vectors (N, C, ...) of labels (N, ...)."""
    backend = backend_of(t)
    return backend.add_at(backend.xp.zeros((len(t), classes, *t.shape[1:]), dtype), label_index(t), 1)


@upcast_inputs(1)
@upcast_inputs(2, HALF)  # Two operands, unless t holds labels.
def softmax_cross_entropy(
    x: Operand,
    t: Operand,
    *,
    weight: Operand | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    axis: int | None = None,
) -> Result:
    """The cross entropy of ``softmax(x)`` with labels or probabilities: ``log(sum(exp(x))) - x[t]``.

    ``x``: logits (N, C, ...); ``t``: integers (N, ...), or probabilities (N, C, ...). ``weight``: (C,), a weight per
    class; the mean over labels is divided by the sum of their weights. ``ignore_index``: labels with this value are
    ignored. ``label_smoothing``: the fraction of the probability that is distributed evenly over all classes. ``axis``:
    the axis of the classes, 1 by default. The logits (N, T, V) of a language model need ``axis=-1``, with labels
    (N, T); they are not copied. If T = V, both axes fit, and a call without ``axis`` warns once.

    Raises `LabelError` for a label out of range, `ShapeError` for shapes that do not fit, `ArgumentError` for a mean
    over zero labels. Source of label smoothing: Szegedy et al., 2016, "Rethinking the Inception architecture".

    >>> import numpy as np
    >>> softmax_cross_entropy(np.array([[0.0, 0.0], [0.0, 1000.0]]), np.array([0, 1]))
    array(0.34657359)
    >>> softmax_cross_entropy(np.zeros((2, 3, 5)), np.ones((2, 3), int), axis=-1)
    array(1.60943791)
    """
    name = "softmax_cross_entropy"
    expect_scores(name, x)
    label_smoothing = checked_fraction(name, "label_smoothing", label_smoothing)
    target = array_of(name, t)
    probabilities = target.dtype.kind == "f" and target.ndim == array_of(name, x).ndim
    axis = class_axis(name, x, axis)
    x = classes_second(name, x, axis)
    if probabilities:
        t = classes_second(name, t, axis)
        check_same_shape(name, x, t)
        check_class_axis(name, "t", target, axis)
        if ignore_index is not None:
            raise ArgumentError(f"{name}: ignore_index={ignore_index} is for labels, but t holds probabilities")
        losses = _soft_target_losses(name, x, t, weight, label_smoothing)
        check_reduction(name, reduction, losses.size)
        return weighted(losses, None, reduction)
    labels, weights = _weighted_labels(name, x, t, weight, ignore_index, reduction, axis)
    if label_smoothing and weight is not None:
        array = array_of(name, x)
        onehot = _onehot(labels, array.shape[1], array.dtype)
        counted = None if ignore_index is None else target != ignore_index
        if counted is not None:
            x = zero_unweighted(x, counted[:, None])
        losses = _soft_target_losses(name, x, onehot, weight, label_smoothing)
        return weighted(losses, counted, reduction, None if weights is None else weights.sum())
    return SoftmaxCrossEntropy(reduction, weights, label_smoothing)(x, labels)


@upcast_inputs(1)
def nll_loss(
    log_p: Operand,
    t: Operand,
    *,
    weight: Operand | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    axis: int | None = None,
) -> Result:
    """The negative log-likelihood of labels, ``-log_p[t]``. Of `log_softmax` it is `softmax_cross_entropy`.

    ``log_p``: (N, C, ...), log-probabilities. Other arguments: see `softmax_cross_entropy`.

    >>> import numpy as np
    >>> nll_loss(np.log(np.array([[0.5, 0.5], [0.25, 0.75]])), np.array([0, 0]), reduction="sum")
    array(2.07944154)
    """
    expect_logarithms("nll_loss", "log_p", log_p)
    axis = class_axis("nll_loss", log_p, axis)
    log_p = classes_second("nll_loss", log_p, axis)
    labels, weights = _weighted_labels("nll_loss", log_p, t, weight, ignore_index, reduction, axis)
    losses = neg(get_item(log_p, label_index(labels)))
    return weighted(losses, weights, reduction, None if weights is None else weights.sum())


def _weighted_labels(
    name: str, x: Operand, t: Operand, weight: Operand | None, ignore_index: int | None, reduction: str, axis: int
) -> tuple[Array, Array | None]:
    """The checked labels, with 0 for ignored ones, and the weight of each, or None if all are equal."""
    classes = check_label_shape(name, x, t, axis)
    labels, counted = array_of(name, t), None
    if ignore_index is not None:
        counted = labels != checked_integer(name, "ignore_index", ignore_index)
        labels = labels * counted
    labels = check_labels(name, labels, classes)
    weights = None
    if weight is not None:
        of_classes = _class_weights(name, x, weight)
        weights = backend_of(of_classes, labels).asarray(of_classes)[labels]
    if counted is not None:
        dtype = array_of(name, x).dtype
        weights = counted.astype(dtype) if weights is None else weights * counted
    check_reduction(name, reduction, labels.size if weights is None else weights.sum())
    return labels, weights


def _class_weights(name: str, x: Operand, weight: Operand) -> Array:
    shape: tuple[int, ...] = array_of(name, x).shape
    weights = in_dtype_of(x, array_of(name, weight))
    if weights.shape != shape[1:2]:
        raise ShapeError(f"{name}: weight {weights.shape} must hold one number for each class, axis 1 of x {shape}")
    return weights


def _soft_target_losses(name: str, x: Operand, t: Operand, weight: Operand | None, smoothing: float) -> Result:
    """The loss of each example."""
    terms = log_softmax(x, axis=1)
    if weight is not None:
        terms = product(terms, _class_weights(name, x, weight).reshape(-1, *[1] * (terms.ndim - 2)))
    terms = product(terms, t * (1 - smoothing) + smoothing / terms.shape[1])
    return neg(sum(terms, axis=1))


@upcast_inputs(2)
def kl_divergence(log_q: Operand, p: Operand, *, reduction: str = "mean") -> Result:
    """The Kullback-Leibler divergence of distributions over classes: ``sum(p * (log(p) - log_q), axis=1)``.

    ``log_q``: (N, C, ...), predicted log-probabilities, as from `log_softmax`; ``p``: (N, C, ...), true probabilities.
    Classes with ``p = 0`` add nothing. The mean is over examples, not over classes.

    Raises `ShapeError` for unequal shapes, a missing axis 1, or a ``p`` that sums to 1 along another axis instead,
    `ArgumentError` for a negative ``p``.

    >>> import numpy as np
    >>> kl_divergence(np.log(np.array([[0.5, 0.5]])), np.array([[0.0, 1.0]]))
    array(0.69314718)
    """
    expect_logarithms("kl_divergence", "log_q", log_q)
    check_same_shape("kl_divergence", log_q, p, ("log_q", "p"))
    true = array_of("kl_divergence", p)
    if true.ndim < 2:
        raise ShapeError(f"kl_divergence: p {true.shape} needs the axes (N, C) or more; write p.reshape(1, -1) for one")
    if invalid((true < 0).any(), ArgumentError, "kl_divergence: p holds a negative number, which is no probability"):
        raise ArgumentError(
            f"kl_divergence: p holds {true.min()}, but probabilities are not negative; for scores write p = F.softmax(p)"
        )
    check_class_axis("kl_divergence", "p", true, 1)
    positive = true > 0
    losses = sum(mul(p, sub(log(where(positive, p, 1.0)), where(positive, log_q, 0.0))), axis=1)
    check_reduction("kl_divergence", reduction, losses.size)
    return weighted(losses, None, reduction)
