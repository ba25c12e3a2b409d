"""Activations with a kink: linear on one side or in the middle, bent or constant elsewhere.

Their rules choose by masks: on a flat part the gradient is 0, even if the one that arrives is infinite.
"""

from __future__ import annotations

import math
from typing import Any

from passus.arguments import checked_number
from passus.backend import Array
from passus.core import HALF, INTEGERS, Binary, Operand, Result, Unary
from passus.errors import ShapeError
from passus.functions.activation_base import Activation
from passus.functions.arrays.shapes import reshape
from passus.kernels.channels import sloped_channels, sloped_gradient
from passus.kernels.elementwise import limited, limited_gradient

__all__ = [
    "CELU",
    "ELU",
    "SELU",
    "HardSigmoid",
    "HardSwish",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "ReLU6",
    "celu",
    "elu",
    "hard_sigmoid",
    "hard_swish",
    "leaky_relu",
    "prelu",
    "relu",
    "relu6",
    "selu",
]


class ReLU(Activation):
    formula = "relu"
    upcast_dtypes = ""

    def forward(self, x: Array) -> Array:
        return limited(x, 0.0, math.inf)

    def backward(self, gy: Any) -> Any:
        return limited_gradient(gy, self.y, 0.0, math.inf)


def relu(x: Operand) -> Result:
    """The rectified linear unit: ``max(x, 0)``; its gradient at 0 is 0.

    Source: Nair and Hinton, 2010, "Rectified linear units improve restricted Boltzmann machines".

    >>> import numpy as np
    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return ReLU()(x)


class ReLU6(Unary):
    def forward(self, x: Array) -> Array:
        return limited(x, 0.0, 6.0)

    def backward(self, gy: Any) -> Any:
        return limited_gradient(gy, self.y, 0.0, 6.0)


def relu6(x: Operand) -> Result:
    """The rectified linear unit with a ceiling: ``min(max(x, 0), 6)``.

    Source: Howard et al., 2017, "MobileNets".

    >>> import numpy as np
    >>> relu6(np.array([-1.0, 2.0, 9.0]))
    array([0., 2., 6.])
    """
    return ReLU6()(x)


class PReLU(Binary):
    upcast_dtypes = HALF + INTEGERS

    def forward(self, x: Array, slope: Array) -> Array:
        return sloped_channels(x, slope)

    def backward(self, gy: Any) -> Any:
        gradients = sloped_gradient(gy, self.x0, self.x1)
        return tuple([gradient if needed else None for gradient, needed in zip(gradients, self.needs)])


def prelu(x: Operand, slope: Operand) -> Result:
    """The rectified linear unit with a learnt slope: ``max(x, 0) + slope * min(x, 0)``.

    ``x``: (N, C, ...); ``slope``: (C,), one for each channel, or one number for all.

    Raises `ShapeError` if ``slope`` has another number of channels.
    Source: He et al., 2015, "Delving deep into rectifiers".

    >>> import numpy as np
    >>> prelu(np.array([[-1.0, -1.0]]), np.array([0.25, 0.5]))
    array([[-0.25, -0.5 ]])
    """
    shape, channels = getattr(x, "shape", ()), getattr(slope, "shape", ())
    if channels == (1,) and not shape:
        slope = reshape(slope, ())
    elif channels not in ((), (1,)):
        if len(shape) < 2 or channels != shape[1:2]:
            raise ShapeError(f"prelu: slope {channels} must hold one number for each channel, axis 1 of x {shape}")
        slope = reshape(slope, channels + (1,) * (len(shape) - 2))
    return PReLU()(x, slope)


class LeakyReLU(Activation):
    formula = "leaky_relu"

    def __init__(self, slope: float = 0.2) -> None:
        self.options = (slope,)


def leaky_relu(x: Operand, slope: float = 0.2) -> Result:
    """The rectified linear unit with a slope below 0: ``x`` if positive, else ``slope * x``.

    Source: Maas, Hannun and Ng, 2013, "Rectifier nonlinearities improve neural network acoustic models".

    >>> import numpy as np
    >>> leaky_relu(np.array([-1.0, 2.0]))
    array([-0.2,  2. ])
    """
    slope = checked_number("leaky_relu", "slope", slope, -math.inf)
    return LeakyReLU(slope)(x) if slope else relu(x)


class ELU(Activation):
    formula = "elu"

    def __init__(self, alpha: float = 1.0) -> None:
        self.options = (alpha,)


def elu(x: Operand, alpha: float = 1.0) -> Result:
    """The exponential linear unit: ``x`` if positive, else ``alpha * (exp(x) - 1)``.

    Source: Clevert, Unterthiner and Hochreiter, 2016, "Fast and accurate deep network learning by exponential linear
    units".

    >>> import numpy as np
    >>> elu(np.array([-1.0, 2.0]))
    array([-0.63212056,  2.        ])
    """
    alpha = checked_number("elu", "alpha", alpha, -math.inf)
    return ELU(alpha)(x) if alpha else relu(x)


class SELU(Activation):
    formula = "selu"


def selu(x: Operand) -> Result:
    """The self-normalizing unit: ``1.0507 * elu(x, 1.6733)``.

    Source: Klambauer et al., 2017, "Self-normalizing neural networks".

    >>> import numpy as np
    >>> selu(np.array([-1.0, 2.0]))
    array([-1.11133074,  2.10140197])
    """
    return SELU()(x)


class CELU(Activation):
    formula = "celu"

    def __init__(self, alpha: float = 1.0) -> None:
        self.options = (alpha,)


def celu(x: Operand, alpha: float = 1.0) -> Result:
    """The exponential linear unit with a smooth joint: ``x`` if positive, else ``alpha * (exp(x / alpha) - 1)``.

    Raises `ArgumentError` unless ``alpha > 0``.
    Source: Barron, 2017, "Continuously differentiable exponential linear units".

    >>> import numpy as np
    >>> celu(np.array([-1.0, 2.0]), alpha=2.0)
    array([-0.78693868,  2.        ])
    """
    return CELU(checked_number("celu", "alpha", alpha, open_low=True))(x)


class HardSigmoid(Activation):
    formula = "hard_sigmoid"


def hard_sigmoid(x: Operand) -> Result:
    """A sigmoid of three straight lines: ``min(max(x + 3, 0), 6) / 6``.

    Source: Howard et al., 2019, "Searching for MobileNetV3".

    >>> import numpy as np
    >>> hard_sigmoid(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    return HardSigmoid()(x)


class HardSwish(Activation):
    formula = "hard_swish"


def hard_swish(x: Operand) -> Result:
    """A SiLU of straight lines and a parabola: ``x * hard_sigmoid(x)``.

    Source: Howard et al., 2019, "Searching for MobileNetV3".

    >>> import numpy as np
    >>> hard_swish(np.array([-4.0, 1.5, 4.0]))
    array([-0.   ,  1.125,  4.   ])
    """
    return HardSwish()(x)
