"""Elementwise functions of NumPy that `passus.functions` does not have."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from passus.core import Result, astype
from passus.functions.arrays import division, rounding
from passus.functions.arrays.arithmetic import add, mul, pow, sub
from passus.functions.arrays.elementwise import abs
from passus.functions.arrays.selection import where
from passus.functions.numpy_api.operands import array_in, operand, refuse

__all__: list[str] = []


def same(x: Any, /) -> Result:
    """The operand itself: the real part, conjugate and positive of real numbers."""
    return operand(x)


def real_if_close(a: Any, tol: float = 100) -> Result:
    return a


def imag(val: Any) -> Result:
    return where(np.ones(val.shape, bool), 0.0, val)


def angle(z: Any, deg: bool = False) -> Result:
    """0 for positive and pi for negative numbers, with gradient 0."""
    return _steps(z, np.where(array_in(z) < 0, 180.0 if deg else math.pi, 0.0))


def _steps(x: Any, values: Any) -> Result:
    """Values with gradient 0 with respect to ``x``, and NaN where ``x`` is NaN."""
    numbers = array_in(x)
    return where(np.isnan(numbers), x, values.astype(numbers.dtype if numbers.dtype.kind == "f" else np.float64))


def round(a: Any, decimals: int = 0, out: Any = None) -> Result:
    refuse("np.round", out=out)
    return rounding.round(a, decimals)


def fix(x: Any, out: Any = None) -> Result:
    refuse("np.fix", out=out)
    return rounding.trunc(x)


def heaviside(x1: Any, x2: Any, /) -> Result:
    return where(array_in(x1) == 0, x2, _steps(x1, array_in(x1) > 0))


def copysign(x1: Any, x2: Any, /) -> Result:
    sign = np.copysign(np.ones((), array_in(x1).dtype), array_in(x2))
    return mul(abs(x1), sign)


def ldexp(x1: Any, x2: Any, /) -> Result:
    return mul(x1, np.ldexp(np.ones((), array_in(x1).dtype), array_in(x2)))


def frexp(x: Any, /) -> tuple[Any, Any]:
    _, exponents = np.frexp(array_in(x))
    return ldexp(x, -exponents), array_in(exponents)


def modf(x: Any, /) -> tuple[Any, Any]:
    whole = rounding.trunc(x)
    return sub(x, whole), whole


def divmod(x1: Any, x2: Any, /) -> tuple[Any, Any]:
    return division.floor_divide(x1, x2), division.mod(x1, x2)


def float_power(x1: Any, x2: Any, /) -> Result:
    return pow(astype(operand(x1), np.float64), astype(operand(x2), np.float64))


def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * math.pi) -> Result:
    numbers = array_in(p)
    return add(p, np.unwrap(numbers, discont, axis, period=period) - numbers)
