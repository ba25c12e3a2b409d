"""Functions that compare elements and keep one: maximum, minimum, clip."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array
from passus.core import Binary, Operand, Result, Unary
from passus.errors import ArgumentError, DTypeError
from passus.kernels.elementwise import masked

__all__ = ["Clip", "Maximum", "Minimum", "clip", "maximum", "minimum"]


class Maximum(Binary):
    def forward(self, x0: Array, x1: Array) -> Array:
        return self.xp.maximum(x0, x1)

    def grad0(self, gy: Any) -> Any:
        return _where_greater(self.x0, self.x1, gy)

    def grad1(self, gy: Any) -> Any:
        return _where_greater(self.x1, self.x0, gy)


def maximum(x0: Operand, x1: Operand) -> Result:
    """The larger of two operands, element by element; NaN if one is. Where they are equal they share the gradient evenly.

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
    """The smaller of two operands, element by element; NaN if one is. Where they are equal they share the gradient evenly.

    >>> import numpy as np
    >>> minimum(np.array([1.0, -2.0]), 0)
    array([ 0., -2.])
    """
    return Minimum()(x0, x1)


def _where_greater(a: Any, b: Any, gy: Any) -> Any:
    """The gradient where ``a > b``, half of it where they are equal."""
    return masked(gy, a > b) + masked(0.5 * gy, a == b)


class Clip(Unary):
    def __init__(self, x_min: float | None, x_max: float | None) -> None:
        self.x_min, self.x_max = x_min, x_max

    def forward(self, x: Array) -> Array:
        return self.xp.clip(x, self.x_min, self.x_max)

    def backward(self, gy: Any) -> Any:
        # Where an element equals its clipped value it was let through, bounds included; and NaN, which is neither
        # above nor below a bound, gets no gradient.
        return masked(gy, self.x == self.y)


def clip(x: Operand, x_min: float | None = None, x_max: float | None = None) -> Result:
    """Each element, but at least ``x_min`` and at most ``x_max``; None leaves that side open.

    The gradient is 0 for elements outside the bounds, and passes at the bounds themselves.

    Raises `ArgumentError` without any bound, or if ``x_min > x_max``; `DTypeError` for a bound that is no number.

    >>> import numpy as np
    >>> clip(np.array([-2.0, 0.5, 2.0]), -1, 1)
    array([-1. ,  0.5,  1. ])
    """
    low, high = _bound("x_min", x_min), _bound("x_max", x_max)
    if low is None and high is None:
        raise ArgumentError("clip: give x_min, x_max or both")
    if low is not None and high is not None and not low <= high:
        raise ArgumentError(f"clip: x_min {low} must not be above x_max {high}")
    return Clip(low, high)(x)


def _bound(name: str, bound: Any) -> float | None:
    if isinstance(bound, np.generic):
        bound = bound.item()  # A Python number takes the dtype of x.
    if bound is not None and not isinstance(bound, (int, float)):
        raise DTypeError(
            f"clip: {name} must be a number or None, not a {type(bound).__name__}; use F.maximum and F.minimum for "
            "bounds that differ from element to element"
        )
    return bound
