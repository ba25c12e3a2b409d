"""Elementwise losses of two arrays of the same shape.

``reduction`` is "mean" over all elements, "sum", or "none" for the loss of each element. All raise `ShapeError` for
unequal shapes and `ArgumentError` for the mean of an empty batch. Shapes of single numbers, and all shapes in the
binary cross entropies, may differ by axes of length 1, as (N,) and (N, 1). Targets have gradients, too, unless they are
labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_number
from passus.backend import Array, has_values, invalid
from passus.core import HALF, INTEGERS, Binary, Operand, Result, Variable, upcast, upcast_inputs
from passus.errors import ArgumentError, LabelError, ShapeError
from passus.functions.arrays.arithmetic import add
from passus.functions.arrays.shapes import reshape
from passus.functions.checks import array_of, check_reduction, check_same_shape, check_signs
from passus.functions.nn.activations import sigmoid, softplus
from passus.functions.nn.scores import expect_scores
from passus.functions.nn.weighting import in_dtype_of, product, weighted, zero_unweighted
from passus.kernels.elementwise import masked

__all__ = [
    "BinaryCrossEntropy",
    "DifferenceLoss",
    "ElementwiseLoss",
    "Hinge",
    "Huber",
    "L1Loss",
    "MeanSquaredError",
    "SigmoidCrossEntropy",
    "binary_cross_entropy",
    "hinge",
    "huber",
    "l1_loss",
    "mean_squared_error",
    "sigmoid_cross_entropy",
]


TOLERANCE = 1e-2
"""Tolerance for targets outside 0 to 1, because soft labels are rounded."""


class ElementwiseLoss(Binary):
    """The base of losses. Subclasses define ``loss`` and its derivatives ``grad0`` and ``grad1``."""

    upcast_dtypes = HALF + INTEGERS

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def loss(self, x: Array, t: Array) -> Array:
        """The loss of each element."""
        raise NotImplementedError

    def forward(self, x: Array, t: Array) -> Array:
        losses = self.loss(x, t)
        self.count = losses.size
        return _reduced(losses, self.reduction)

    def backward(self, gy: Any) -> Any:
        return super().backward(gy / self.count if self.reduction == "mean" else gy)


def _reduced(losses: Any, reduction: str) -> Any:
    """The mean or sum of losses, or the losses themselves."""
    if reduction == "none":
        return losses
    return losses.sum() / losses.size if reduction == "mean" else losses.sum()


def _checked(name: str, x: Operand, t: Operand, reduction: str, binary: bool = False) -> tuple[Any, Any]:
    """The checked prediction and target.

    ``binary``: the shapes may differ by axes of length 1. Raises `ShapeError` and `ArgumentError`, see above.
    """
    if binary or array_of(name, x).size == 1:
        t = _reshaped_like(name, x, t)
    check_same_shape(name, x, t)
    check_reduction(name, reduction, array_of(name, x).size)
    return x, t


def _check_targets(name: str, x: Operand, t: Operand, argument: str = "x") -> None:
    """Raise `LabelError` for targets below 0 or above 1, for which the loss has no minimum."""
    targets = array_of(name, t)
    if not has_values(targets):
        beyond = (targets < -TOLERANCE) | (targets > 1 + TOLERANCE)
        invalid(beyond.any() & (abs(targets) < np.inf).all(), LabelError, f"{name}: t must lie between 0 and 1")
        return
    if (
        not targets.size
        or (targets.min() >= -TOLERANCE and targets.max() <= 1 + TOLERANCE)
        or not np.isfinite(targets).all()
    ):
        return
    if isinstance(t, Variable) and t.requires_grad and not isinstance(x, Variable):
        fix = f"{argument} and t are swapped; predictions come first"
    elif (abs(targets) == 1).all():
        fix = "for labels -1 and 1 write (t + 1) / 2"
    elif targets.max() == 255:
        fix = "for pixels write t / 255"
    elif (targets == np.round(targets)).all():
        fix = "for more than two classes use softmax_cross_entropy, with a score for each class"
    else:
        fix = "for real numbers use mean_squared_error"
    raise LabelError(f"{name}: t must lie between 0 and 1, not {targets.min():g} to {targets.max():g}; {fix}")


def _reshaped_like(name: str, x: Operand, t: Any) -> Any:
    """Reshape ``t`` to the shape of ``x`` if they differ by axes of length 1 only."""
    shape, given = array_of(name, x).shape, array_of(name, t).shape
    differ_by_ones = shape != given and [n for n in shape if n != 1] == [n for n in given if n != 1]
    return reshape(t, shape) if differ_by_ones else t


def _weights(name: str, argument: str, x: Operand, weight: Any) -> Any:
    """The weights of the elements of ``x``. Raises `ShapeError` unless they broadcast to the shape of ``x``."""
    if weight is None:
        return None
    weight = _reshaped_like(f"{name}, {argument}", x, weight)
    shape, given = array_of(name, x).shape, array_of(argument, weight).shape
    if len(given) > len(shape) or any(n not in (1, m) for n, m in zip(given[::-1], shape[::-1])):
        raise ShapeError(
            f"{name}: {argument} {given} does not broadcast to x {shape}; give one number for each element"
        )
    return weight


class DifferenceLoss(ElementwiseLoss):
    """The base of losses of ``x - t``. Subclasses define the derivative, which must be an odd function."""

    def grad(self, gy: Any, d: Any) -> Any:
        """``gy`` times the derivative with respect to the difference ``d``."""
        raise NotImplementedError

    def grad0(self, gy: Any) -> Any:
        return self.grad(gy, self.x0 - self.x1)

    def grad1(self, gy: Any) -> Any:
        return self.grad(gy, self.x1 - self.x0)


class MeanSquaredError(DifferenceLoss):
    def loss(self, x: Array, t: Array) -> Array:
        d = x - t
        return d * d

    def grad(self, gy: Any, d: Any) -> Any:
        return 2 * gy * d


def mean_squared_error(x: Operand, t: Operand, reduction: str = "mean") -> Result:
    """The squared error ``(x - t)**2``, averaged over all elements by default.

    >>> import numpy as np
    >>> mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    array(2.)
    """
    x, t = _checked("mean_squared_error", x, t, reduction)
    return MeanSquaredError(reduction)(x, t)


class L1Loss(DifferenceLoss):
    def loss(self, x: Array, t: Array) -> Array:
        return abs(x - t)

    def grad(self, gy: Any, d: Any) -> Any:
        return masked(gy, d != 0) * self.xp.sign(d)


def l1_loss(x: Operand, t: Operand, reduction: str = "mean") -> Result:
    """The absolute error ``|x - t|``, averaged over all elements by default. The gradient is 0 where they are equal.

    >>> import numpy as np
    >>> l1_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    array(1.)
    """
    x, t = _checked("l1_loss", x, t, reduction)
    return L1Loss(reduction)(x, t)


class Huber(DifferenceLoss):
    def __init__(self, delta: float, reduction: str) -> None:
        super().__init__(reduction)
        self.delta = delta

    def loss(self, x: Array, t: Array) -> Array:
        d = abs(x - t)
        near = self.xp.minimum(d, self.delta)
        return near * (d - 0.5 * near)  # d**2 / 2 up to delta, delta * (d - delta / 2) above.

    def grad(self, gy: Any, d: Any) -> Any:
        return gy * d.clip(-self.delta, self.delta)


def huber(x: Operand, t: Operand, delta: float = 1.0, reduction: str = "mean") -> Result:
    """The Huber loss, robust to outliers: ``d**2 / 2`` for ``d = |x - t| <= delta``, linear above.

    Raises `ArgumentError` unless ``delta > 0``.
    Source: Huber, 1964, "Robust estimation of a location parameter".

    >>> import numpy as np
    >>> huber(np.array([1.0, 5.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.5, 4.5])
    """
    x, t = _checked("huber", x, t, reduction)
    return Huber(checked_number("huber", "delta", delta, open_low=True), reduction)(x, t)


class Hinge(ElementwiseLoss):
    def loss(self, x: Array, t: Array) -> Array:
        return self.xp.maximum(1 - x * t, 0)

    def grad0(self, gy: Any) -> Any:
        return masked(-gy, self.x0 * self.x1 < 1) * self.x1

    def grad1(self, gy: Any) -> Any:
        return None  # Labels, 1 or -1.


def hinge(x: Operand, t: Operand, reduction: str = "mean") -> Result:
    """The hinge loss of support vector machines, for labels -1 and 1: ``max(0, 1 - t * x)``.

    Raises `LabelError` for other labels. Source: Cortes and Vapnik, 1995, "Support-vector networks".

    >>> import numpy as np
    >>> hinge(np.array([0.5, -2.0]), np.array([1, -1]), reduction="none")
    array([0.5, 0. ])
    """
    x, t = _checked("hinge", x, t, reduction)
    check_signs("hinge", t)
    return Hinge(reduction)(x, t)


class SigmoidCrossEntropy(ElementwiseLoss):
    def loss(self, x: Array, t: Array) -> Array:
        # The first term is exactly 0 for a confident, correct x, so the small second term is not rounded away.
        xp, error = self.xp, (x > 0) - t
        return masked(x, error != 0) * error + xp.log1p(xp.exp(-abs(x)))

    def grad0(self, gy: Any) -> Any:
        return gy * (sigmoid(self.x0) - self.x1)

    def grad1(self, gy: Any) -> Any:
        return -gy * self.x0


@upcast_inputs(2)
def sigmoid_cross_entropy(
    x: Operand,
    t: Operand,
    *,
    weight: Operand | None = None,
    pos_weight: Operand | None = None,
    reduction: str = "mean",
) -> Result:
    """The cross entropy of ``sigmoid(x)`` with probabilities or labels 0 and 1: ``log(1 + exp(x)) - t * x``.

    ``t``: of the shape of ``x``, up to axes of length 1. ``weight`` multiplies the loss of each element, ``pos_weight``
    its term with ``t``; both broadcast. Accurate for any ``x``.

    >>> import numpy as np
    >>> sigmoid_cross_entropy(np.array([0.0, 1000.0]), np.array([1, 1]), reduction="none")
    array([0.69314718, 0.        ])
    """
    name = "sigmoid_cross_entropy"
    expect_scores(name, x)
    x, t = _checked(name, x, t, reduction, binary=True)
    _check_targets(name, x, t)
    if weight is None and pos_weight is None:
        return SigmoidCrossEntropy(reduction)(x, t)
    weight, pos_weight = _weights(name, "weight", x, weight), _weights(name, "pos_weight", x, pos_weight)
    if weight is not None:
        x = zero_unweighted(x, weight)
    if pos_weight is None:
        losses = SigmoidCrossEntropy("none")(x, t)
    else:
        losses = add(product(softplus(x), 1 - t), product(softplus(-x), in_dtype_of(x, pos_weight) * t))
    return weighted(losses, weight, reduction)


class BinaryCrossEntropy(ElementwiseLoss):
    def __init__(self, reduction: str, smallest: float = 1e-12) -> None:
        super().__init__(reduction)
        self.smallest = smallest

    def _log(self, p: Any) -> Any:
        # The logarithm is at least -100; the inner bound only avoids log(0).
        xp = self.xp
        return xp.maximum(xp.log(xp.maximum(p, float(np.finfo(p.dtype).smallest_subnormal))), -100)

    def loss(self, p: Array, t: Array) -> Array:
        return -(t * self._log(p) + (1 - t) * self._log(1 - p))

    def grad0(self, gy: Any) -> Any:
        p, t = self.x0, self.x1
        # The bound makes the gradient at 0 and 1 finite but large, so that wrong predictions are still corrected.
        return gy * (p - t) / self.xp.maximum(p * (1 - p), self.smallest)

    def grad1(self, gy: Any) -> Any:
        return gy * (self._log(1 - self.x0) - self._log(self.x0))


def binary_cross_entropy(p: Operand, t: Operand, *, weight: Operand | None = None, reduction: str = "mean") -> Result:
    """The cross entropy of probabilities ``p`` with ``t``: ``-t * log(p) - (1 - t) * log(1 - p)``, at most 100.

    ``t`` and ``weight``: see `sigmoid_cross_entropy`, which is more accurate for ``p = sigmoid(x)``.

    Raises `ArgumentError` for a ``p`` below 0 or above 1.

    >>> import numpy as np
    >>> binary_cross_entropy(np.array([0.5, 0.0]), np.array([1, 1]), reduction="none")
    array([  0.69314718, 100.        ])
    """
    name = "binary_cross_entropy"
    p, t = _checked(name, p, t, reduction, binary=True)
    _check_targets(name, p, t, argument="p")
    weight = _weights(name, "weight", p, weight)
    if weight is not None:
        p = zero_unweighted(p, weight)
    probabilities = array_of(name, p)
    rule = "binary_cross_entropy: p must lie between 0 and 1; for other scores use sigmoid_cross_entropy"
    if probabilities.size and (
        invalid(~(probabilities.min() >= 0), ArgumentError, rule)
        or invalid(~(probabilities.max() <= 1), ArgumentError, rule)
    ):
        raise ArgumentError(rule)
    smallest = 1e-12 if probabilities.dtype.kind != "f" else max(1e-12, 1 / float(np.finfo(probabilities.dtype).max))
    if weight is None:
        return BinaryCrossEntropy(reduction, smallest)(p, t)
    return upcast(lambda p, t: weighted(BinaryCrossEntropy("none", smallest)(p, t), weight, reduction), p, t)
