"""Step functions: rounding and sign. Their gradient is 0."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.core import HALF, Operand, Result, Unary

__all__ = ["Ceil", "Floor", "Round", "Sign", "Trunc", "ceil", "floor", "round", "sign", "trunc"]


class StepFunction(Unary):
    """The base of step functions."""

    def backward(self, gy: Any) -> Any:
        return self.xp.where(False, gy, 0.0)  # Unlike gy * 0, this is 0 for infinite gy.


class Floor(StepFunction):
    def forward(self, x: Array) -> Array:
        return self.xp.floor(x)


def floor(x: Operand) -> Result:
    """Each element rounded down to an integer. The gradient is 0.

    >>> import numpy as np
    >>> floor(np.array([1.7, -1.7]))
    array([ 1., -2.])
    """
    return Floor()(x)


class Ceil(StepFunction):
    def forward(self, x: Array) -> Array:
        return self.xp.ceil(x)


def ceil(x: Operand) -> Result:
    """Each element rounded up to an integer. The gradient is 0.

    >>> import numpy as np
    >>> ceil(np.array([1.7, -1.7]))
    array([ 2., -1.])
    """
    return Ceil()(x)


class Trunc(StepFunction):
    def forward(self, x: Array) -> Array:
        return self.xp.trunc(x)


def trunc(x: Operand) -> Result:
    """Each element rounded towards 0. The gradient is 0.

    >>> import numpy as np
    >>> trunc(np.array([1.7, -1.7]))
    array([ 1., -1.])
    """
    return Trunc()(x)


class Round(StepFunction):
    upcast_dtypes = HALF  # NumPy multiplies by a power of ten, which may exceed float16.

    def __init__(self, decimals: int) -> None:
        self.decimals = decimals

    def forward(self, x: Array) -> Array:
        return self.xp.round(x, self.decimals)


def round(x: Operand, decimals: int = 0) -> Result:
    """Each element rounded to ``decimals`` decimal places, halves to even. The gradient is 0.

    >>> import numpy as np
    >>> round(np.array([1.7, 2.5]))
    array([2., 2.])
    """
    return Round(decimals)(x)


class Sign(StepFunction):
    def forward(self, x: Array) -> Array:
        return self.xp.sign(x)


def sign(x: Operand) -> Result:
    """The sign of each element: -1, 0 or 1. The gradient is 0.

    >>> import numpy as np
    >>> sign(np.array([1.7, -1.7, 0.0]))
    array([ 1., -1.,  0.])
    """
    return Sign()(x)
