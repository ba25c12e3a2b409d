"""Activations and their gradients in one pass, in float32, for arrays that fill a piece of memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from passus.backend import Array
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled
from passus.kernels.native.expressions import Expression, exp, expm1, limited, log1p, normal, sigmoid, tanh, where
from passus.kernels.native.simd import LANES, all_lanes, first_lanes, load, splat, store
from passus.kernels.native.vectors import vector
from passus.kernels.threads import split

__all__ = [
    "FORMULAS",
    "Formula",
    "activation",
    "activation_gradient",
    "prepare",
    "pulled",
    "sigmoid_gradient",
    "tanh_gradient",
    "valued",
]

PIECE = 1 << 16
"""How many elements are worth a thread of their own."""


class Formula(NamedTuple):
    """An activation of x, and its gradient from the one that arrives, g, and x; with one number as an option."""

    value: Callable[[Expression, Expression], Expression]
    gradient: Callable[[Expression, Expression, Expression], Expression]


def _smooth(
    value: Callable[[Expression, Expression], Expression], slope: Callable[[Expression, Expression], Expression]
) -> Formula:
    """A formula without a flat part: the gradient is a product. Others choose, for infinity times 0 would be NaN."""
    return Formula(value, lambda g, x, a: g * slope(x, a))


def _gelu_slope(x: Expression, _: Expression) -> Expression:
    probability, density = normal(x)
    return probability + limited(x, -20.0, 20.0) * density  # Infinity times 0 would be NaN.


SLOPE, CUBIC = math.sqrt(2 / math.pi), 0.044715


def _tanh_of_gelu(x: Expression) -> Expression:
    return tanh(x * (x * x * CUBIC + 1) * SLOPE)


def _gelu_tanh_slope(x: Expression, _: Expression) -> Expression:
    x = limited(x, -20.0, 20.0)
    t = _tanh_of_gelu(x)
    return ((t + 1) + x * (1 - t * t) * (x * x * (3 * SLOPE * CUBIC) + SLOPE)) * 0.5


def _softplus(x: Expression, _: Expression) -> Expression:
    return where(x < 0, x.like(0.0), x) + log1p(exp(-abs(x)))


def _silu_slope(x: Expression, _: Expression) -> Expression:
    s = sigmoid(x)
    return s + limited(x, -200.0, 200.0) * s * (1 - s)


def _gate_of_mish(x: Expression) -> tuple[Expression, Expression]:
    """tanh(log(1 + e)) for ``e = exp(x)``, which is ``(e**2 + 2 e) / (e**2 + 2 e + 2)``, and e; it is 1 long before 20."""
    e = exp(limited(x, -200.0, 20.0))
    n = e * (e + 2)
    return n / (n + 2), e


def _mish_slope(x: Expression, _: Expression) -> Expression:
    gate, e = _gate_of_mish(x)
    return gate + limited(x, -200.0, 200.0) * (e / (e + 1)) * (1 - gate * gate)


def _tanh_slope(x: Expression, _: Expression) -> Expression:
    t = tanh(x)
    return 1 - t * t


def _sigmoid_slope(x: Expression, _: Expression) -> Expression:
    s = sigmoid(x)
    return s * (1 - s)


SCALE, DEPTH = 1.0507009873554805, 1.0507009873554805 * 1.6732632423543772
"""Those of `passus.functions.selu`."""

FORMULAS = {
    "celu": Formula(
        lambda x, a: where(x > 0, x, a * expm1(x / a)), lambda g, x, a: where(x > 0, g, g * (expm1(x / a) + 1))
    ),
    "elu": Formula(
        lambda x, a: where(x > 0, x, a * expm1(x)), lambda g, x, a: where(x > 0, g, g * (a * (expm1(x) + 1)))
    ),
    "gelu": _smooth(lambda x, _: x * normal(x)[0], _gelu_slope),
    "gelu_tanh": _smooth(lambda x, _: x * (_tanh_of_gelu(x) + 1) * 0.5, _gelu_tanh_slope),
    "hard_sigmoid": Formula(
        lambda x, _: limited(x + 3, 0.0, 6.0) / 6,
        lambda g, x, _: where(x > -3, where(x < 3, g * (1 / 6), 0.0), 0.0),
    ),
    "hard_swish": Formula(
        lambda x, _: x * limited(x + 3, 0.0, 6.0) / 6,
        lambda g, x, _: where(x < 3, where(x > -3, g * (x / 3 + 0.5), 0.0), where(x > 0, g, g * x)),  # NaN stays NaN.
    ),
    "leaky_relu": Formula(lambda x, a: where(x > 0, x, a * x), lambda g, x, a: where(x > 0, g, g * a)),
    "mish": _smooth(lambda x, _: x * _gate_of_mish(x)[0], _mish_slope),
    "relu": Formula(lambda x, _: where(x < 0, x.like(0.0), x), lambda g, x, _: where(x > 0, g, 0.0)),
    "selu": Formula(
        lambda x, _: where(x > 0, x * SCALE, expm1(x) * DEPTH),
        lambda g, x, _: where(x > 0, g * SCALE, g * ((expm1(x) + 1) * DEPTH)),
    ),
    "sigmoid": _smooth(lambda x, _: sigmoid(x), _sigmoid_slope),
    "silu": _smooth(lambda x, _: x * sigmoid(x), _silu_slope),
    "softplus": _smooth(_softplus, lambda x, _: sigmoid(x)),
    "softsign": _smooth(lambda x, _: x / (abs(x) + 1), lambda x, _: 1 / ((abs(x) + 1) * (abs(x) + 1))),
    "tanh": _smooth(lambda x, _: tanh(x), _tanh_slope),
}


def prepare() -> None:
    """Compile all that are not compiled when the module is imported."""
    for name in FORMULAS:
        _activation(name)
        _activation_gradient(name)


def activation(x: Array, name: str, option: float) -> Array:
    y = np.empty_like(x)
    kernel, flat = _activation(name), x.ravel(order="K")

    def work(start: int, stop: int) -> None:
        kernel(flat, option, y.ravel(order="K"), start, stop)

    split(work, x.size, PIECE)
    return y


def activation_gradient(gy: Array, x: Array, name: str, option: float) -> Array:
    gx = np.empty_like(x)
    kernel, arrays = _activation_gradient(name), (gy.ravel(order="K"), x.ravel(order="K"))

    def work(start: int, stop: int) -> None:
        kernel(*arrays, option, gx.ravel(order="K"), start, stop)

    split(work, x.size, PIECE)
    return gx


def sigmoid_gradient(gy: Array, y: Array) -> Array:
    return _from_result(_sigmoid_gradient, gy, y)


def tanh_gradient(gy: Array, y: Array) -> Array:
    return _from_result(_tanh_gradient, gy, y)


def _from_result(kernel: Callable[..., None], gy: Array, y: Array) -> Array:
    gx = np.empty_like(y)
    arrays = gy.ravel(order="K"), y.ravel(order="K"), gx.ravel(order="K")
    split(lambda start, stop: kernel(*arrays, start, stop), y.size, PIECE)
    return gx


@compiled(numba.void(READ, READ, FLAT, INTEGER, INTEGER))
def _sigmoid_gradient(gy: Any, y: Any, gx: Any, start: Any, stop: Any) -> None:
    gy, y, gx = gy[start:stop], y[start:stop], gx[start:stop]
    for i in range(len(y)):
        gx[i] = gy[i] * y[i] * (np.float32(1) - y[i])


@compiled(numba.void(READ, READ, FLAT, INTEGER, INTEGER))
def _tanh_gradient(gy: Any, y: Any, gx: Any, start: Any, stop: Any) -> None:
    gy, y, gx = gy[start:stop], y[start:stop], gx[start:stop]
    for i in range(len(y)):
        gx[i] = gy[i] * (np.float32(1) - y[i] * y[i])


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def valued(typing: Any, name: Any, x: Any, option: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of a formula, whose name must be a constant, at a vector; and the option."""
    formula = FORMULAS[name.literal_value].value

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return formula(*[Expression(builder, arg) for arg in args[1:]]).value

    return vector(name, vector, vector), generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def pulled(typing: Any, name: Any, g: Any, x: Any, option: Any) -> tuple[Any, Callable[..., Any]]:
    """The gradient for x by a formula, from the one that arrives."""
    formula = FORMULAS[name.literal_value].gradient

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return formula(*[Expression(builder, arg) for arg in args[1:]]).value

    return vector(name, vector, vector, vector), generate


@cache
def _activation(name: str) -> Callable[..., None]:
    @compiled(numba.void(READ, numba.float32, FLAT, INTEGER, INTEGER))
    def kernel(x: Any, option: Any, y: Any, start: Any, stop: Any) -> None:
        a, whole = splat(option), stop - (stop - start) % LANES
        for i in range(start, whole, LANES):
            store(y, i, valued(name, load(x, i, all_lanes()), a), all_lanes())
        if whole < stop:
            rest = first_lanes(stop - whole)
            store(y, whole, valued(name, load(x, whole, rest), a), rest)

    return kernel


@cache
def _activation_gradient(name: str) -> Callable[..., None]:
    @compiled(numba.void(READ, READ, numba.float32, FLAT, INTEGER, INTEGER))
    def kernel(gy: Any, x: Any, option: Any, gx: Any, start: Any, stop: Any) -> None:
        a, whole = splat(option), stop - (stop - start) % LANES
        for i in range(start, whole, LANES):
            store(gx, i, pulled(name, load(gy, i, all_lanes()), load(x, i, all_lanes()), a), all_lanes())
        if whole < stop:
            rest = first_lanes(stop - whole)
            store(gx, whole, pulled(name, load(gy, whole, rest), load(x, whole, rest), a), rest)

    return kernel
