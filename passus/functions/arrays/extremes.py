"""The maximum, minimum and logsumexp (a smooth maximum) along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array
from passus.core import HALF, INTEGERS, Operand, Result
from passus.functions.arrays.reductions import Axis, Reduction
from passus.kernels.elementwise import masked
from passus.kernels.sums import total

__all__ = ["Logsumexp", "Max", "Min", "logsumexp", "max", "min"]


class Extreme(Reduction):
    """The base of `Max` and `Min`. Ties share the gradient evenly."""

    upcast_dtypes = HALF

    def backward(self, gy: Any) -> Any:
        y = self.with_reduced_axes(self.y)
        ties = self.x == y
        count = ties.sum(axis=self.axis, keepdims=True, dtype=gy.dtype)
        # NaN equals nothing; the gradient is NaN then.
        return masked(self.with_reduced_axes(gy) / self.xp.where(count == 0, np.nan, count), ties | (y != y))


class Max(Extreme):
    def forward(self, x: Array) -> Array:
        return x.max(axis=self.axis, keepdims=self.keepdims)


def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Result:
    """The maximum along axes; NaN if any element is. Ties share the gradient evenly.

    Raises `ShapeError` if there are no elements, for an axis that ``x`` does not have, and for a repeated axis.

    >>> import numpy as np
    >>> max(np.array([[1.0, 4.0], [3.0, 2.0]]), axis=0)
    array([3., 4.])
    """
    return Max(axis, keepdims)(x)


class Min(Extreme):
    def forward(self, x: Array) -> Array:
        return x.min(axis=self.axis, keepdims=self.keepdims)


def min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Result:
    """The minimum along axes; NaN if any element is. Ties share the gradient evenly.

    Raises `ShapeError` if there are no elements, for an axis that ``x`` does not have, and for a repeated axis.

    >>> import numpy as np
    >>> min(np.array([[1.0, 4.0], [3.0, 2.0]]), axis=0)
    array([1., 2.])
    """
    return Min(axis, keepdims)(x)


class Logsumexp(Reduction):
    upcast_dtypes = HALF + INTEGERS

    def forward(self, x: Array) -> Array:
        xp = self.xp
        largest = x.max(axis=self.axis, keepdims=True, initial=-np.inf)
        largest = xp.where(xp.isfinite(largest), largest, 0)
        with np.errstate(divide="ignore", over="ignore"):  # log(0) and a large exp are infinite, as they should be.
            y = xp.log(total(xp.exp(x - largest), self.axis, True)) + largest
        return y if self.keepdims else xp.squeeze(y, axis=self.axis)

    def backward(self, gy: Any) -> Any:
        y = self.y
        y = self.xp.where(y == -np.inf, 0, y)  # All elements are -inf: exp(x - 0) is 0, while exp(x - y) would be NaN.
        with np.errstate(invalid="ignore"):  # inf - inf: the gradient is NaN.
            return self.with_reduced_axes(gy) * self.xp.exp(self.x - self.with_reduced_axes(y))


def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Result:
    """The logarithm of the sum of exponentials along axes, ``log(sum(exp(x)))``, without overflow.

    It is -inf, with gradient 0, if there are no elements or all are -inf.
    Raises `ShapeError` for an axis that ``x`` does not have, and for a repeated axis.

    >>> import numpy as np
    >>> logsumexp(np.array([1000.0, 1000.0]))
    array(1000.69314718)
    """
    return Logsumexp(axis, keepdims)(x)
