"""Angles and lengths: arctan2, hypot, inverse hyperbolic functions, sinc, degrees."""

from __future__ import annotations

import math
from typing import Any

from passus.backend import Array
from passus.core import HALF, INTEGERS, Binary, Operand, Result, Unary
from passus.errors import named_in_errors
from passus.functions.arrays.arithmetic import mul

__all__ = [
    "Arccosh",
    "Arcsinh",
    "Arctan2",
    "Arctanh",
    "Hypot",
    "Sinc",
    "arccosh",
    "arcsinh",
    "arctan2",
    "arctanh",
    "deg2rad",
    "hypot",
    "rad2deg",
    "sinc",
]


class Arcsinh(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.arcsinh(x)

    def backward(self, gy: Any) -> Any:
        return gy / self.xp.hypot(self.x, 1.0)  # The square of x would overflow.


def arcsinh(x: Operand) -> Result:
    """The inverse hyperbolic sine of each element: ``log(x + sqrt(x**2 + 1))``.

    >>> import numpy as np
    >>> arcsinh(np.array([0.0, 1.0]))
    array([0.        , 0.88137359])
    """
    return Arcsinh()(x)


class Arccosh(Unary):
    def forward(self, x: Array) -> Array:
        return self.xp.arccosh(x)

    def backward(self, gy: Any) -> Any:
        return gy / (self.xp.sqrt(self.x - 1) * self.xp.sqrt(self.x + 1))


def arccosh(x: Operand) -> Result:
    """The inverse hyperbolic cosine of each element, at least 0; NaN below 1. The gradient is infinite at 1.

    >>> import numpy as np
    >>> arccosh(np.array([1.0, 2.0]))
    array([0.       , 1.3169579])
    """
    return Arccosh()(x)


class Arctanh(Unary):
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        return self.xp.arctanh(x)

    def backward(self, gy: Any) -> Any:
        return gy / ((1 - self.x) * (1 + self.x))


def arctanh(x: Operand) -> Result:
    """The inverse hyperbolic tangent of each element; infinite at -1 and 1, NaN outside [-1, 1].

    >>> import numpy as np
    >>> arctanh(np.array([0.0, 0.5]))
    array([0.        , 0.54930614])
    """
    return Arctanh()(x)


class Arctan2(Binary):
    upcast_dtypes = HALF

    def forward(self, x0: Array, x1: Array) -> Array:
        return self.xp.arctan2(x0, x1)

    def grad0(self, gy: Any) -> Any:
        length = _nonzero_hypot(self)
        return gy * (self.x1 / length / length)

    def grad1(self, gy: Any) -> Any:
        length = _nonzero_hypot(self)
        return -gy * (self.x0 / length / length)


def arctan2(x0: Operand, x1: Operand) -> Result:
    """The angle of the point with abscissa ``x1`` and ordinate ``x0``, in [-pi, pi].

    The gradient at the origin is defined as 0.

    >>> import numpy as np
    >>> arctan2(np.array([0.0, 1.0]), np.array([-1.0, 0.0]))
    array([3.14159265, 1.57079633])
    """
    return Arctan2()(x0, x1)


class Hypot(Binary):
    upcast_dtypes = HALF

    def forward(self, x0: Array, x1: Array) -> Array:
        return self.xp.hypot(x0, x1)

    def grad0(self, gy: Any) -> Any:
        return gy * (self.x0 / _nonzero_hypot(self))

    def grad1(self, gy: Any) -> Any:
        return gy * (self.x1 / _nonzero_hypot(self))


def hypot(x0: Operand, x1: Operand) -> Result:
    """The length of the vector (x0, x1), ``sqrt(x0**2 + x1**2)``, without overflow.

    The gradient of the zero vector is defined as 0.

    >>> import numpy as np
    >>> hypot(np.array([3.0, 5e200]), np.array([4.0, 12e200]))
    array([5.0e+000, 1.3e+201])
    """
    return Hypot()(x0, x1)


def _nonzero_hypot(function: Binary) -> Any:
    """The length of the vector of both operands, or 1 where it is 0, so that 0 divided by it is 0."""
    xp = function.xp
    length = xp.hypot(function.x0, function.x1)
    return xp.where(length == 0, 1.0, length)


class Sinc(Unary):
    upcast_dtypes = HALF + INTEGERS

    def forward(self, x: Array) -> Array:
        return self.xp.sinc(x)

    def backward(self, gy: Any) -> Any:
        # (cos(pi x) - sinc(x)) / x cancels near 0; the Taylor series is used there.
        x, xp = self.x, self.xp
        near = abs(x) < 0.1
        z = xp.where(near, x, 0.0)
        u = math.pi**2 * (z * z)
        series: Any = 0.0
        for k in range(6, 0, -1):
            series = (-1) ** k * 2 * k / math.factorial(2 * k + 1) + series * u
        far = xp.where(near, 1.0, x)
        return gy * xp.where(near, math.pi**2 * z * series, (xp.cos(math.pi * far) - xp.sinc(far)) / far)


def sinc(x: Operand) -> Result:
    """The normalized sine cardinal of each element, ``sin(pi x) / (pi x)``; 1 at 0.

    >>> import numpy as np
    >>> sinc(np.array([0.0, 0.5]))
    array([1.        , 0.63661977])
    """
    return Sinc()(x)


@named_in_errors
def deg2rad(x: Operand) -> Result:
    """Angles in radians from angles in degrees: ``x * pi / 180``.

    >>> import numpy as np
    >>> deg2rad(np.array([0.0, 180.0]))
    array([0.        , 3.14159265])
    """
    return mul(x, math.pi / 180)


@named_in_errors
def rad2deg(x: Operand) -> Result:
    """Angles in degrees from angles in radians: ``x * 180 / pi``.

    >>> import numpy as np
    >>> rad2deg(np.array([0.0, np.pi]))
    array([  0., 180.])
    """
    return mul(x, 180 / math.pi)
