"""Elementwise trigonometric and hyperbolic functions."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.core import HALF, Operand, Result, Unary
from passus.functions.activation_base import Activation

__all__ = [
    "Arccos",
    "Arcsin",
    "Arctan",
    "Cos",
    "Cosh",
    "Sin",
    "Sinh",
    "Tan",
    "Tanh",
    "arccos",
    "arcsin",
    "arctan",
    "cos",
    "cosh",
    "sin",
    "sinh",
    "tan",
    "tanh",
]


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


class Tan(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.tan(x)

    def backward(self, gy: Any) -> Any:
        return gy * (1 + self.y * self.y)


def tan(x: Operand) -> Result:
    """The tangent of each element, in radians.

    >>> import numpy as np
    >>> tan(np.array([0.0, 1.0]))
    array([0.        , 1.55740772])
    """
    return Tan()(x)


class Arcsin(Unary):
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        return self.xp.arcsin(x)

    def backward(self, gy: Any) -> Any:
        return gy / self.xp.sqrt(1 - self.x * self.x)


def arcsin(x: Operand) -> Result:
    """The arcsine of each element, in [-pi/2, pi/2]; NaN outside [-1, 1].

    >>> import numpy as np
    >>> arcsin(np.array([0.0, 1.0]))
    array([0.        , 1.57079633])
    """
    return Arcsin()(x)


class Arccos(Unary):
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        return self.xp.arccos(x)

    def backward(self, gy: Any) -> Any:
        return -gy / self.xp.sqrt(1 - self.x * self.x)


def arccos(x: Operand) -> Result:
    """The arccosine of each element, in [0, pi]; NaN outside [-1, 1].

    >>> import numpy as np
    >>> arccos(np.array([0.0, 1.0]))
    array([1.57079633, 0.        ])
    """
    return Arccos()(x)


class Arctan(Unary):
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        return self.xp.arctan(x)

    def backward(self, gy: Any) -> Any:
        return gy / (1 + self.x * self.x)


def arctan(x: Operand) -> Result:
    """The arctangent of each element, in (-pi/2, pi/2).

    >>> import numpy as np
    >>> arctan(np.array([0.0, 1.0]))
    array([0.        , 0.78539816])
    """
    return Arctan()(x)


class Sinh(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.sinh(x)

    def backward(self, gy: Any) -> Any:
        return gy * self.xp.cosh(self.x)


def sinh(x: Operand) -> Result:
    """The hyperbolic sine of each element: ``(exp(x) - exp(-x)) / 2``.

    >>> import numpy as np
    >>> sinh(np.array([0.0, 1.0]))
    array([0.        , 1.17520119])
    """
    return Sinh()(x)


class Cosh(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.cosh(x)

    def backward(self, gy: Any) -> Any:
        return gy * self.xp.sinh(self.x)


def cosh(x: Operand) -> Result:
    """The hyperbolic cosine of each element: ``(exp(x) + exp(-x)) / 2``.

    >>> import numpy as np
    >>> cosh(np.array([0.0, 1.0]))
    array([1.        , 1.54308063])
    """
    return Cosh()(x)


class Tanh(Activation):
    upcast_dtypes = HALF
    formula = "tanh"


def tanh(x: Operand) -> Result:
    """The hyperbolic tangent of each element: ``sinh(x) / cosh(x)``, between -1 and 1.

    >>> import numpy as np
    >>> tanh(np.array([0.0, 1.0]))
    array([0.        , 0.76159416])
    """
    return Tanh()(x)
