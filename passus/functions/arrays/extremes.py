"""The largest and the smallest element along axes, and the smooth largest: logsumexp."""

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
    """The base of `Max` and `Min`: elements that tie share the gradient evenly."""

    widened = HALF

    def backward(self, gy: Any) -> Any:
        y = self.kept(self.y)
        ties = self.x == y
        count = ties.sum(axis=self.axis, keepdims=True, dtype=gy.dtype)
        # NaN equals nothing, and makes the gradient NaN.
        return masked(self.kept(gy) / self.xp.where(count == 0, np.nan, count), ties | (y != y))


class Max(Extreme):
    def forward(self, x: Array) -> Array:
        return x.max(axis=self.axis, keepdims=self.keepdims)


def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Result:
    """The largest element along axes; NaN if one is. Elements that tie share the gradient evenly.

    Raises `ShapeError` where there are no elements, or for an axis that ``x`` does not have, or that is named twice.

    >>> import numpy as np
    >>> max(np.array([[1.0, 4.0], [3.0, 2.0]]), axis=0)
    array([3., 4.])
    """
    return Max(axis, keepdims)(x)


class Min(Extreme):
    def forward(self, x: Array) -> Array:
        return x.min(axis=self.axis, keepdims=self.keepdims)


def min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Result:
    """The smallest element along axes; NaN if one is. Elements that tie share the gradient evenly.

    Raises `ShapeError` where there are no elements, or for an axis that ``x`` does not have, or that is named twice.

    >>> import numpy as np
    >>> min(np.array([[1.0, 4.0], [3.0, 2.0]]), axis=0)
    array([1., 2.])
    """
    return Min(axis, keepdims)(x)


class Logsumexp(Reduction):
    widened = HALF + INTEGERS

    def forward(self, x: Array) -> Array:
        xp = self.xp
        largest = x.max(axis=self.axis, keepdims=True, initial=-np.inf)
        largest = xp.where(xp.isfinite(largest), largest, 0)
        with np.errstate(divide="ignore", over="ignore"):  # log(0) and exp of much: infinite, as they should be.
            y = xp.log(total(xp.exp(x - largest), self.axis, True)) + largest
        return y if self.keepdims else xp.squeeze(y, axis=self.axis)

    def backward(self, gy: Any) -> Any:
        y = self.y
        y = self.xp.where(y == -np.inf, 0, y)  # All elements are -inf there: exp(x - 0) is 0, exp(x - y) would be NaN.
        with np.errstate(invalid="ignore"):  # inf - inf, where the gradient is NaN.
            return self.kept(gy) * self.xp.exp(self.x - self.kept(y))


def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Result:
    """The logarithm of the sum of exponentials along axes, ``log(sum(exp(x)))``, without overflow.

    It is -inf where there are no elements, or all are -inf; the gradient is 0 there.
    Raises `ShapeError` for an axis that ``x`` does not have, or that is named twice.

    >>> import numpy as np
    >>> logsumexp(np.array([1000.0, 1000.0]))
    array(1000.69314718)
    """
    return Logsumexp(axis, keepdims)(x)
