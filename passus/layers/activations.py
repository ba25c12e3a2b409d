"""Activations, and `Flatten`, as layers: each applies one function of `passus.functions`, where its formula is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count
from passus.core import Operand, Parameter, Result
from passus.layers.base import Layer

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
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


class Activation(Layer):
    """The base of layers that apply a function of one input, without options."""

    function: ClassVar[Callable[[Any], Any]]

    def forward(self, x: Operand) -> Result:
        return type(self).function(x)


class Sigmoid(Activation):
    """`passus.functions.sigmoid`."""

    function = staticmethod(F.sigmoid)


class Tanh(Activation):
    """`passus.functions.tanh`."""

    function = staticmethod(F.tanh)


class ReLU(Activation):
    """`passus.functions.relu`."""

    function = staticmethod(F.relu)


class ReLU6(Activation):
    """`passus.functions.relu6`."""

    function = staticmethod(F.relu6)


class SELU(Activation):
    """`passus.functions.selu`."""

    function = staticmethod(F.selu)


class SiLU(Activation):
    """`passus.functions.silu`."""

    function = staticmethod(F.silu)


class Mish(Activation):
    """`passus.functions.mish`."""

    function = staticmethod(F.mish)


class Softplus(Activation):
    """`passus.functions.softplus`."""

    function = staticmethod(F.softplus)


class Softsign(Activation):
    """`passus.functions.softsign`."""

    function = staticmethod(F.softsign)


class HardSigmoid(Activation):
    """`passus.functions.hard_sigmoid`."""

    function = staticmethod(F.hard_sigmoid)


class HardSwish(Activation):
    """`passus.functions.hard_swish`."""

    function = staticmethod(F.hard_swish)


class LeakyReLU(Layer):
    """`passus.functions.leaky_relu`."""

    def __init__(self, slope: float = 0.2) -> None:
        self.slope = slope

    def forward(self, x: Operand) -> Result:
        return F.leaky_relu(x, self.slope)


class ELU(Layer):
    """`passus.functions.elu`."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Operand) -> Result:
        return F.elu(x, self.alpha)


class CELU(Layer):
    """`passus.functions.celu`."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Operand) -> Result:
        return F.celu(x, self.alpha)


class GELU(Layer):
    """`passus.functions.gelu`."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: Operand) -> Result:
        return F.gelu(x, self.approximate)


class Softmax(Layer):
    """`passus.functions.softmax`."""

    def __init__(self, axis: int = 1) -> None:
        self.axis = axis

    def forward(self, x: Operand) -> Result:
        return F.softmax(x, self.axis)


class LogSoftmax(Layer):
    """`passus.functions.log_softmax`."""

    def __init__(self, axis: int = 1) -> None:
        self.axis = axis

    def forward(self, x: Operand) -> Result:
        return F.log_softmax(x, self.axis)


class GLU(Layer):
    """`passus.functions.glu`."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Operand) -> Result:
        return F.glu(x, self.axis)


class PReLU(Layer):
    """`passus.functions.prelu` with a learnt slope: one for all (``channels=1``), or one for each channel of axis 1.

    >>> PReLU()(np.array([-4.0, 4.0], np.float32))
    variable([-1.  4.])
    """

    def __init__(self, channels: int = 1, slope: float = 0.25, dtype: DTypeLike = np.float32) -> None:
        shape = (checked_count("PReLU", "channels", channels),)
        self.slope = Parameter(np.full(shape, slope, dtype), name="slope")

    def forward(self, x: Operand) -> Result:
        return F.prelu(x, self.slope)


class Flatten(Activation):
    """`passus.functions.flatten`: (N, ...) to (N, D), where D is the product of the other lengths.

    >>> Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    function = staticmethod(F.flatten)
