"""Variance, standard deviation and norms."""

from __future__ import annotations

import math
from typing import Any

from passus.arguments import checked_real
from passus.backend import Array
from passus.core import HALF, INTEGERS, Operand, Result, upcast_inputs
from passus.errors import ArgumentError, named_in_errors
from passus.functions.arrays.elementwise import abs
from passus.functions.arrays.extremes import max
from passus.functions.arrays.reductions import Axis, Reduction, elements_per_output, sum
from passus.kernels.sums import deviations, total

__all__ = ["Norm", "Std", "Var", "norm", "std", "var"]


class VarianceBase(Reduction):
    """The base of `Var` and `Std`."""

    upcast_dtypes = HALF + INTEGERS

    def __init__(self, axis: Axis, ddof: float, keepdims: bool) -> None:
        super().__init__(axis, keepdims)
        self.ddof = ddof

    def variance(self, x: Array) -> Array:
        """The variance in two passes, because the mean of squares minus the squared mean loses digits."""
        centred = self.centred(x)
        return total(centred * centred, self.axis, self.keepdims) / (self.n - self.ddof)

    def centred(self, x: Array) -> Array:
        """The deviations from the mean."""
        mean, d = deviations(x, self.axis)
        self.n = elements_per_output(x, mean)
        if self.n <= self.ddof:
            raise ValueError(
                f"{self.n} elements along axis {self.axis} are too few for ddof = {self.ddof}; there must be more than ddof"
            )
        return d

    def half_gradient(self) -> Any:
        """Half the gradient of the variance."""
        _, d = deviations(self.x, self.axis)
        return d / (self.n - self.ddof)


class Var(VarianceBase):
    def forward(self, x: Array) -> Array:
        return self.variance(x)

    def backward(self, gy: Any) -> Any:
        return self.with_reduced_axes(2 * gy) * self.half_gradient()


def var(x: Operand, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Result:
    """The variance along axes, ``sum((x - mean(x))**2) / (n - ddof)``; ``ddof=1`` for the unbiased estimate.

    Raises `ShapeError` unless there are more than ``ddof`` elements, for an axis that ``x`` does not have, or for a
    repeated axis.

    >>> import numpy as np
    >>> var(np.array([1.0, 3.0]), ddof=1)
    array(2.)
    """
    return Var(axis, ddof, keepdims)(x)


class Std(VarianceBase):
    def forward(self, x: Array) -> Array:
        length = _vector_norm(self.xp, self.centred(x), 2, self.axis, self.keepdims)
        return length / math.sqrt(self.n - self.ddof)

    def backward(self, gy: Any) -> Any:
        return self.with_reduced_axes(gy) * _safe_divide(self.xp, self.half_gradient(), self.with_reduced_axes(self.y))


def std(x: Operand, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Result:
    """The standard deviation along axes, ``sqrt(var(x))``. The gradient is defined as 0 where it is 0.

    Raises `ShapeError` unless there are more than ``ddof`` elements, for an axis that ``x`` does not have, or for a
    repeated axis.

    >>> import numpy as np
    >>> std(np.array([1.0, 3.0]))
    array(1.)
    """
    return Std(axis, ddof, keepdims)(x)


class Norm(Reduction):
    def __init__(self, ord: float, axis: Axis, keepdims: bool) -> None:
        super().__init__(axis, keepdims)
        self.ord = ord

    def forward(self, x: Array) -> Array:
        return _vector_norm(self.xp, x, self.ord, self.axis, self.keepdims)

    def backward(self, gy: Any) -> Any:
        x, p, xp = self.x, self.ord, self.xp
        direction = _safe_divide(xp, x, self.with_reduced_axes(self.y))
        if p != 2:  # The derivative of the power of 0, infinite for p < 2, is defined as 0.
            direction = xp.sign(x) * xp.where(x == 0, 1, xp.abs(direction)) ** (p - 1)
        return self.with_reduced_axes(gy) * direction


@named_in_errors
@upcast_inputs(1)
def norm(x: Operand, ord: float = 2, axis: Axis = None, keepdims: bool = False) -> Result:
    """The norm of vectors along axes: ``sum(abs(x)**ord) ** (1 / ord)``, or ``max(abs(x))`` for infinity.

    ``ord``: at least 1. Several axes are flattened (2 over both axes of a matrix is its Frobenius norm). The gradient
    of a zero vector is defined as 0. Raises `ArgumentError` for another ``ord``, `ShapeError` for an axis that ``x``
    does not have, for a repeated axis, and for a maximum of no elements.

    >>> import numpy as np
    >>> norm(np.array([[3.0, 4.0], [6.0, 8.0]]), axis=1)
    array([ 5., 10.])
    """
    if not checked_real("norm", "ord", ord) >= 1:
        raise ArgumentError(f"norm: ord must be at least 1, or infinity, not {ord!r}")
    if ord == 1:
        return sum(abs(x), axis, keepdims)
    if ord == math.inf:
        return max(abs(x), axis, keepdims)
    return Norm(ord, axis, keepdims)(x)


def _vector_norm(xp: Any, x: Array, p: float, axis: Axis, keepdims: bool) -> Array:
    """``sum(abs(x)**p) ** (1 / p)`` without overflow or underflow of the powers."""
    size = xp.abs(x)
    largest = size.max(axis=axis, keepdims=True, initial=0)
    # Dividing by a power of two is exact.
    unit = xp.where(xp.isfinite(largest), xp.ldexp(xp.ones_like(largest), xp.frexp(largest)[1] - 1), 1)
    scaled = size / unit
    y = total(scaled * scaled if p == 2 else scaled**p, axis, keepdims) ** (1 / p)
    return y * (unit if keepdims else xp.squeeze(unit, axis=axis))


def _safe_divide(xp: Any, x: Any, length: Any) -> Any:
    """``x / length``, and 0 where the length is 0, with all its derivatives."""
    zero = length == 0
    return xp.where(zero, 0, x) / xp.where(zero, 1, length)
