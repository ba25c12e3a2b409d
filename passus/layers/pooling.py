"""Pooling layers. Each applies a function of `passus.functions`, which documents it.

They have no parameters, and take inputs with one, two or three spatial axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import passus.functions as F
from passus.arguments import checked_flag
from passus.backend import Array
from passus.core import Operand, Result
from passus.errors import ArgumentError, ShapeError
from passus.functions.nn.windows import image_shape, per_axis, window_of
from passus.layers.base import Layer

__all__ = [
    "AdaptiveAveragePooling",
    "AdaptiveMaxPooling",
    "AveragePooling",
    "GlobalAveragePooling",
    "GlobalMaxPooling",
    "MaxPooling",
    "MaxUnpooling",
]


class MaxPooling(Layer):
    """Applies `passus.functions.pooling`: the maximum of each window, (N, C, H, W) to (N, C, OH, OW).

    ``stride``: the size of the window by default, so that windows do not overlap.
    ``return_indices``: also return the indices of the maxima, for `MaxUnpooling`.

    >>> MaxPooling(2)(np.ones((2, 3, 8, 8))).shape
    (2, 3, 4, 4)
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        pad: Any = 0,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.pad, self.ceil_mode = pad, checked_flag("MaxPooling", "ceil_mode", ceil_mode)
        self.return_indices = checked_flag("MaxPooling", "return_indices", return_indices)
        self.forward(_empty_batch(type(self).__name__, kernel_size, self.stride, pad))

    def forward(self, x: Operand) -> Result:
        return F.pooling(x, self.kernel_size, self.stride, self.pad, self.ceil_mode, self.return_indices)


class MaxUnpooling(Layer):
    """The inverse of `MaxPooling` with the same options, by `passus.functions.unpooling`: (N, C, OH, OW) to (N, C, H,
    W).

    A call takes the maxima and indices that ``MaxPooling(..., return_indices=True)`` returns. Images of several sizes
    may pool to OH x OW; by default the result has the smallest size, ``H = (OH - 1) * stride + KH - padding``. If the
    images were larger, pass their size to the call as ``outsize``, because indices depend on it.

    Raises `ShapeError` if the padding covers the image, and the errors of the function.

    >>> y, indices = MaxPooling(2, return_indices=True)(np.array([[[1.0, 5.0, 2.0, 0.0, 9.0]]]))
    >>> MaxUnpooling(2)(y, indices)
    array([[[0., 5., 2., 0.]]])
    >>> MaxUnpooling(2)(y, indices, outsize=5).shape
    (1, 1, 5)
    """

    def __init__(self, kernel_size: Any, stride: Any = None, pad: Any = 0) -> None:
        if isinstance(pad, str):
            raise ArgumentError(f"MaxUnpooling: pad must be numbers, not {pad!r}; give outsize at the call instead")
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.pad = pad
        F.pooling(_empty_batch("MaxUnpooling", kernel_size, self.stride, pad), kernel_size, self.stride, pad)

    def forward(self, x: Operand, indices: Operand, outsize: Any = None) -> Result:
        return F.unpooling(x, indices, self._smallest_outsize(x) if outsize is None else outsize)

    def _smallest_outsize(self, x: Operand) -> tuple[int, ...]:
        size = image_shape("MaxUnpooling", x)[2:]
        kernel = per_axis("MaxUnpooling", "kernel_size", self.kernel_size, len(size))
        stride, padding, _ = window_of("MaxUnpooling", size, kernel, self.stride, self.pad)
        outsize = tuple([(n - 1) * s + k - sum(p) for n, k, s, p in zip(size, kernel, stride, padding)])
        if min(outsize) < 1:
            raise ShapeError(f"MaxUnpooling: images of {size} with padding {padding} leave {outsize}; use less padding")
        return outsize


class AveragePooling(Layer):
    """Applies `passus.functions.average_pooling`: the average of each window, (N, C, H, W) to (N, C, OH, OW).

    ``stride``: the size of the window by default, so that windows do not overlap.

    >>> AveragePooling((2, 4))(np.ones((2, 3, 8, 8))).shape
    (2, 3, 4, 2)
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        pad: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.pad, self.ceil_mode = pad, checked_flag("AveragePooling", "ceil_mode", ceil_mode)
        self.count_include_pad = checked_flag("AveragePooling", "count_include_pad", count_include_pad)
        self.forward(_empty_batch(type(self).__name__, kernel_size, self.stride, pad))

    def forward(self, x: Operand) -> Result:
        return F.average_pooling(x, self.kernel_size, self.stride, self.pad, self.ceil_mode, self.count_include_pad)


class AdaptiveAveragePooling(Layer):
    """Applies `passus.functions.adaptive_average_pooling`: the average of each window, (N, C, H, W) to (N, C,
    *outsize).

    >>> AdaptiveAveragePooling(7)(np.ones((2, 3, 32, 20))).shape
    (2, 3, 7, 7)
    """

    def __init__(self, outsize: Any) -> None:
        self.outsize = outsize
        self.forward(_empty_batch(type(self).__name__, outsize))

    def forward(self, x: Operand) -> Result:
        return F.adaptive_average_pooling(x, self.outsize)


class AdaptiveMaxPooling(Layer):
    """Applies `passus.functions.adaptive_max_pooling`: the maximum of each window, (N, C, H, W) to (N, C, *outsize).

    >>> AdaptiveMaxPooling((1, 4))(np.ones((2, 3, 32, 20))).shape
    (2, 3, 1, 4)
    """

    def __init__(self, outsize: Any) -> None:
        self.outsize = outsize
        self.forward(_empty_batch(type(self).__name__, outsize))

    def forward(self, x: Operand) -> Result:
        return F.adaptive_max_pooling(x, self.outsize)


class GlobalAveragePooling(Layer):
    """Applies `passus.functions.global_average_pooling`: the average of each channel, (N, C, *size) to (N, C).

    >>> GlobalAveragePooling()(np.ones((2, 3, 8, 8))).shape
    (2, 3)
    """

    def __init__(self, keepdims: bool = False) -> None:
        self.keepdims = checked_flag(type(self).__name__, "keepdims", keepdims)

    def forward(self, x: Operand) -> Result:
        return F.global_average_pooling(x, self.keepdims)


class GlobalMaxPooling(Layer):
    """Applies `passus.functions.global_max_pooling`: the maximum of each channel, (N, C, *size) to (N, C).

    >>> GlobalMaxPooling(keepdims=True)(np.ones((2, 3, 8, 8))).shape
    (2, 3, 1, 1)
    """

    def __init__(self, keepdims: bool = False) -> None:
        self.keepdims = checked_flag(type(self).__name__, "keepdims", keepdims)

    def forward(self, x: Operand) -> Result:
        return F.global_max_pooling(x, self.keepdims)


def _empty_batch(name: str, size: Any, *options: Any) -> Array:
    """An empty batch of images of the size of the window. Layers call their function with it to check the options."""
    axes = next((len(given) for given in (size, *options) if isinstance(given, (tuple, list))), 1)
    return np.zeros((0, 1, *per_axis(name, "kernel_size" if options else "outsize", size, axes)), np.float32)
