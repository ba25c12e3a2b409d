"""Formulas on vectors, written as on numbers: each operator adds an instruction to a kernel that is being compiled.

Functions are approximated by polynomials on a short interval, fitted so that the largest relative error is smallest; what is
outside is led back to it. Nothing branches. Results are within 3 units in the last place, where they are not below the smallest
normal number. NaN stays NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite import ir
from numba.core import cgutils

from passus.kernels.native import instructions
from passus.kernels.native.vectors import LANES, VECTOR

__all__ = [
    "Expression",
    "Operand",
    "exp",
    "exp_below_zero",
    "expm1",
    "limited",
    "log1p",
    "normal",
    "sigmoid",
    "tanh",
    "where",
]

BITS = ir.VectorType(ir.IntType(32), LANES)


class Expression:
    """A vector of float32 in a kernel that is being compiled."""

    def __init__(self, builder: ir.IRBuilder, value: Any) -> None:
        self.builder, self.value = builder, value

    def _with(self, instruction: Callable[..., Any], *others: Operand) -> Expression:
        return Expression(self.builder, instruction(self.value, *[self.like(other).value for other in others]))

    def like(self, number: Operand) -> Expression:
        """An operand as an expression."""
        if isinstance(number, Expression):
            return number
        return Expression(self.builder, ir.Constant(VECTOR, [number] * LANES))

    def __add__(self, other: Operand) -> Expression:
        return self._with(self.builder.fadd, other)

    def __sub__(self, other: Operand) -> Expression:
        return self._with(self.builder.fsub, other)

    def __rsub__(self, other: Operand) -> Expression:
        return self.like(other) - self

    def __mul__(self, other: Operand) -> Expression:
        return self._with(self.builder.fmul, other)

    def __truediv__(self, other: Operand) -> Expression:
        return self._with(self.builder.fdiv, other)

    def __rtruediv__(self, other: Operand) -> Expression:
        return self.like(other) / self

    def __neg__(self) -> Expression:
        return Expression(self.builder, self.builder.fneg(self.value))

    def __abs__(self) -> Expression:
        type_ = ir.FunctionType(VECTOR, [VECTOR])
        function = cgutils.get_or_insert_function(self.builder.module, type_, f"llvm.fabs.v{LANES}f32")
        return Expression(self.builder, self.builder.call(function, [self.value]))

    __radd__, __rmul__ = __add__, __mul__

    def with_sign_of(self, other: Expression) -> Expression:
        """The same size with another sign, which 0 has, too."""
        type_ = ir.FunctionType(VECTOR, [VECTOR] * 2)
        function = cgutils.get_or_insert_function(self.builder.module, type_, f"llvm.copysign.v{LANES}f32")
        return self._with(lambda *operands: self.builder.call(function, operands), other)

    def __lt__(self, other: Operand) -> Any:
        return self.builder.fcmp_ordered("<", self.value, self.like(other).value)

    def __gt__(self, other: Operand) -> Any:
        return self.builder.fcmp_ordered(">", self.value, self.like(other).value)

    def times_plus(self, factor: Operand, term: Operand) -> Expression:
        """``self * factor + term``, rounded once."""
        return self._with(lambda *operands: instructions.fma(self.builder, *operands), factor, term)


Operand: TypeAlias = Expression | float


def where(condition: Any, x: Expression, y: Operand) -> Expression:
    """``x`` where a comparison holds, else ``y``."""
    return Expression(x.builder, x.builder.select(condition, x.value, x.like(y).value))


def limited(x: Expression, low: Operand, high: Operand) -> Expression:
    """``min(max(x, low), high)``; NaN stays NaN."""
    x = where(x < low, x.like(low), x)
    return where(x > high, x.like(high), x)


def polynomial(x: Expression, *coefficients: float) -> Expression:
    """``c0 + c1 x + c2 x**2 + ...``"""
    total = x.like(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total.times_plus(x, coefficient)
    return total


def _reduced(x: Expression) -> tuple[Any, Expression]:
    """The whole number n next to ``x / log(2)``, as bits, and ``exp(r) - 1`` of the rest r."""
    shift = 1.5 * 2.0**23  # Added to a number below 2**22, it leaves the number rounded in the last bits of the sum.
    rounded = x.times_plus(1 / math.log(2), shift)
    n = rounded - shift
    r = n.times_plus(
        -0.693359375, x
    )  # log(2) in two parts, the first of them with few bits, so that n times it is exact.
    r = n.times_plus(0.693359375 - math.log(2), r)
    bits = x.builder.sub(x.builder.bitcast(rounded.value, BITS), x.builder.bitcast(x.like(shift).value, BITS))
    p = polynomial(r, 0.5, 0.16666576266288757, 0.04166637361049652, 0.00836323481053114, 0.0013941217912361026)
    return bits, (r * r).times_plus(p, r)


def _power_of_two(x: Expression, n: Any) -> Expression:
    """2**n for whole numbers from -126 to 127 as bits."""
    exponent = x.builder.add(n, ir.Constant(BITS, [127] * LANES))
    return Expression(x.builder, x.builder.bitcast(x.builder.shl(exponent, ir.Constant(BITS, [23] * LANES)), VECTOR))


def exp(x: Expression) -> Expression:
    """``e**x``; infinite above 88.7, and 0 below -104."""
    x = limited(x, -105.0, 89.0)
    n, rest = _reduced(x)
    half = x.builder.ashr(n, ir.Constant(BITS, [1] * LANES))
    # In two steps, for 2**128 and 2**-149 have no exponent of their own.
    return (rest + 1) * _power_of_two(x, half) * _power_of_two(x, x.builder.sub(n, half))


def exp_below_zero(x: Expression) -> Expression:
    """``e**x`` for numbers that are not above 0; 0 below -87, where it would soon be subnormal: those are slow."""
    n, rest = _reduced(where(x < -87, x.like(-87.0), x))
    return where(x < -87, x.like(0.0), (rest + 1) * _power_of_two(x, n))


def expm1(x: Expression) -> Expression:
    """``e**x - 1`` for numbers that are not above 0, exact near 0, too."""
    x = limited(x, -60.0, 0.0)
    n, rest = _reduced(x)
    scale = _power_of_two(x, n)
    return rest.times_plus(scale, scale - 1)


def tanh(x: Expression) -> Expression:
    """The hyperbolic tangent."""
    e = expm1(abs(x) * -2)
    return (e / (e + 2)).with_sign_of(x)


def sigmoid(x: Expression) -> Expression:
    """The logistic function, from an exponential that cannot overflow."""
    e = exp(-abs(x))
    return where(x < 0, e, 1.0) / (e + 1)


def log1p(x: Expression) -> Expression:
    """``log(1 + x)`` for numbers from 0 to 1: twice the inverse hyperbolic tangent of ``x / (2 + x)``."""
    s = x / (x + 2)
    z = s * s
    p = polynomial(
        z, 0.6666667461395264, 0.39998874068260193, 0.2861703634262085, 0.21425852179527283, 0.24308320879936218
    )
    return (s * z).times_plus(p, s * 2)


def normal(x: Expression) -> tuple[Expression, Expression]:
    """The probability of a standard normal number below x, and its density at x.

    The probability beyond |x| is ``exp(-x**2 / 2)`` times a function that hardly falls, a polynomial in ``1 / (1 + 0.35 |x|)``.
    Its relative error is 3e-8, far from 0 too; both share the exponential.
    """
    e = exp_below_zero(x * x * -0.5)
    t = 1 / abs(x).times_plus(0.35, 1.0)
    beyond = e * t * polynomial(
        t,
        0.13962166011333466,
        0.13985753059387207,
        0.11986339092254639,
        0.10539080202579498,
        -0.0228398647159338,
        0.15879079699516296,
        -0.2553853988647461,
        0.14381542801856995,
        -0.029114339500665665,
    )  # fmt: skip
    return where(x > 0, 1 - beyond, beyond), e * (1 / math.sqrt(2 * math.pi))
