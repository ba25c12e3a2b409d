"""Simple versions of functions, composed of elementary functions: for reading, and for comparison with the fast
ones.
"""

from __future__ import annotations

import numpy as np

from passus.core import Operand, Result, upcast_inputs
from passus.errors import named_in_errors
from passus.functions.arrays.arithmetic import add, div, neg, sub
from passus.functions.arrays.arrangement import pad as padded
from passus.functions.arrays.elementwise import exp, log, square
from passus.functions.arrays.extremes import max
from passus.functions.arrays.indexing import get_item
from passus.functions.arrays.products import linear
from passus.functions.arrays.reductions import mean, sum
from passus.functions.arrays.shapes import reshape, transpose
from passus.functions.checks import check_label_shape, check_labels, check_same_shape
from passus.functions.nn.patches import im2col
from passus.functions.nn.scores import expect_scores
from passus.functions.nn.windows import get_conv_outsize, image_and_kernel, image_shape, pair

__all__ = [
    "conv2d_simple",
    "mean_squared_error_simple",
    "pooling_simple",
    "sigmoid_simple",
    "softmax_cross_entropy_simple",
    "softmax_simple",
]


@named_in_errors
@upcast_inputs(1)
def sigmoid_simple(x: Operand) -> Result:
    """The logistic function, ``1 / (1 + exp(-x))``, like `sigmoid`; it overflows for large negative ``x``.

    >>> import numpy as np
    >>> sigmoid_simple(np.array([0.0, 1.0]))
    array([0.5       , 0.73105858])
    """
    return div(1, add(1, exp(neg(x))))


@named_in_errors
@upcast_inputs(1)
def softmax_simple(x: Operand, axis: int = 1) -> Result:
    """Softmax along an axis, ``exp(x) / sum(exp(x))``, like `softmax`.

    >>> import numpy as np
    >>> softmax_simple(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    e = exp(sub(x, max(x, axis=axis, keepdims=True)))
    return div(e, sum(e, axis=axis, keepdims=True))


@upcast_inputs(2)
def mean_squared_error_simple(x: Operand, t: Operand) -> Result:
    """The mean of ``(x - t)**2``, like `mean_squared_error`. Raises `ShapeError` for unequal shapes.

    >>> import numpy as np
    >>> mean_squared_error_simple(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    array(2.)
    """
    check_same_shape("mean_squared_error_simple", x, t)
    return mean(square(sub(x, t)))


@upcast_inputs(1)
def softmax_cross_entropy_simple(x: Operand, t: Operand) -> Result:
    """The mean of ``-log(softmax(x))`` at the labels, like `softmax_cross_entropy`; ``x``: (N, C), ``t``: (N,).

    >>> import numpy as np
    >>> softmax_cross_entropy_simple(np.array([[0.0, 0.0]]), np.array([1]))
    array(0.69314718)
    """
    expect_scores("softmax_cross_entropy_simple", x)
    classes = check_label_shape("softmax_cross_entropy_simple", x, t)
    labels = check_labels("softmax_cross_entropy_simple", t, classes)
    return neg(mean(log(get_item(softmax_simple(x), (np.arange(len(labels)), labels)))))


@named_in_errors
def conv2d_simple(
    x: Operand, W: Operand, b: Operand | None = None, stride: int | tuple[int, int] = 1, pad: int | tuple[int, int] = 0
) -> Result:
    """Convolution as a matrix product of the patches of ``x`` (N, C, H, W) and ``W`` (O, C, KH, KW), like `conv2d`.

    >>> import numpy as np
    >>> conv2d_simple(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    (N, _, *size), (OC, C, KH, KW) = image_and_kernel("conv2d_simple", 2, x, W)
    OH, OW = [get_conv_outsize(*option) for option in zip(size, (KH, KW), pair(stride), pair(pad))]
    rows = im2col(x, (KH, KW), stride, pad)
    y = linear(rows, transpose(reshape(W, (OC, C * KH * KW))), b)
    return transpose(reshape(y, (N, OH, OW, OC)), (0, 3, 1, 2))


@named_in_errors
@upcast_inputs(1)
def pooling_simple(
    x: Operand, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] = 1, pad: int | tuple[int, int] = 0
) -> Result:
    """Max pooling as the maximum of each patch of ``x`` (N, C, H, W), like `pooling`. Ties share the gradient evenly.

    >>> import numpy as np
    >>> pooling_simple(np.arange(9.0).reshape(1, 1, 3, 3), 2)
    array([[[[4., 5.],
             [7., 8.]]]])
    """
    N, C, *size = image_shape("pooling_simple", x, axes=2)
    (KH, KW), (PH, PW) = pair(kernel_size), pair(pad)
    OH, OW = [get_conv_outsize(*option) for option in zip(size, (KH, KW), pair(stride), (PH, PW))]
    rows = im2col(padded(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)), constant_values=-np.inf), (KH, KW), stride)
    y = max(reshape(rows, (N * OH * OW, C, KH * KW)), axis=2)
    return transpose(reshape(y, (N, OH, OW, C)), (0, 3, 1, 2))
