"""Pooling as layers: each applies one function of `passus.functions`, where more is told about it.

They have no parameters, and take images with one, two or three axes of space.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import passus.functions as F
from passus.backend import Array
from passus.core import Operand, Result
from passus.functions.windows import per_axis
from passus.layers.base import Layer

__all__ = [
    "AdaptiveAveragePooling",
    "AdaptiveMaxPooling",
    "AveragePooling",
    "GlobalAveragePooling",
    "GlobalMaxPooling",
    "MaxPooling",
]


class MaxPooling(Layer):
    """The layer of `passus.functions.pooling`: the largest pixel of each window, (N, C, H, W) to (N, C, OH, OW).

    ``stride``: that of the function, but as large as the window by default, so that no two windows overlap.

    >>> MaxPooling(2)(np.ones((2, 3, 8, 8))).shape
    (2, 3, 4, 4)
    """

    def __init__(self, kernel_size: Any, stride: Any = None, pad: Any = 0, ceil_mode: bool = False) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.pad, self.ceil_mode = pad, ceil_mode
        self.forward(_smallest(type(self).__name__, kernel_size, self.stride, pad))

    def forward(self, x: Operand) -> Result:
        return F.pooling(x, self.kernel_size, self.stride, self.pad, self.ceil_mode)


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
        self.pad, self.ceil_mode, self.count_include_pad = pad, ceil_mode, count_include_pad
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
        self.keepdims = keepdims

    def forward(self, x: Operand) -> Result:
        return F.global_average_pooling(x, self.keepdims)


class GlobalMaxPooling(Layer):
    """The layer of `passus.functions.global_max_pooling`: the largest pixel of each channel, (N, C, *size) to (N, C).

    >>> GlobalMaxPooling(keepdims=True)(np.ones((2, 3, 8, 8))).shape
    (2, 3, 1, 1)
    """

    def __init__(self, keepdims: bool = False) -> None:
        self.keepdims = keepdims

    def forward(self, x: Operand) -> Result:
        return F.global_max_pooling(x, self.keepdims)


def _smallest(name: str, size: Any, *options: Any) -> Array:
    """No images, of the size of a window: given to the function by a layer that is made, to check the options."""
    axes = next((len(given) for given in (size, *options) if isinstance(given, (tuple, list))), 1)
    return np.zeros((0, 1, *per_axis(name, "kernel_size" if options else "outsize", size, axes)), np.float32)
