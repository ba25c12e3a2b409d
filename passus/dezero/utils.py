"""The names of DeZero's module ``utils``."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.core import Operand, Result, sum_to
from passus.datasets.download import cache_folder, get_file, show_progress
from passus.functions.arrays import extremes
from passus.functions.arrays.reductions import Axis
from passus.functions.nn.windows import get_conv_outsize, get_deconv_outsize, pair
from passus.testing import array_allclose, array_equal, gradient_check, numerical_grad
from passus.visualize import get_dot_graph, plot_dot_graph

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
"""The folder of downloaded files."""


def logsumexp(x: Operand, axis: Axis = 1) -> Result:
    """`passus.functions.logsumexp` with ``keepdims=True``.

    >>> import numpy as np
    >>> logsumexp(np.zeros((2, 1))).shape
    (2, 1)
    """
    return extremes.logsumexp(x, axis, keepdims=True)


def reshape_sum_backward(gy: Any, x_shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    """Reshape the gradient of a sum so that it broadcasts to ``x_shape``, with or without ``keepdims``.

    >>> import numpy as np
    >>> reshape_sum_backward(np.ones(2), (2, 3), axis=1, keepdims=False).shape
    (2, 1)
    """
    return gy.reshape(_reduced_shape(x_shape, axis))


def max_backward_shape(x: Any, axis: Axis) -> tuple[int, ...]:
    """The shape of ``x`` with length 1 for each reduced axis.

    >>> import numpy as np
    >>> max_backward_shape(np.ones((2, 3)), axis=-1)
    (2, 1)
    """
    return _reduced_shape(x.shape, axis)


def _reduced_shape(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    empty = np.broadcast_to(False, shape)  # An array of this shape that takes no memory.
    reduced: tuple[int, ...] = np.any(empty, axis=axis, keepdims=True).shape
    return reduced
