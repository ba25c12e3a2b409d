"""Dropout of elements, channels and residual branches."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_fraction
from passus.backend import Array, backend_of
from passus.config import train
from passus.core import HALF, Operand, Result, Unary
from passus.errors import ShapeError
from passus.functions.checks import array_of
from passus.kernels.elementwise import dropped_out
from passus.random import RNG, get_rng

__all__ = ["Dropout", "dropout", "dropout2d", "stochastic_depth"]


BITS = 32
"""The number of random bits per element; the ratio is accurate to 1e-10."""


class Dropout(Unary):
    upcast_dtypes = HALF

    constants = ("drawn",)

    def __init__(self, ratio: float, rng: np.random.Generator, mask_shape: tuple[int, ...]) -> None:
        self.rng = rng
        self.mask_shape = mask_shape  # Broadcasts to the shape of x.
        self.threshold = min(round(ratio * 2**BITS), 2**BITS - 1)
        self.scale = 1 / (1 - ratio) if ratio < 1 else 0.0

    def forward(self, x: Array) -> Array:
        self.drawn = backend_of(x).random_bits(self.rng, self.mask_shape, like=x)
        return dropped_out(x, self.drawn, self.threshold, self.scale)

    def backward(self, gy: Any) -> Any:
        return dropped_out(gy, self.drawn, self.threshold, self.scale)


def dropout(x: Operand, dropout_ratio: float = 0.5, rng: RNG = None) -> Result:
    """In training, set each element to 0 with probability ``dropout_ratio`` and divide the others by
    ``1 - dropout_ratio``.

    The expected value is unchanged. In test mode, returns ``x``.

    Raises `ArgumentError` for a ratio outside 0 to 1, `DTypeError` for another type.
    Source: Srivastava et al., 2014, "Dropout: a simple way to prevent neural networks from overfitting".

    >>> import numpy as np
    >>> dropout(np.ones(6), 0.5, rng=0)
    array([2., 2., 2., 0., 0., 0.])
    """
    return _dropped("dropout", x, dropout_ratio, rng, array_of("dropout", x).ndim)


def dropout2d(x: Operand, dropout_ratio: float = 0.5, rng: RNG = None) -> Result:
    """`dropout` of channels: each channel of each example is set to 0 with probability ``dropout_ratio``, and otherwise
    divided by ``1 - dropout_ratio``. In test mode, returns ``x``.

    ``x``: (N, C, ...) with at least one spatial axis. Neighbouring pixels are correlated, so dropping single pixels has
    little effect.

    Raises `ShapeError` for fewer axes, `ArgumentError` for a ratio outside 0 to 1, `DTypeError` for another type.
    Source: Tompson et al., 2015, "Efficient object localization using convolutional networks".

    >>> import numpy as np
    >>> dropout2d(np.ones((1, 3, 2)), 0.5, rng=3)
    array([[[2., 2.],
            [0., 0.],
            [0., 0.]]])
    """
    shape = array_of("dropout2d", x).shape
    if len(shape) < 3:
        raise ShapeError(f"dropout2d: x {shape} needs the axes (N, C) and spatial axes; without these use dropout")
    return _dropped("dropout2d", x, dropout_ratio, rng, 2)


def stochastic_depth(x: Operand, dropout_ratio: float = 0.5, rng: RNG = None) -> Result:
    """`dropout` of examples: each example is set to 0 with probability ``dropout_ratio``, and otherwise divided by
    ``1 - dropout_ratio``. In test mode, returns ``x``.

    ``x``: (N, ...), the result of a residual branch. Examples for which it is 0 pass through a shallower network.

    Raises `ShapeError` for an x without axes, `ArgumentError` for a ratio outside 0 to 1, `DTypeError` for another
    type. Source: Huang et al., 2016, "Deep networks with stochastic depth".

    >>> import numpy as np
    >>> stochastic_depth(np.ones((3, 2)), 0.5, rng=3)
    array([[2., 2.],
           [0., 0.],
           [0., 0.]])
    """
    if not array_of("stochastic_depth", x).shape:
        raise ShapeError("stochastic_depth: x () needs an axis of examples, (N, ...); reshape it to (1,)")
    return _dropped("stochastic_depth", x, dropout_ratio, rng, 1)


def _dropped(name: str, x: Operand, dropout_ratio: float, rng: RNG, axes: int) -> Result:
    """Dropout with one random number per index of the first ``axes``."""
    ratio, shape = checked_fraction(name, "dropout_ratio", dropout_ratio), array_of(name, x).shape
    mask_shape = shape[:axes] + (1,) * (len(shape) - axes)
    return Dropout(ratio, get_rng(rng), mask_shape)(x) if train.get() and ratio else x
