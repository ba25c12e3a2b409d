"""NumPy's names on vectors, which formulas call by ``xp``: elementary functions without branches.

Functions are approximated by polynomials on a short interval, fitted so that the largest relative error is smallest; arguments
are reduced to it. Results are within 3 units in the last place, where they are not below the smallest normal number. NaN stays NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from passus.kernels.native import instructions
from passus.kernels.native.simd import clip, fma, maximum, minimum, where
from passus.kernels.native.vectors import INTEGERS, VECTOR, integers, vector

__all__ = [
    "clip",
    "copysign",
    "exp",
    "exp_below_zero",
    "expm1",
    "function",
    "log",
    "log1p",
    "log1p_everywhere",
    "maximum",
    "minimum",
    "normal_cdf",
    "normal_pdf",
    "sqrt",
    "tanh",
    "where",
]


def function(formula: Callable[..., Any]) -> Callable[..., Any]:
    """A function of vectors that is compiled into each kernel that calls it."""
    compiled: Callable[..., Any] = numba.njit(error_model="numpy", forceinline=True)(formula)
    return compiled


SHIFT = 1.5 * 2.0**23
"""Added to a number below 2**22, it leaves the rounded number in the last bits of the sum."""

LOG2_HIGH = 0.693359375
"""log(2) in few bits, so that a whole number times it is exact."""
LOG2_LOW = math.log(2) - LOG2_HIGH


ROOT_OF_HALF = 0x3F3504F3
"""The bits of ``sqrt(1 / 2)``."""

SMALLEST = 2.0**-126
"""The smallest number that is not subnormal."""


@intrinsic  # type: ignore[untyped-decorator]
def copysign(typing: Any, x: Any, sign: Any) -> tuple[Any, Callable[..., Any]]:
    """``x`` with the sign of another number, which zeros have, too."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return instructions.call(builder, "copysign", *args)

    return vector(vector, vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def sqrt(typing: Any, x: Any) -> tuple[Any, Callable[..., Any]]:
    """The square root, rounded correctly."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return instructions.call(builder, "sqrt", *args)

    return vector(vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def polynomial(typing: Any, x: Any, coefficients: Any) -> tuple[Any, Callable[..., Any]]:
    """``c0 + c1 x + c2 x**2 + ...`` for a tuple of numbers, by `fma`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        from_ = signature.args[1].dtype
        numbers = [context.cast(builder, c, from_, types.float32) for c in cgutils.unpack_tuple(builder, args[1])]
        *lower, total = [instructions.splat(builder, number) for number in numbers]
        for coefficient in reversed(lower):
            total = instructions.fma(builder, total, args[0], coefficient)
        return total

    return vector(vector, coefficients), generate


@intrinsic  # type: ignore[untyped-decorator]
def _integers(typing: Any, shifted: Any) -> tuple[Any, Callable[..., Any]]:
    """The integers in the last bits of vectors to which `SHIFT` was added."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        shift = instructions.constant(SHIFT)
        return builder.sub(builder.bitcast(args[0], INTEGERS), builder.bitcast(shift, INTEGERS))

    return integers(vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def _halves(typing: Any, n: Any) -> tuple[Any, Callable[..., Any]]:
    """Two integers whose sum is n."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        half = builder.ashr(args[0], instructions.constant(1, INTEGERS))
        return context.make_tuple(builder, signature.return_type, (half, builder.sub(args[0], half)))

    return types.UniTuple(integers, 2)(integers), generate


@intrinsic  # type: ignore[untyped-decorator]
def _power_of_two(typing: Any, n: Any) -> tuple[Any, Callable[..., Any]]:
    """2**n for integers from -126 to 127."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        exponent = builder.add(args[0], instructions.constant(127, INTEGERS))
        return builder.bitcast(builder.shl(exponent, instructions.constant(23, INTEGERS)), VECTOR)

    return vector(integers), generate


@intrinsic  # type: ignore[untyped-decorator]
def _exponent_and_fraction(typing: Any, x: Any) -> tuple[Any, Callable[..., Any]]:
    """A whole number n and m from ``sqrt(1 / 2)`` to ``sqrt(2)`` with ``x = 2**n * m``, for positive numbers that are not subnormal."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], INTEGERS)
        above = builder.sub(bits, instructions.constant(ROOT_OF_HALF, INTEGERS))
        n = builder.ashr(above, instructions.constant(23, INTEGERS))
        m = builder.sub(bits, builder.shl(n, instructions.constant(23, INTEGERS)))
        found = (builder.sitofp(n, VECTOR), builder.bitcast(m, VECTOR))
        return context.make_tuple(builder, signature.return_type, found)

    return types.UniTuple(vector, 2)(vector), generate


@function
def _reduced(x: Any) -> Any:
    """The integer n nearest to ``x / log(2)``, and ``exp(r) - 1`` of the remainder r."""
    rounded = fma(x, 1 / math.log(2), SHIFT)
    n = rounded - SHIFT
    r = fma(n, -LOG2_LOW, fma(n, -LOG2_HIGH, x))
    p = polynomial(r, (0.5, 0.16666576266288757, 0.04166637361049652, 0.00836323481053114, 0.0013941217912361026))
    return _integers(rounded), fma(r * r, p, r)


@function
def exp(x: Any) -> Any:
    """``e**x``; infinite above 88.7, and 0 below -104."""
    n, rest = _reduced(clip(x, -105.0, 89.0))
    half, other = _halves(n)  # In two steps, for 2**128 and 2**-149 have no exponent.
    return (rest + 1) * _power_of_two(half) * _power_of_two(other)


@function
def exp_below_zero(x: Any) -> Any:
    """``e**x`` for numbers that are not above 0; 0 below -87, where it would soon be subnormal: those are slow."""
    n, rest = _reduced(where(x < -87, -87.0, x))
    return where(x < -87, 0.0, (rest + 1) * _power_of_two(n))


@function
def expm1(x: Any) -> Any:
    """``e**x - 1`` for numbers that are not above 0, exact near 0, too."""
    n, rest = _reduced(clip(x, -60.0, 0.0))
    scale = _power_of_two(n)
    return fma(rest, scale, scale - 1)


@function
def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    e = expm1(abs(x) * -2)
    return copysign(e / (e + 2), x)


@function
def log1p(x: Any) -> Any:
    """``log(1 + x)`` for numbers from -0.3 to 1: twice the inverse hyperbolic tangent of ``x / (2 + x)``."""
    s = x / (x + 2)
    z = s * s
    p = polynomial(
        z, (0.6666667461395264, 0.39998874068260193, 0.2861703634262085, 0.21425852179527283, 0.24308320879936218)
    )
    return fma(s * z, p, s * 2)


@function
def log(x: Any) -> Any:
    """The natural logarithm: -inf at 0, and NaN below."""
    is_subnormal = x < SMALLEST
    n, m = _exponent_and_fraction(where(is_subnormal, x * 2.0**23, x))
    n = where(is_subnormal, n - 23, n)
    y = fma(n, LOG2_HIGH, fma(n, LOG2_LOW, log1p(m - 1)))
    y = where(x < math.inf, y, x)  # Infinity, or NaN.
    return where(x > 0, y, where(x < 0, math.nan, x - math.inf))


@function
def log1p_everywhere(x: Any) -> Any:
    """``log(1 + x)``, exact near 0, too: the error of ``1 + x`` is that of a factor."""
    above = x + 1
    y = log(above) * (x / (above - 1))
    y = where(x < math.inf, y, x)
    return where(abs(x) < 1e-7, x, y)


@function
def normal_cdf(x: Any) -> Any:
    """The probability of a standard normal number below x.

    The probability beyond |x| is ``exp(-x**2 / 2)`` times a function that hardly falls, a polynomial in ``1 / (1 + 0.35 |x|)``.
    Its relative error is 3e-8, far from 0 too.
    """
    t = 1 / fma(abs(x), 0.35, 1.0)
    beyond = exp_below_zero(x * x * -0.5) * t * polynomial(
        t,
        (
            0.13962166011333466,
            0.13985753059387207,
            0.11986339092254639,
            0.10539080202579498,
            -0.0228398647159338,
            0.15879079699516296,
            -0.2553853988647461,
            0.14381542801856995,
            -0.029114339500665665,
        ),
    )  # fmt: skip
    return where(x > 0, 1 - beyond, beyond)


@function
def normal_pdf(x: Any) -> Any:
    """The density of a standard normal number at x."""
    return exp_below_zero(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
