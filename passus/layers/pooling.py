"""Pooling as layers: each applies one function of `passus.functions`, where more is told about it.

They have no parameters, and take images with one, two or three axes of space.
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
    """The layer of `passus.functions.pooling`: the largest pixel of each window, (N, C, H, W) to (N, C, OH, OW).

    ``stride``: that of the function, but as large as the window by default, so that no two windows overlap.
    ``return_indices``: return as well where the pixels were found, for `MaxUnpooling`.

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
        self.forward(_smallest(type(self).__name__, kernel_size, self.stride, pad))

    def forward(self, x: Operand) -> Result:
        return F.pooling(x, self.kernel_size, self.stride, self.pad, self.ceil_mode, self.return_indices)


class MaxUnpooling(Layer):
    """The way back from `MaxPooling` of these options, by `passus.functions.unpooling`: (N, C, OH, OW) to (N, C, H, W).

    It is given the pixels and the indices that ``MaxPooling(..., return_indices=True)`` returns. Images of several sizes
    may lead to OH x OW; the result has the smallest, ``H = (OH - 1) * stride + KH - padding``. Indices count the pixels of
    images of one size: if these were not the smallest, give their size at the call, as ``outsize``.

    Raises `ShapeError` if the padding takes all of the image; otherwise as the function.

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
        F.pooling(_smallest("MaxUnpooling", kernel_size, self.stride, pad), kernel_size, self.stride, pad)

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
    """The layer of `passus.functions.average_pooling`: the average of each window, (N, C, H, W) to (N, C, OH, OW).

    ``stride``: that of the function, but as large as the window by default, so that no two windows overlap.

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
        self.forward(_smallest(type(self).__name__, kernel_size, self.stride, pad))

    def forward(self, x: Operand) -> Result:
        return F.average_pooling(x, self.kernel_size, self.stride, self.pad, self.ceil_mode, self.count_include_pad)


class AdaptiveAveragePooling(Layer):
    """The layer of `passus.functions.adaptive_average_pooling`: averages, (N, C, H, W) to (N, C, *outsize).

    >>> AdaptiveAveragePooling(7)(np.ones((2, 3, 32, 20))).shape
    (2, 3, 7, 7)
    """

    def __init__(self, outsize: Any) -> None:
        self.outsize = outsize
        self.forward(_smallest(type(self).__name__, outsize))

    def forward(self, x: Operand) -> Result:
        return F.adaptive_average_pooling(x, self.outsize)


class AdaptiveMaxPooling(Layer):
    """The layer of `passus.functions.adaptive_max_pooling`: what is largest, (N, C, H, W) to (N, C, *outsize).

    >>> AdaptiveMaxPooling((1, 4))(np.ones((2, 3, 32, 20))).shape
    (2, 3, 1, 4)
    """

    def __init__(self, outsize: Any) -> None:
        self.outsize = outsize
        self.forward(_smallest(type(self).__name__, outsize))

    def forward(self, x: Operand) -> Result:
        return F.adaptive_max_pooling(x, self.outsize)


class GlobalAveragePooling(Layer):
    """The layer of `passus.functions.global_average_pooling`: the average of each channel, (N, C, *size) to (N, C).

    >>> GlobalAveragePooling()(np.ones((2, 3, 8, 8))).shape
    (2, 3)
    """

    def __init__(self, keepdims: bool = False) -> None:
        self.keepdims = checked_flag(type(self).__name__, "keepdims", keepdims)

    def forward(self, x: Operand) -> Result:
        return F.global_average_pooling(x, self.keepdims)


class GlobalMaxPooling(Layer):
    """The layer of `passus.functions.global_max_pooling`: the largest pixel of each channel, (N, C, *size) to (N, C).

    >>> GlobalMaxPooling(keepdims=True)(np.ones((2, 3, 8, 8))).shape
    (2, 3, 1, 1)
    """

    def __init__(self, keepdims: bool = False) -> None:
        self.keepdims = checked_flag(type(self).__name__, "keepdims", keepdims)

    def forward(self, x: Operand) -> Result:
        return F.global_max_pooling(x, self.keepdims)


def _smallest(name: str, size: Any, *options: Any) -> Array:
    """No images, of the size of a window: given to the function by a layer that is made, to check the options."""
    axes = next((len(given) for given in (size, *options) if isinstance(given, (tuple, list))), 1)
    return np.zeros((0, 1, *per_axis(name, "kernel_size" if options else "outsize", size, axes)), np.float32)
