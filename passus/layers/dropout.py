"""Layers that drop elements, channels or residual branches at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import passus.functions as F
from passus.arguments import checked_number
from passus.core import Operand, Result
from passus.layers.base import Layer
from passus.random import RNG, get_rng

__all__ = ["Dropout", "Dropout2d", "StochasticDepth"]


class Dropout(Layer):
    """Set each element to 0 with probability ``dropout_ratio`` and scale the others; the identity under `test_mode`.

    ``rng``: a generator or seed to use instead of the current generator. The state of the generator is part of that of
    the layer.

    Raises `ArgumentError` for a ratio outside of [0, 1).
    Source: Srivastava et al., 2014, "Dropout".

    >>> import numpy as np
    >>> from passus.config import test_mode
    >>> with test_mode():
    ...     Dropout(0.5)(np.ones(3))
    array([1., 1., 1.])
    """

    function: ClassVar[Callable[..., Result]] = staticmethod(F.dropout)

    def __init__(self, dropout_ratio: float = 0.5, rng: RNG = None) -> None:
        self.dropout_ratio = checked_number(type(self).__name__, "dropout_ratio", dropout_ratio, 0.0, 1.0)
        # One generator for all calls: a seed must not give the same mask at each call.
        self.rng = None if rng is None else get_rng(rng)

    def forward(self, x: Operand) -> Result:
        return self.function(x, self.dropout_ratio, self.rng)


class Dropout2d(Dropout):
    """Set each channel of each example (N, C, ...) to 0 with probability ``dropout_ratio`` and scale the others; the
    identity under `test_mode`. Otherwise see `Dropout`.

    Raises `ShapeError` for an input without spatial axes.
    Source: Tompson et al., 2015, "Efficient object localization using convolutional networks".

    >>> import numpy as np
    >>> Dropout2d(0.5, rng=3)(np.ones((1, 3, 2)))
    array([[[2., 2.],
            [0., 0.],
            [0., 0.]]])
    """

    function = staticmethod(F.dropout2d)


class StochasticDepth(Dropout):
    """Set the result (N, ...) of a residual branch to 0 for each example with probability ``dropout_ratio``, and scale
    the others; the identity under `test_mode`. Otherwise see `Dropout`.

    Source: Huang et al., 2016, "Deep networks with stochastic depth".

    >>> import numpy as np
    >>> StochasticDepth(0.5, rng=3)(np.ones((3, 2)))
    array([[2., 2.],
           [0., 0.],
           [0., 0.]])
    """

    function = staticmethod(F.stochastic_depth)
