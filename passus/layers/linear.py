"""The fully connected layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_flag
from passus.core import Operand, Parameter, Result
from passus.functions.checks import check_activation
from passus.initializers import Initializer, lecun_normal
from passus.layers.base import Layer
from passus.layers.inputs import in_dtype_of_parameter
from passus.layers.lazy import LazyParameter, length
from passus.random import RNG

__all__ = ["Linear"]


class Linear(Layer):
    """The affine function ``x @ W + b`` of the last axis: (..., I) to (..., O).

    ``out_size``: O. ``nobias``: no b. ``in_size``: I; inferred on the first call by default. ``initializer``: of W,
    `lecun_normal` by default; b starts at 0. ``rng``: generator or seed for W. ``activation``: the name of an
    activation that is fused with the addition of b, see `passus.functions.bias_activation`.

    As in all layers with parameters, inputs without gradient are converted to the dtype of W, with one warning. Inputs
    with gradient are computed in the wider dtype.

    Raises `ShapeError` for an input of another size, `ArgumentError` for an unknown activation.

    >>> layer = Linear(3, rng=0)
    >>> layer(np.ones((2, 4), np.float32)).shape
    (2, 3)
    >>> layer
    Linear(out_size=3)  W (4, 3), b (3,)  15 parameters
    """

    def __init__(
        self,
        out_size: int,
        nobias: bool = False,
        dtype: DTypeLike = np.float32,
        in_size: int | None = None,
        initializer: Initializer | None = None,
        rng: RNG = None,
        activation: str | None = None,
    ) -> None:
        self.out_size = checked_count("Linear", "out_size", out_size)
        order = f"; the output size comes first, and the input size is inferred on the first call: Linear({nobias})"
        nobias = checked_flag("Linear", "nobias", nobias, order)
        known = None if in_size is None else checked_count("Linear", "in_size", in_size)
        self.W = LazyParameter((known, self.out_size), initializer or lecun_normal, dtype, rng, name="W")
        self.b = None if nobias else Parameter(np.zeros(self.out_size, dtype), name="b")
        self.activation = None if activation is None else check_activation("Linear", activation)

    def forward(self, x: Operand) -> Result:
        if self.W._data is None:
            self.W.resolve(length("linear", x, -1))
        x = in_dtype_of_parameter(self, x, self.W)
        if self.activation is None:
            return F.linear(x, self.W, self.b)
        return F.bias_activation(F.linear(x, self.W), self.b, self.activation)
