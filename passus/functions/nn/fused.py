"""Pairs of operations in one pass through memory."""

from __future__ import annotations

import math
from typing import Any

from passus.arguments import checked_integer
from passus.backend import Array
from passus.core import INTEGERS, Binary, Function, Operand, Result, add, upcast_inputs
from passus.errors import ShapeError
from passus.functions.activation_base import ACTIVATIONS
from passus.functions.arrays.shapes import reshape
from passus.functions.checks import array_of, check_activation
from passus.kernels.biases import biased_activation, biased_gradient
from passus.kernels.elementwise import limited_gradient, limited_sum

__all__ = ["AddReLU", "BiasActivation", "add_relu", "bias_activation"]


class AddReLU(Binary):
    upcast_dtypes = INTEGERS

    def forward(self, x0: Array, x1: Array) -> Array:
        return limited_sum(x0, x1, 0.0, math.inf)

    def backward(self, gy: Any) -> Any:
        gx = limited_gradient(gy, self.y, 0.0, math.inf)
        return tuple([gx if needs else None for needs in self.needs])


def add_relu(x0: Operand, x1: Operand) -> Result:
    """``relu(x0 + x1)``, as at the end of a residual block, in one pass.

    The shapes broadcast. Raises `ShapeError` if they do not.

    >>> import numpy as np
    >>> add_relu(np.array([1.0, 2.0]), np.array([-3.0, 1.0]))
    array([0., 3.])
    """
    return AddReLU()(x0, x1)


class BiasActivation(Function):
    """In one pass; its gradient computes ``x + b`` again."""

    def __init__(self, name: str, axis: int) -> None:
        self.name, self.axis = name, axis

    def forward(self, x: Array, b: Array) -> Array:
        return biased_activation(x, b, self.name, self.axis, self._library())

    def backward(self, gy: Any) -> Any:
        x, b = (self.saved(v) for v in self.operands)
        return biased_gradient(gy, x, b, self.name, self.axis, self._library())

    def _library(self) -> Any:
        return ACTIVATIONS[self.name].library(self.xp)


@upcast_inputs(2)
def bias_activation(x: Operand, b: Operand | None, activation: str, axis: int = -1) -> Result:
    """``activation(x + b)``, with a number of b (C,) for each of the C channels along an axis of x; None: no b.

    ``activation``: one of the names below, with its default options. One pass forward and one backward, where the channels
    are contiguous in memory; the gradient of b is summed on the way.

    Raises `ArgumentError` for another name, `ShapeError` if b does not have one number for each channel.

    >>> from passus.functions.activation_base import ACTIVATIONS
    >>> print(*sorted(ACTIVATIONS))
    celu elu gelu gelu_tanh hard_sigmoid hard_swish leaky_relu mish relu selu sigmoid silu softplus softsign tanh

    >>> import numpy as np
    >>> bias_activation(np.array([[1.0, 2.0]]), np.array([-3.0, 1.0]), "relu")
    array([[0., 3.]])
    """
    function = ACTIVATIONS[check_activation("bias_activation", activation)]()
    if b is None:
        return function(x)
    x_, b_ = array_of("bias_activation", x), array_of("bias_activation", b)
    axis = checked_integer("bias_activation", "axis", axis)
    if not -x_.ndim <= axis < x_.ndim or b_.shape != (x_.shape[axis],):
        raise ShapeError(
            f"bias_activation: b {b_.shape} must hold one number for each channel, axis {axis} of x {x_.shape}"
        )
    axis %= x_.ndim
    if biased_activation.takes(x_, b_, activation, axis, None):
        return BiasActivation(activation, axis)(x, b)
    return function(add(x, reshape(b, (-1,) + (1,) * (x_.ndim - 1 - axis))))
