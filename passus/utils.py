"""The names that DeZero keeps in ``utils``, from where they live here."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.core import Operand, Result
from passus.core import sum_to as sum_to
from passus.datasets.download import cache_folder
from passus.datasets.download import get_file as get_file
from passus.datasets.download import show_progress as show_progress
from passus.functions.arrays import extremes
from passus.functions.arrays.reductions import Axis
from passus.functions.nn.windows import get_conv_outsize as get_conv_outsize
from passus.functions.nn.windows import get_deconv_outsize as get_deconv_outsize
from passus.functions.nn.windows import pair as pair
from passus.testing import array_allclose as array_allclose
from passus.testing import array_equal as array_equal
from passus.testing import gradient_check as gradient_check
from passus.testing import numerical_grad as numerical_grad
from passus.visualize import get_dot_graph as get_dot_graph
from passus.visualize import plot_dot_graph as plot_dot_graph

__all__ = [
    "array_allclose",
    "array_equal",
    "cache_dir",
    "get_conv_outsize",
    "get_deconv_outsize",
    "get_dot_graph",
    "get_file",
    "gradient_check",
    "logsumexp",
    "max_backward_shape",
    "numerical_grad",
    "pair",
    "plot_dot_graph",
    "reshape_sum_backward",
    "show_progress",
    "sum_to",
]

cache_dir = str(cache_folder())
"""Where downloads are kept."""


def logsumexp(x: Operand, axis: Axis = 1) -> Result:
    """`passus.functions.logsumexp` with the reduced axes kept.

    >>> import numpy as np
    >>> logsumexp(np.zeros((2, 1))).shape
    (2, 1)
    """
    return extremes.logsumexp(x, axis, keepdims=True)


def reshape_sum_backward(gy: Any, x_shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    """The gradient of a sum in a shape that broadcasts to that of ``x``, whether the sum kept its axes or not.

    >>> import numpy as np
    >>> reshape_sum_backward(np.ones(2), (2, 3), axis=1, keepdims=False).shape
    (2, 1)
    """
    return gy.reshape(_kept(x_shape, axis))


def max_backward_shape(x: Any, axis: Axis) -> tuple[int, ...]:
    """The shape of ``x`` with the reduced axes kept with length 1.

    >>> import numpy as np
    >>> max_backward_shape(np.ones((2, 3)), axis=-1)
    (2, 1)
    """
    return _kept(x.shape, axis)


def _kept(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    nothing = np.broadcast_to(False, shape)  # An array of this shape that takes no memory.
    kept: tuple[int, ...] = np.any(nothing, axis=axis, keepdims=True).shape
    return kept
