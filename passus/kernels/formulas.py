"""Formulas of activations and of their gradients, each written once for three readers.

NumPy reads them as the reference, Variables as the recorded rule of a gradient, and Numba as the kernel, on vectors. A formula is a
plain function of ``xp``, the array library, with operators and the functions that `native/elementary.py` has, too.
`masked`, `where` and `exp_below_zero` accept arrays, Variables and vectors.

Limits hold at infinity: a factor that is infinite there is bounded before it meets one that is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from passus.kernels.elementwise import exp_below_zero, masked, where

__all__ = ["FORMULAS", "Formula", "centred", "clipped", "exponential", "log_gradient", "sigmoid"]

Numbers: TypeAlias = Any
"""An array, a Variable, or a vector in a kernel."""

FAR = 800.0
"""exp(-FAR) is 0 in float64: what is beyond does not change a sigmoid."""

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""The fixed point of the paper: mean 0 and variance 1 are preserved from layer to layer."""
DEPTH = SELU_SCALE * SELU_ALPHA

SLOPE, CUBIC = math.sqrt(2 / math.pi), 0.044715
"""Of the tanh in the approximation of gelu."""


class Formula(NamedTuple):
    """An activation, ``value(xp, x, *options)``, and its gradient, ``gradient(xp, g, x, y, *options)`` for the output gradient g.

    ``reads``: what the gradient reads, "x", "y" or "xy"; the other one is None, or not to be used.
    ``options``: numbers, by name, with their defaults.
    """

    value: Callable[..., Numbers]
    gradient: Callable[..., Numbers]
    reads: str
    options: dict[str, float] = {}  # noqa: RUF012  # It is not changed.

    @property
    def default(self) -> tuple[float, ...]:
        """The default values of the options."""
        return tuple(self.options.values())


def clipped(x: Numbers, low: float, high: float) -> Numbers:
    """``min(max(x, low), high)``, by the method of arrays, which takes half the time of the function for small ones.

    >>> import numpy as np
    >>> clipped(np.array([-2.0, 0.5, 2.0]), 0.0, 1.0)
    array([0. , 0.5, 1. ])
    """
    return x.clip(low, high)


def sigmoid(xp: Any, x: Numbers) -> Numbers:
    """``exp(x) / (exp(x) + 1)``; above 80, where it is 1 in float64 too, the exponential is bounded.

    >>> import numpy as np
    >>> sigmoid(np, np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    e = xp.exp(xp.minimum(x, 80.0))
    return e / (e + 1)


def sigmoid_gradient(xp: Any, g: Numbers, x: None, y: Numbers) -> Numbers:
    return g * y * (1 - y)


def tanh(xp: Any, x: Numbers) -> Numbers:
    return xp.tanh(x)


def tanh_gradient(xp: Any, g: Numbers, x: None, y: Numbers) -> Numbers:
    return g * (1 - y * y)


def softplus(xp: Any, x: Numbers) -> Numbers:
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-abs(x)))  # Several times faster than logaddexp.


def softplus_gradient(xp: Any, g: Numbers, x: Numbers, y: None) -> Numbers:
    return g * sigmoid(xp, x)


def softsign(xp: Any, x: Numbers) -> Numbers:
    x = clipped(x, -1e30, 1e30)
    return x / (abs(x) + 1)


def softsign_gradient(xp: Any, g: Numbers, x: Numbers, y: None) -> Numbers:
    root = 1 / (abs(x) + 1)
    return g * (root * root)


def silu(xp: Any, x: Numbers) -> Numbers:
    return xp.maximum(x, -FAR) * sigmoid(xp, x)


def silu_gradient(xp: Any, g: Numbers, x: Numbers, y: None) -> Numbers:
    s = sigmoid(xp, x)
    return g * (s + clipped(x, -FAR, FAR) * s * (1 - s))


def mish_gate(xp: Any, x: Numbers) -> Numbers:
    """``e = exp(x)``, and ``tanh(log(1 + e)) = (e**2 + 2 e) / (e**2 + 2 e + 2)``, which is 1 long before 20."""
    e = xp.exp(xp.minimum(x, 20.0))
    n = e * (e + 2)
    return e, n / (n + 2)


def mish(xp: Any, x: Numbers) -> Numbers:
    _, gate = mish_gate(xp, x)
    return xp.maximum(x, -FAR) * gate


def mish_gradient(xp: Any, g: Numbers, x: Numbers, y: None) -> Numbers:
    e, gate = mish_gate(xp, x)
    return g * (gate + clipped(x, -FAR, FAR) * (e / (e + 1)) * (1 - gate * gate))


def gelu(xp: Any, x: Numbers) -> Numbers:
    return xp.maximum(x, -40.0) * xp.normal_cdf(x)


def gelu_gradient(xp: Any, g: Numbers, x: Numbers, y: None) -> Numbers:
    x = clipped(x, -40.0, 40.0)
    return g * (xp.normal_cdf(x) + x * xp.normal_pdf(x))


def gelu_tanh(xp: Any, x: Numbers) -> Numbers:
    x = xp.maximum(x, -20.0)
    return x * ((_tanh_of_gelu(xp, x) + 1) * 0.5)


def gelu_tanh_gradient(xp: Any, g: Numbers, x: Numbers, y: None) -> Numbers:
    x = clipped(x, -20.0, 20.0)
    t = _tanh_of_gelu(xp, x)
    return g * (((t + 1) + x * (1 - t * t) * (x * x * (3 * SLOPE * CUBIC) + SLOPE)) * 0.5)


def _tanh_of_gelu(xp: Any, x: Numbers) -> Numbers:
    return xp.tanh(x * (x * x * CUBIC + 1) * SLOPE)


def relu(xp: Any, x: Numbers) -> Numbers:
    return xp.maximum(x, 0)


def relu_gradient(xp: Any, g: Numbers, x: None, y: Numbers) -> Numbers:
    return masked(g, y > 0)


def leaky_relu(xp: Any, x: Numbers, slope: float) -> Numbers:
    return xp.maximum(x, slope * x) if slope <= 1 else xp.minimum(x, slope * x)


def leaky_relu_gradient(xp: Any, g: Numbers, x: Numbers, y: None, slope: float) -> Numbers:
    return where(x > 0, g, slope * g)


def elu(xp: Any, x: Numbers, alpha: float) -> Numbers:
    return xp.maximum(x, 0) + alpha * xp.expm1(xp.minimum(x, 0))


def elu_gradient(xp: Any, g: Numbers, x: Numbers, y: Numbers, alpha: float) -> Numbers:
    # For a negative alpha, y alone does not show the sign of x.
    return g * where(x > 0, 1.0, y + alpha)


def selu(xp: Any, x: Numbers) -> Numbers:
    return SELU_SCALE * xp.maximum(x, 0) + DEPTH * xp.expm1(xp.minimum(x, 0))


def selu_gradient(xp: Any, g: Numbers, x: None, y: Numbers) -> Numbers:
    return g * where(y > 0, SELU_SCALE, y + DEPTH)


def celu(xp: Any, x: Numbers, alpha: float) -> Numbers:
    return xp.maximum(x, 0) + alpha * xp.expm1(xp.minimum(x, 0) / alpha)


def celu_gradient(xp: Any, g: Numbers, x: None, y: Numbers, alpha: float) -> Numbers:
    return g * where(y > 0, 1.0, (y + alpha) / alpha)


def hard_sigmoid(xp: Any, x: Numbers) -> Numbers:
    return clipped(x + 3, 0.0, 6.0) / 6


def hard_sigmoid_gradient(xp: Any, g: Numbers, x: Numbers, y: None) -> Numbers:
    return masked(g, (x > -3) & (x < 3)) / 6


def hard_swish(xp: Any, x: Numbers) -> Numbers:
    return xp.maximum(x, -3.0) * (clipped(x + 3, 0.0, 6.0) / 6)


def hard_swish_gradient(xp: Any, g: Numbers, x: Numbers, y: None) -> Numbers:
    slope = where(x >= 3, 1.0, clipped(x, -3.0, 3.0) / 3 + 0.5)
    return masked(g, ~(x <= -3)) * slope  # NaN is not below: it stays NaN.


# Rows of a softmax. Their kernels differ from the references in how they go through memory, not in these formulas.


def exponential(x: Numbers, top: Numbers) -> Numbers:
    """``exp(x - top)``, for a ``top`` that no x exceeds.

    >>> import numpy as np
    >>> exponential(np.array([3.0, -1000.0]), 3.0)
    array([1., 0.])
    """
    return exp_below_zero(x - top)


def centred(g: Numbers, y: Numbers, mean: Numbers) -> Numbers:
    """The gradient through a softmax, from that for its output y, whose mean weighted by y is ``mean``.

    >>> import numpy as np
    >>> centred(np.array([1.0, 0.0]), np.array([0.5, 0.5]), 0.5)
    array([ 0.25, -0.25])
    """
    return y * (g - mean)


def log_gradient(g: Numbers, y: Numbers, total: Numbers) -> Numbers:
    """The gradient through the logarithm of a softmax, from that for its output y, whose sum is ``total``.

    >>> import numpy as np
    >>> log_gradient(np.array([1.0, 0.0]), np.array([0.0, -1000.0]), 1.0)
    array([0., 0.])
    """
    return g - exp_below_zero(y) * total


FORMULAS = {
    "celu": Formula(celu, celu_gradient, "y", {"alpha": 1.0}),
    "elu": Formula(elu, elu_gradient, "xy", {"alpha": 1.0}),
    "gelu": Formula(gelu, gelu_gradient, "x"),
    "gelu_tanh": Formula(gelu_tanh, gelu_tanh_gradient, "x"),
    "hard_sigmoid": Formula(hard_sigmoid, hard_sigmoid_gradient, "x"),
    "hard_swish": Formula(hard_swish, hard_swish_gradient, "x"),
    "leaky_relu": Formula(leaky_relu, leaky_relu_gradient, "x", {"slope": 0.2}),
    "mish": Formula(mish, mish_gradient, "x"),
    "relu": Formula(relu, relu_gradient, "y"),
    "selu": Formula(selu, selu_gradient, "y"),
    "sigmoid": Formula(sigmoid, sigmoid_gradient, "y"),
    "silu": Formula(silu, silu_gradient, "x"),
    "softplus": Formula(softplus, softplus_gradient, "x"),
    "softsign": Formula(softsign, softsign_gradient, "x"),
    "tanh": Formula(tanh, tanh_gradient, "y"),
}
"""All activations that have a kernel, by name."""
