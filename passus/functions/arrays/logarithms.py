"""Exponentials and logarithms to bases 2 and 10, and the logarithm of the sum of two exponentials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from passus.backend import Array
from passus.core import HALF, Binary, Operand, Result, Unary
from passus.functions.nn.activations import sigmoid

__all__ = [
    "Exp2",
    "Log2",
    "Log10",
    "Logaddexp",
    "Logaddexp2",
    "exp2",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
]

LN2, LN10 = math.log(2), math.log(10)


class Exp2(Unary):
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        return self.xp.exp2(x)

    def backward(self, gy: Any) -> Any:
        return LN2 * gy * self.y


def exp2(x: Operand) -> Result:
    """Two to the power of each element: ``2**x``.

    >>> import numpy as np
    >>> exp2(np.array([0.0, 3.0]))
    array([1., 8.])
    """
    return Exp2()(x)


class Log2(Unary):
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        return self.xp.log2(x)

    def backward(self, gy: Any) -> Any:
        return gy / (LN2 * self.x)


def log2(x: Operand) -> Result:
    """The logarithm of each element to the base 2; -inf at 0, NaN below.

    >>> import numpy as np
    >>> log2(np.array([1.0, 8.0]))
    array([0., 3.])
    """
    return Log2()(x)


class Log10(Unary):
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        return self.xp.log10(x)

    def backward(self, gy: Any) -> Any:
        return gy / (LN10 * self.x)


def log10(x: Operand) -> Result:
    """The logarithm of each element to the base 10; -inf at 0, NaN below.

    >>> import numpy as np
    >>> log10(np.array([1.0, 1000.0]))
    array([0., 3.])
    """
    return Log10()(x)


class Logaddexp(Binary):
    upcast_dtypes = HALF

    def forward(self, x0: Array, x1: Array) -> Array:
        return self.xp.logaddexp(x0, x1)

    def grad0(self, gy: Any) -> Any:
        return gy * sigmoid(self._difference(self.x0, self.x1))

    def grad1(self, gy: Any) -> Any:
        return gy * sigmoid(self._difference(self.x1, self.x0))

    def _difference(self, a: Any, b: Any) -> Any:
        """``a - b``, and 0 instead of NaN for equal infinities, which share the gradient."""
        xp = self.xp
        with np.errstate(invalid="ignore"):
            return xp.where(xp.logical_and(a == b, xp.isinf(a)), 0.0, a - b)


def logaddexp(x0: Operand, x1: Operand) -> Result:
    """The logarithm of the sum of two exponentials, ``log(exp(x0) + exp(x1))``, without overflow.

    The gradients are the ratios of the exponentials to their sum; equal infinities share evenly.

    >>> import numpy as np
    >>> logaddexp(np.array([-1000.0, 1000.0]), 1000.0)
    array([1000.        , 1000.69314718])
    """
    return Logaddexp()(x0, x1)


class Logaddexp2(Logaddexp):
    def forward(self, x0: Array, x1: Array) -> Array:
        return self.xp.logaddexp2(x0, x1)

    def _difference(self, a: Any, b: Any) -> Any:
        return LN2 * super()._difference(a, b)


def logaddexp2(x0: Operand, x1: Operand) -> Result:
    """The logarithm to the base 2 of the sum of two powers of 2, ``log2(2**x0 + 2**x1)``, without overflow.

    The gradients are the ratios of the exponentials to their sum; equal infinities share evenly.

    >>> import numpy as np
    >>> logaddexp2(np.array([0.0, 2000.0]), np.array([0.0, 2000.0]))
    array([1.000e+00, 2.001e+03])
    """
    return Logaddexp2()(x0, x1)
