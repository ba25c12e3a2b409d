"""Smooth activations: sigmoid, softplus, and the units that are gated by one of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from passus.arguments import checked_integer
from passus.backend import Array
from passus.core import Operand, Result, upcast_inputs
from passus.errors import ArgumentError, ShapeError
from passus.functions.activation_base import Activation
from passus.functions.arrays.joining import split
from passus.functions.arrays.normal import normal_cdf, normal_pdf
from passus.functions.checks import array_of

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


class Sigmoid(Activation):
    formula = "sigmoid"


def sigmoid(x: Operand) -> Result:
    """The logistic function: ``1 / (1 + exp(-x))``, between 0 and 1.

    >>> import numpy as np
    >>> sigmoid(np.array([-1000.0, 0.0, 1.0]))
    array([0.        , 0.5       , 0.73105858])
    """
    return Sigmoid()(x)


class Softplus(Activation):
    formula = "softplus"


def softplus(x: Operand) -> Result:
    """A smooth relu: ``log(1 + exp(x))``, computed without overflow.

    >>> import numpy as np
    >>> softplus(np.array([-1000.0, 0.0, 1000.0]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    return Softplus()(x)


class Softsign(Activation):
    formula = "softsign"


def softsign(x: Operand) -> Result:
    """A sigmoid between -1 and 1 with long tails: ``x / (1 + |x|)``.

    >>> import numpy as np
    >>> softsign(np.array([-1.0, 0.0, 3.0]))
    array([-0.5 ,  0.  ,  0.75])
    """
    return Softsign()(x)


class SiLU(Activation):
    formula = "silu"


def silu(x: Operand) -> Result:
    """The sigmoid linear unit, also called swish: ``x * sigmoid(x)``.

    Source: Elfwing, Uchibe and Doya, 2018, "Sigmoid-weighted linear units for neural network function approximation".

    >>> import numpy as np
    >>> silu(np.array([-1.0, 0.0, 1.0]))
    array([-0.26894142,  0.        ,  0.73105858])
    """
    return SiLU()(x)


class Mish(Activation):
    formula = "mish"


def mish(x: Operand) -> Result:
    """A unit gated by its own softplus: ``x * tanh(softplus(x))``.

    Source: Misra, 2020, "Mish: a self regularized non-monotonic activation function".

    >>> import numpy as np
    >>> mish(np.array([-1.0, 0.0, 1.0]))
    array([-0.30340146,  0.        ,  0.86509839])
    """
    return Mish()(x)


class GELU(Activation):
    formula = "gelu"
    constants = ("cdf",)  # Read in an ordinary backward pass, because it is expensive; a recorded one starts from x.
    cdf: Array | None = None

    def forward(self, x: Array) -> Array:
        self.cdf = None
        return super().forward(x)

    @staticmethod
    def library(xp: Any) -> Library:
        return Library(xp.maximum, normal_cdf, partial(normal_pdf, xp=xp))

    def formula_library(self) -> Library:
        return self.library(self.xp)._replace(normal_cdf=self._normal_cdf)

    def _normal_cdf(self, x: Any) -> Any:
        if self.recording:
            return normal_cdf(x)
        if self.cdf is None:
            self.cdf = normal_cdf(x)
        return self.cdf


class Library(NamedTuple):
    """An array library with the probability and the density of normal numbers."""

    maximum: Callable[..., Any]
    normal_cdf: Callable[[Any], Any]
    normal_pdf: Callable[[Any], Any]


class GELUTanh(Activation):
    public_name = "gelu"

    formula = "gelu_tanh"


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


@upcast_inputs(1)
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


@upcast_inputs(1)
def swiglu(x: Operand, axis: int = -1) -> Result:
    """The gated unit of SwiGLU blocks: the `silu` of the first half along an axis times the second half.

    Raises `ShapeError` if the axis has an odd length. Source: Shazeer, 2020, "GLU variants improve transformer".

    >>> import numpy as np
    >>> swiglu(np.array([0.0, 1.0, 2.0, 3.0])).round(3)
    array([0.   , 2.193])
    """
    gate, value = _halves("swiglu", x, axis)
    return silu(gate) * value
