"""Elementary functions of a float32 number, to be written into the loops of kernels, which are made of vector instructions.

Numba knows no vector instructions for NumPy's own. Here nothing branches: both sides are computed, and one is chosen. Each
is right for zeros of either sign, infinities, NaN and subnormal numbers, and at most 1.7 units in the last place (ulp) away
from the true value, `sigmoid` 2.4. The polynomials were fitted to 40 digits at 400 Chebyshev nodes: linear least squares of
the relative error, weighted by that error itself (Lawson) until it rippled evenly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.kernels.native.compiling import inlined

__all__ = ["erf", "exp", "expm1", "log", "log1p", "sigmoid", "tanh"]

ZERO, HALF, ONE, TWO, INFINITY = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2), np.float32(np.inf)
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)  # So few digits that products with n are exact.
ROUNDING = np.float32(3 << 22)  # Added to a number below 2**22, it leaves no digits behind the point.

E2, E3, E4 = np.float32(0.49999998), np.float32(0.16666543), np.float32(0.0416672)
E5, E6 = np.float32(0.00836658), np.float32(0.00138825)
"""``(exp(r) - 1 - r) / r**2`` for ``|r| <= log(2) / 2``; within 1.4e-8 of ``exp(r) - 1``."""

T3, T5, T7 = np.float32(-0.33333282), np.float32(0.13331442), np.float32(-0.05373971)
T9, T11 = np.float32(0.02063908), np.float32(-0.00570498)
"""``(tanh(x) / x - 1) / x**2`` for ``|x| <= 0.625``; within 5e-9 of ``tanh(x)``."""

L3, L4, L5 = np.float32(0.33333313), np.float32(-0.2500001), np.float32(0.20002119)
L6, L7, L8 = np.float32(-0.16667996), np.float32(0.14219552), np.float32(-0.12405589)
L9, L10, L11 = np.float32(0.11888162), np.float32(-0.11675652), np.float32(0.06746641)
"""``(log(1 + f) - f + f**2 / 2) / f**3`` for ``sqrt(1/2) <= 1 + f <= sqrt(2)``; within 1e-9 of ``log(1 + f)``."""

P1, P3, P5 = np.float32(0.128379166), np.float32(-0.376126258), np.float32(0.112835851)
P7, P9, P11 = np.float32(-0.0268538118), np.float32(0.00518832744), np.float32(-8.01019149e-4)
P13 = np.float32(7.85385430e-5)
"""``erf(x) / x - 1`` for ``|x| <= 1``; within 2e-9 of ``erf(x)``."""

Q0, Q1, Q2 = np.float32(-3.53719759e-4), np.float32(-1.12704003), np.float32(-0.638225679)
Q3, Q4, Q5 = np.float32(-0.103037367), np.float32(0.0218053174), np.float32(-0.00293960706)
Q6 = np.float32(1.85573983e-4)
"""``log(1 - erf(x))`` for ``1 <= x <= 4``; within 2e-9 of ``erf(x)``. Beyond, erf is 1."""


@inlined
def _power_of_two(n: Any) -> Any:
    """``2**n`` for whole numbers from -126 to 127: the exponent, as it is written in a number's bits."""
    return np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@inlined
def _remainder_power(x: Any) -> Any:
    """``r`` and ``n`` such that ``x = r + n log(2)``, ``n`` whole and ``|r| <= log(2) / 2``; and ``exp(r) - 1``."""
    shifted = np.float32(x * LOG2_E + ROUNDING)
    n = shifted - ROUNDING
    r = x - n * LN2_HIGH - n * LN2_LOW
    p = (((E6 * r + E5) * r + E4) * r + E3) * r + E2
    return shifted.view(np.int32) - np.int32(0x4B400000), p * r * r + r


@inlined
def exp(x: Any) -> Any:
    x = np.float32(-104) if x < np.float32(-104) else x  # There it is 0, and above 89 infinite. A NaN stays.
    x = np.float32(89) if x > np.float32(89) else x
    n, e = _remainder_power(x)
    half = n >> np.int32(1)  # In two steps: 2**n by itself may be too large, or too small.
    return (e + ONE) * _power_of_two(half) * _power_of_two(n - half)


@inlined
def expm1(x: Any) -> Any:
    small = abs(x) < np.float32(1e-7)
    y = np.float32(-25) if x < np.float32(-25) else x
    y = np.float32(89) if y > np.float32(89) else y
    n, e = _remainder_power(y)
    half = _power_of_two(n - np.int32(1))  # 2**n by itself may be too large.
    return x if small else (half * e + (half - HALF)) * TWO


@inlined
def log(x: Any) -> Any:
    tiny = x < np.float32(1.17549435e-38)
    y = x * np.float32(1 << 23) if tiny else x
    bits = np.float32(y).view(np.int32) - np.int32(
        0x3F3504F3
    )  # From here on the mantissa is between sqrt(1/2) and sqrt(2).
    n = np.float32(bits >> np.int32(23)) - (np.float32(23) if tiny else ZERO)
    f = np.int32((bits & np.int32(0x7FFFFF)) + np.int32(0x3F3504F3)).view(np.float32) - ONE
    p = (((((((L11 * f + L10) * f + L9) * f + L8) * f + L7) * f + L6) * f + L5) * f + L4) * f + L3
    ff = f * f
    y = n * LN2_HIGH + (f + (p * f * ff + n * LN2_LOW - HALF * ff))
    y = -INFINITY if x == ZERO else y
    y = x if x == INFINITY else y
    return y if x >= ZERO else np.float32(np.nan)


@inlined
def log1p(x: Any) -> Any:
    u = ONE + x
    lost = (x - (u - ONE)) / u  # What the sum was rounded by.
    inside = (u > ZERO) & (u < INFINITY)
    y = log(u) + (lost if inside else ZERO)
    return x if x == ZERO else y


@inlined
def sigmoid(x: Any) -> Any:
    e = exp(-abs(x))
    return (e if x < ZERO else ONE) / (ONE + e)


@inlined
def tanh(x: Any) -> Any:
    u = x * x
    near = ((((T11 * u + T9) * u + T7) * u + T5) * u + T3) * u * x + x
    far = ONE - TWO / (exp(TWO * abs(x)) + ONE)
    far = -far if x < ZERO else far
    y = near if abs(x) < np.float32(0.625) else far
    return x if x == ZERO else y


@inlined
def erf(x: Any) -> Any:
    u = x * x
    near = ((((((P13 * u + P11) * u + P9) * u + P7) * u + P5) * u + P3) * u + P1) * x + x
    v = abs(x)
    v = np.float32(4) if v > np.float32(4) else v
    far = ONE - exp((((((Q6 * v + Q5) * v + Q4) * v + Q3) * v + Q2) * v + Q1) * v + Q0)
    far = -far if x < ZERO else far
    return near if abs(x) < ONE else far
