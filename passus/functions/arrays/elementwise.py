"""Elementwise functions: powers, exponentials, logarithms, absolute value."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.core import HALF, INTEGERS, Operand, Result, Unary
from passus.kernels.elementwise import masked

__all__ = [
    "Abs",
    "Cbrt",
    "Exp",
    "Expm1",
    "Log",
    "Log1p",
    "Rsqrt",
    "Sqrt",
    "Square",
    "abs",
    "cbrt",
    "exp",
    "expm1",
    "log",
    "log1p",
    "rsqrt",
    "sqrt",
    "square",
]


class Square(Unary):
    def forward(self, x: Array) -> Array:
        return x * x

    def backward(self, gy: Any) -> Any:
        return 2 * gy * self.x


def square(x: Operand) -> Result:
    """The square of each element: ``x**2``.

    >>> import numpy as np
    >>> square(np.array([1.0, -3.0]))
    array([1., 9.])
    """
    return Square()(x)


class Sqrt(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.sqrt(x)

    def backward(self, gy: Any) -> Any:
        return gy / (2 * self.y)


def sqrt(x: Operand) -> Result:
    """The square root of each element; NaN below 0. The gradient is infinite at 0.

    >>> import numpy as np
    >>> sqrt(np.array([1.0, 9.0]))
    array([1., 3.])
    """
    return Sqrt()(x)


class Rsqrt(Unary):
    upcast_dtypes = HALF + INTEGERS

    def forward(self, x: Array) -> Array:
        return 1 / self.xp.sqrt(x)

    def backward(self, gy: Any) -> Any:
        return -0.5 * gy * self.y / self.x


def rsqrt(x: Operand) -> Result:
    """The reciprocal square root of each element, ``1 / sqrt(x)``; infinite at 0, NaN below.

    >>> import numpy as np
    >>> rsqrt(np.array([1.0, 4.0]))
    array([1. , 0.5])
    """
    return Rsqrt()(x)


class Cbrt(Unary):
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        return self.xp.cbrt(x)

    def backward(self, gy: Any) -> Any:
        return gy / (3 * (self.y * self.y))


def cbrt(x: Operand) -> Result:
    """The cube root of each element, negative for negative elements. The gradient is infinite at 0.

    >>> import numpy as np
    >>> cbrt(np.array([8.0, -27.0]))
    array([ 2., -3.])
    """
    return Cbrt()(x)


class Exp(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.exp(x)

    def backward(self, gy: Any) -> Any:
        return gy * self.y


def exp(x: Operand) -> Result:
    """The exponential of each element: ``e**x``.

    >>> import numpy as np
    >>> exp(np.array([0.0, 1.0]))
    array([1.        , 2.71828183])
    """
    return Exp()(x)


class Expm1(Unary):
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        return self.xp.expm1(x)

    def backward(self, gy: Any) -> Any:
        return gy * (self.y + 1)


def expm1(x: Operand) -> Result:
    """The exponential of each element minus 1, ``e**x - 1``, accurate for small ``x``.

    >>> import numpy as np
    >>> expm1(np.array([0.0, 1e-10]))
    array([0.e+00, 1.e-10])
    """
    return Expm1()(x)


class Log(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.log(x)

    def backward(self, gy: Any) -> Any:
        return gy / self.x


def log(x: Operand) -> Result:
    """The natural logarithm of each element; -inf at 0, NaN below.

    >>> import numpy as np
    >>> log(np.array([1.0, np.e]))
    array([0., 1.])
    """
    return Log()(x)


class Log1p(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.log1p(x)

    def backward(self, gy: Any) -> Any:
        return gy / (1 + self.x)


def log1p(x: Operand) -> Result:
    """The natural logarithm of each element plus 1, ``log(1 + x)``, accurate for small ``x``.

    >>> import numpy as np
    >>> log1p(np.array([0.0, 1e-10]))
    array([0.e+00, 1.e-10])
    """
    return Log1p()(x)


class Abs(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.abs(x)

    def backward(self, gy: Any) -> Any:
        return masked(gy, self.x != 0) * self.xp.sign(self.x)


def abs(x: Operand) -> Result:
    """The absolute value of each element. The gradient is the sign, 0 at 0.

    >>> import numpy as np
    >>> abs(np.array([1.0, -3.0]))
    array([1., 3.])
    """
    return Abs()(x)
