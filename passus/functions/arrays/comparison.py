"""Elementwise comparison: maximum, minimum, clip."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array, backend_of, is_array, truth
from passus.core import Binary, Operand, Result, Unary, Variable
from passus.errors import ArgumentError, DTypeError, kind_of, named_in_errors
from passus.functions.arrays.selection import where
from passus.functions.checks import array_of
from passus.kernels.elementwise import masked

__all__ = ["Clip", "Maximum", "Minimum", "clip", "fmax", "fmin", "maximum", "minimum"]


class Maximum(Binary):
    def forward(self, x0: Array, x1: Array) -> Array:
        return self.xp.maximum(x0, x1)

    def grad0(self, gy: Any) -> Any:
        return _where_greater(self.x0, self.x1, gy)

    def grad1(self, gy: Any) -> Any:
        return _where_greater(self.x1, self.x0, gy)


def maximum(x0: Operand, x1: Operand) -> Result:
    """The elementwise maximum of two operands; NaN if either is. Equal operands share the gradient evenly.

    >>> import numpy as np
    >>> maximum(np.array([1.0, -2.0]), 0)
    array([1., 0.])
    """
    return Maximum()(x0, x1)


class Minimum(Binary):
    def forward(self, x0: Array, x1: Array) -> Array:
        return self.xp.minimum(x0, x1)

    def grad0(self, gy: Any) -> Any:
        return _where_greater(self.x1, self.x0, gy)

    def grad1(self, gy: Any) -> Any:
        return _where_greater(self.x0, self.x1, gy)


def minimum(x0: Operand, x1: Operand) -> Result:
    """The elementwise minimum of two operands; NaN if either is. Equal operands share the gradient evenly.

    >>> import numpy as np
    >>> minimum(np.array([1.0, -2.0]), 0)
    array([ 0., -2.])
    """
    return Minimum()(x0, x1)


def _where_greater(a: Any, b: Any, gy: Any) -> Any:
    """The gradient where ``a > b``, half of it where they are equal."""
    return masked(gy, a > b) + masked(0.5 * gy, a == b)


@named_in_errors
def fmax(x0: Operand, x1: Operand) -> Result:
    """The elementwise maximum of two operands, ignoring NaN. Equal operands share the gradient evenly.

    >>> import numpy as np
    >>> fmax(np.array([1.0, np.nan]), 0.5)
    array([1. , 0.5])
    """
    return maximum(*_nan_replaced(x0, x1))


@named_in_errors
def fmin(x0: Operand, x1: Operand) -> Result:
    """The elementwise minimum of two operands, ignoring NaN. Equal operands share the gradient evenly.

    >>> import numpy as np
    >>> fmin(np.array([1.0, np.nan]), 0.5)
    array([0.5, 0.5])
    """
    return minimum(*_nan_replaced(x0, x1))


def _nan_replaced(x0: Operand, x1: Operand) -> tuple[Operand, Operand]:
    """Both operands, with NaN replaced by the other operand. The equal operands share the gradient, so its sum is
    right.
    """
    arrays = [array_of("fmax", x) for x in (x0, x1)]
    xp = backend_of(*arrays).xp
    missing = [xp.isnan(x) for x in arrays]
    if not any(truth(m.any(), True) for m in missing):
        return x0, x1
    return where(missing[0], x1, x0), where(missing[1], x0, x1)


class Clip(Unary):
    def __init__(self, x_min: float | None, x_max: float | None) -> None:
        self.x_min, self.x_max = x_min, x_max

    def forward(self, x: Array) -> Array:
        return self.xp.clip(x, self.x_min, self.x_max)

    def backward(self, gy: Any) -> Any:
        # An element that equals its clipped value was not clipped. NaN equals nothing, and gets no gradient.
        return masked(gy, self.x == self.y)


def clip(x: Operand, x_min: Operand | None = None, x_max: Operand | None = None) -> Result:
    """Clip each element to at least ``x_min`` and at most ``x_max``; None for no bound.

    The bounds are numbers, or arrays that broadcast with ``x``. The gradient is 0 for elements outside the bounds;
    bounds that are Variables get the gradients of the elements that they replace.

    Raises `ArgumentError` without any bound, or if ``x_min > x_max`` for numbers; `DTypeError` if a bound is no number
    or array.

    >>> import numpy as np
    >>> clip(np.array([-2.0, 0.5, 2.0]), -1, 1)
    array([-1. ,  0.5,  1. ])
    """
    low, high = _bound("x_min", x_min), _bound("x_max", x_max)
    if not (isinstance(low, Number) and isinstance(high, Number)):
        x = x if low is None else where(_is_less(x, low), low, x)
        return x if high is None else where(_is_less(high, x), high, x)
    if low is None and high is None:
        raise ArgumentError("clip: give x_min, x_max or both")
    if low is not None and high is not None and not low <= high:
        raise ArgumentError(f"clip: x_min {low} must not be above x_max {high}")
    return Clip(low, high)(x)


Number = (int, float, type(None))
"""The types of bounds that apply to a whole array."""


def _bound(name: str, bound: Any) -> Any:
    if isinstance(bound, np.generic):
        bound = bound.item()  # A Python number takes the dtype of x.
    if not isinstance(bound, (*Number, Variable)) and not is_array(bound):
        raise DTypeError(f"clip: {name} must be a number, an array or None, not {kind_of(bound)}")
    return bound


def _is_less(a: Operand, b: Operand) -> Array:
    """``a < b`` as a boolean array."""
    return array_of("clip", a) < array_of("clip", b)
