"""Layers that drop activations at random: each by itself, whole channels, or whole branches."""

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
    """Each element is set to 0 with probability ``dropout_ratio``, the others grow; the identity under `test_mode`.

    ``rng``: what is drawn with, instead of the current generator; its state is part of the layer's.

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
        # A seed means one sequence of masks, and not the same mask at each call.
        self.rng = None if rng is None else get_rng(rng)

    def forward(self, x: Operand) -> Result:
        return self.function(x, self.dropout_ratio, self.rng)


class Dropout2d(Dropout):
    """Each channel of each example, (N, C, ...), is set to 0 with probability ``dropout_ratio``, the others grow; the
    identity under `test_mode`. Otherwise as `Dropout`.

    Raises `ShapeError` for an input without axes of space.
    Source: Tompson et al., 2015, "Efficient object localization using convolutional networks".

    >>> import numpy as np
    >>> Dropout2d(0.5, rng=3)(np.ones((1, 3, 2)))
    array([[[2., 2.],
            [0., 0.],
            [0., 0.]]])
    """

    function = staticmethod(F.dropout2d)


class StochasticDepth(Dropout):
    """What a residual branch adds, (N, ...), is set to 0 for an example with probability ``dropout_ratio``, and grows
    for the others; the identity under `test_mode`. Otherwise as `Dropout`.

    Source: Huang et al., 2016, "Deep networks with stochastic depth".

    >>> import numpy as np
    >>> StochasticDepth(0.5, rng=3)(np.ones((3, 2)))
    array([[2., 2.],
           [0., 0.],
           [0., 0.]])
    """

    function = staticmethod(F.stochastic_depth)
