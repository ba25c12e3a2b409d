"""Functions of each element by itself: powers, exponentials, trigonometry."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.core import Operand, Result, Unary

__all__ = ["Cos", "Exp", "Log", "Sin", "Square", "cos", "exp", "log", "sin", "square"]


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


class Log(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.log(x)

    def backward(self, gy: Any) -> Any:
        return gy / self.x


def log(x: Operand) -> Result:
    """The natural logarithm of each element; NaN below 0.

    >>> import numpy as np
    >>> log(np.array([1.0, np.e]))
    array([0., 1.])
    """
    return Log()(x)


class Sin(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.sin(x)

    def backward(self, gy: Any) -> Any:
        return gy * self.xp.cos(self.x)


def sin(x: Operand) -> Result:
    """The sine of each element, in radians.

    >>> import numpy as np
    >>> sin(np.array([0.0, np.pi / 2]))
    array([0., 1.])
    """
    return Sin()(x)


class Cos(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.cos(x)

    def backward(self, gy: Any) -> Any:
        return -gy * self.xp.sin(self.x)


def cos(x: Operand) -> Result:
    """The cosine of each element, in radians.

    >>> import numpy as np
    >>> cos(np.array([0.0, np.pi]))
    array([ 1., -1.])
    """
    return Cos()(x)
