"""Smooth activations: sigmoid, softplus, and the units that are gated by one of them."""

from __future__ import annotations

import math
from typing import Any

from passus.arguments import checked_integer
from passus.backend import Array
from passus.core import Operand, Result, widened
from passus.errors import ArgumentError, ShapeError
from passus.functions.activation import Activation, ActivationByResult
from passus.functions.arrays.joining import split
from passus.functions.arrays.special import erf
from passus.functions.checks import array_of
from passus.kernels.activations import logistic, sigmoid_gradient

__all__ = [
    "GELU",
    "GELUTanh",
    "Mish",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "gelu",
    "glu",
    "mish",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "swiglu",
]


class Sigmoid(ActivationByResult):
    kernel, gradient = "sigmoid", sigmoid_gradient

    def formula(self, x: Array) -> Array:
        return logistic(x, self.xp)


def sigmoid(x: Operand) -> Result:
    """The logistic function: ``1 / (1 + exp(-x))``, between 0 and 1.

    >>> import numpy as np
    >>> sigmoid(np.array([-1000.0, 0.0, 1.0]))
    array([0.        , 0.5       , 0.73105858])
    """
    return Sigmoid()(x)


class Softplus(Activation):
    kernel = "softplus"

    def formula(self, x: Array) -> Array:
        xp = self.xp
        return xp.maximum(x, 0) + xp.log1p(xp.exp(-abs(x)))  # Several times faster than xp.logaddexp(x, 0).

    def rule(self, gy: Any) -> Any:
        return gy * sigmoid(self.x)


def softplus(x: Operand) -> Result:
    """A smooth relu: ``log(1 + exp(x))``, computed without overflow.

    >>> import numpy as np
    >>> softplus(np.array([-1000.0, 0.0, 1000.0]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    return Softplus()(x)


class Softsign(Activation):
    kernel = "softsign"

    def formula(self, x: Array) -> Array:
        return x / (1 + abs(x))

    def rule(self, gy: Any) -> Any:
        return gy / (1 + abs(self.x)) ** 2


def softsign(x: Operand) -> Result:
    """A sigmoid between -1 and 1 with long tails: ``x / (1 + |x|)``.

    >>> import numpy as np
    >>> softsign(np.array([-1.0, 0.0, 3.0]))
    array([-0.5 ,  0.  ,  0.75])
    """
    return Softsign()(x)


class SiLU(Activation):
    kernel = "silu"

    def formula(self, x: Array) -> Array:
        half = 0.5 * x
        return half * self.xp.tanh(half) + half  # x * sigmoid(x) in four passes.

    def rule(self, gy: Any) -> Any:
        s = sigmoid(self.x)
        return gy * (s + self.y * (1 - s))


def silu(x: Operand) -> Result:
    """The sigmoid linear unit, also called swish: ``x * sigmoid(x)``.

    Source: Elfwing, Uchibe and Doya, 2018, "Sigmoid-weighted linear units for neural network function approximation".

    >>> import numpy as np
    >>> silu(np.array([-1.0, 0.0, 1.0]))
    array([-0.26894142,  0.        ,  0.73105858])
    """
    return SiLU()(x)


class Mish(Activation):
    kernel = "mish"

    def formula(self, x: Array) -> Array:
        return x * self.xp.tanh(softplus(x))

    def rule(self, gy: Any) -> Any:
        x = self.x
        gate = self.xp.tanh(softplus(x))
        return gy * (gate + x * sigmoid(x) * (1 - gate * gate))


def mish(x: Operand) -> Result:
    """A unit gated by its own softplus: ``x * tanh(softplus(x))``.

    Source: Misra, 2020, "Mish: a self regularized non-monotonic activation function".

    >>> import numpy as np
    >>> mish(np.array([-1.0, 0.0, 1.0]))
    array([-0.30340146,  0.        ,  0.86509839])
    """
    return Mish()(x)


class GELU(Activation):
    kernel = "gelu"
    constants = ("cdf",)  # Read in an ordinary backward pass, for erf is expensive; a recorded one starts from x.
    cdf: Array | None = None

    def formula(self, x: Array) -> Array:
        self.cdf = _normal_cdf(x)
        return x * self.cdf

    def rule(self, gy: Any) -> Any:
        x = self.x
        cdf = _normal_cdf(x) if self.recording or self.cdf is None else self.cdf
        return gy * (cdf + x * self.xp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))


class GELUTanh(Activation):
    public_name = "gelu"

    kernel = "gelu_tanh"

    def formula(self, x: Array) -> Array:
        return 0.5 * x * (1 + self.xp.tanh(_SLOPE * x * (1 + _CUBIC * x * x)))

    def rule(self, gy: Any) -> Any:
        x = self.x
        xx = x * x
        t = self.xp.tanh(_SLOPE * x * (1 + _CUBIC * xx))
        return gy * 0.5 * ((1 + t) + x * (1 - t * t) * (_SLOPE + 3 * _SLOPE * _CUBIC * xx))


_SLOPE, _CUBIC = math.sqrt(2 / math.pi), 0.044715


def _normal_cdf(x: Any) -> Any:
    """The probability that a standard normal number is below ``x``."""
    return 0.5 + 0.5 * erf(math.sqrt(0.5) * x)


def gelu(x: Operand, approximate: str = "none") -> Result:
    """The Gaussian error linear unit: ``x * P(Z < x)`` for a standard normal Z.

    ``approximate``: "none" for the formula with erf, "tanh" for the faster
    ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))``, which differs by less than 0.0005.

    Raises `ArgumentError` for another name.
    Source: Hendrycks and Gimpel, 2016, "Gaussian error linear units".

    >>> import numpy as np
    >>> gelu(np.array([-1.0, 0.0, 1.0]))
    array([-0.15865525,  0.        ,  0.84134475])
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    return GELU()(x) if approximate == "none" else GELUTanh()(x)


@widened(1)
def glu(x: Operand, axis: int = -1) -> Result:
    """The gated linear unit: the first half along an axis times the sigmoid of the second half.

    Raises `ShapeError` if the axis has an odd length.
    Source: Dauphin et al., 2017, "Language modeling with gated convolutional networks".

    >>> import numpy as np
    >>> glu(np.array([1.0, 2.0, 0.0, 0.0]))
    array([0.5, 1. ])
    """
    value, gate = _halves("glu", x, axis)
    return value * sigmoid(gate)


def _halves(name: str, x: Operand, axis: int) -> tuple[Result, ...]:
    """The two halves along an axis. Raises `ShapeError` if it has an odd length."""
    shape = array_of(name, x).shape
    if not -len(shape) <= checked_integer(name, "axis", axis) < len(shape) or shape[axis] % 2:
        raise ShapeError(f"{name}: axis {axis} of x {shape} must exist and have an even length, to be cut in halves")
    return split(x, 2, axis=axis)


@widened(1)
def swiglu(x: Operand, axis: int = -1) -> Result:
    """The gated unit of SwiGLU blocks: the `silu` of the first half along an axis times the second half.

    Raises `ShapeError` if the axis has an odd length. Source: Shazeer, 2020, "GLU variants improve transformer".

    >>> import numpy as np
    >>> swiglu(np.array([0.0, 1.0, 2.0, 3.0])).round(3)
    array([0.   , 2.193])
    """
    gate, value = _halves("swiglu", x, axis)
    return silu(gate) * value
