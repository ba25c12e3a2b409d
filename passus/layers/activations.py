"""Activations and `Flatten` as layers. Each applies a function of `passus.functions`, which documents it.

>>> LeakyReLU(0.5)(np.array([-2.0, 2.0]))
array([-1.,  2.])
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_integer, checked_number
from passus.core import Operand, Result
from passus.initializers import constant
from passus.layers.base import Layer
from passus.layers.inputs import in_dtype_of_parameter
from passus.layers.lazy import LazyParameter

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Activation",
    "Flatten",
    "HardSigmoid",
    "HardSwish",
    "LeakyReLU",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
]

EMPTY = np.zeros(0, np.float32)
"""An empty input: layers call their function with it to check the options when they are created."""


class Activation(Layer):
    """The base of layers that apply a function without options."""

    function: ClassVar[staticmethod[[Any], Any]]

    def forward(self, x: Operand) -> Result:
        return self.function(x)


class Sigmoid(Activation):
    """Applies `passus.functions.sigmoid`: ``1 / (1 + exp(-x))``."""

    function = staticmethod(F.sigmoid)


class Tanh(Activation):
    """Applies `passus.functions.tanh`: ``tanh(x)``."""

    function = staticmethod(F.tanh)


class ReLU(Activation):
    """Applies `passus.functions.relu`: ``max(x, 0)``."""

    function = staticmethod(F.relu)


class ReLU6(Activation):
    """Applies `passus.functions.relu6`: ``min(max(x, 0), 6)``."""

    function = staticmethod(F.relu6)


class SELU(Activation):
    """Applies `passus.functions.selu`: ``scale * elu(x, alpha)``."""

    function = staticmethod(F.selu)


class SiLU(Activation):
    """Applies `passus.functions.silu`: ``x * sigmoid(x)``."""

    function = staticmethod(F.silu)


class Mish(Activation):
    """Applies `passus.functions.mish`: ``x * tanh(softplus(x))``."""

    function = staticmethod(F.mish)


class Softplus(Activation):
    """Applies `passus.functions.softplus`: ``log(1 + exp(x))``."""

    function = staticmethod(F.softplus)


class Softsign(Activation):
    """Applies `passus.functions.softsign`: ``x / (1 + |x|)``."""

    function = staticmethod(F.softsign)


class HardSigmoid(Activation):
    """Applies `passus.functions.hard_sigmoid`: ``relu6(x + 3) / 6``."""

    function = staticmethod(F.hard_sigmoid)


class HardSwish(Activation):
    """Applies `passus.functions.hard_swish`: ``x * relu6(x + 3) / 6``."""

    function = staticmethod(F.hard_swish)


class LeakyReLU(Layer):
    """Applies `passus.functions.leaky_relu`: ``x if x > 0 else slope * x``."""

    def __init__(self, slope: float = 0.2) -> None:
        F.leaky_relu(EMPTY, slope)
        self.slope = slope

    def forward(self, x: Operand) -> Result:
        return F.leaky_relu(x, self.slope)


class ELU(Layer):
    """Applies `passus.functions.elu`: ``x if x > 0 else alpha * (exp(x) - 1)``."""

    def __init__(self, alpha: float = 1.0) -> None:
        F.elu(EMPTY, alpha)
        self.alpha = alpha

    def forward(self, x: Operand) -> Result:
        return F.elu(x, self.alpha)


class CELU(Layer):
    """Applies `passus.functions.celu`: ``x if x > 0 else alpha * (exp(x / alpha) - 1)``."""

    def __init__(self, alpha: float = 1.0) -> None:
        F.celu(EMPTY, alpha)
        self.alpha = alpha

    def forward(self, x: Operand) -> Result:
        return F.celu(x, self.alpha)


class GELU(Layer):
    """Applies `passus.functions.gelu`: ``x * P(X <= x) for a normal X``."""

    def __init__(self, approximate: str = "none") -> None:
        F.gelu(EMPTY, approximate)
        self.approximate = approximate

    def forward(self, x: Operand) -> Result:
        return F.gelu(x, self.approximate)


class Softmax(Layer):
    """Applies `passus.functions.softmax`: ``exp(x) / sum(exp(x)) along an axis``."""

    def __init__(self, axis: int = 1) -> None:
        self.axis = checked_integer("Softmax", "axis", axis)

    def forward(self, x: Operand) -> Result:
        return F.softmax(x, self.axis)


class LogSoftmax(Layer):
    """Applies `passus.functions.log_softmax`: ``x - log(sum(exp(x))) along an axis``."""

    def __init__(self, axis: int = 1) -> None:
        self.axis = checked_integer("LogSoftmax", "axis", axis)

    def forward(self, x: Operand) -> Result:
        return F.log_softmax(x, self.axis)


class GLU(Layer):
    """Applies `passus.functions.glu`: ``a * sigmoid(b) of the halves a and b of an axis``."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = checked_integer("GLU", "axis", axis)

    def forward(self, x: Operand) -> Result:
        return F.glu(x, self.axis)


class PReLU(Layer):
    """Applies `passus.functions.prelu`, ``max(x, 0) + slope * min(x, 0)``, with a trained slope.

    ``channels``: 1 for one slope, or the length of axis 1 for one slope per channel.

    >>> PReLU()(np.array([-4.0, 4.0], np.float32))
    variable([-1.  4.])
    """

    def __init__(self, channels: int = 1, slope: float = 0.25, dtype: DTypeLike = np.float32) -> None:
        shape = (checked_count("PReLU", "channels", channels),)
        start = constant(checked_number("PReLU", "slope", slope, -math.inf))
        self.slope = LazyParameter(shape, start, dtype, name="slope")

    def forward(self, x: Operand) -> Result:
        return F.prelu(in_dtype_of_parameter(self, x, self.slope), self.slope)


class Flatten(Activation):
    """Applies `passus.functions.flatten`: (N, ...) to (N, D), with D the product of the other lengths.

    >>> Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    function = staticmethod(F.flatten)
