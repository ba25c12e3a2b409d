"""The patches of images under a sliding window as rows of a matrix, and images as sums of patches."""

from __future__ import annotations

import math
from typing import Any

from passus.backend import Array
from passus.core import HALF, Operand, Result, Unary
from passus.errors import ShapeError
from passus.functions.arrays.shapes import reshape, transpose
from passus.functions.checks import array_of
from passus.functions.nn.windows import Window, check_fit, out_size, per_axis, window_of
from passus.kernels import convolution as kernels

__all__ = ["Col2im", "Im2col", "col2im", "im2col"]


class Im2col(Unary):
    def __init__(self, kernel: tuple[int, ...], window: Window) -> None:
        self.kernel, self.window = kernel, window

    def forward(self, x: Array) -> Array:
        return kernels.im2col(x, self.kernel, *self.window)

    def backward(self, gy: Any) -> Any:
        return Col2im(self.operands[0].shape[2:], self.kernel, self.window)(gy)


class Col2im(Unary):
    upcast_dtypes = HALF

    def __init__(self, size: tuple[int, ...], kernel: tuple[int, ...], window: Window) -> None:
        self.size, self.kernel, self.window = size, kernel, window

    def forward(self, x: Array) -> Array:
        return kernels.col2im(x, self.size, *self.window)

    def backward(self, gy: Any) -> Any:
        return Im2col(self.kernel, self.window)(gy)


def im2col(
    x: Operand, kernel_size: Any, stride: Any = 1, pad: Any = 0, to_matrix: bool = True, dilation: Any = 1
) -> Result:
    """The patches of images under a sliding window: a row of a matrix for each position of the window.

    ``x`` (N, C, H, W) gives (N * OH * OW, C * KH * KW), or (N, C, KH, KW, OH, OW) if ``to_matrix`` is False; likewise
    with one or three axes of space. ``kernel_size``, ``stride``, ``dilation``: one number, or one for each axis; ``pad``:
    also as in `conv2d`; around the images are zeros.

    Raises `ShapeError` for a window that does not fit into the images, `ArgumentError` for numbers out of range.

    >>> import numpy as np
    >>> im2col(np.array([[[1.0, 2.0, 3.0]]]), 2)
    array([[1., 2.],
           [2., 3.]])
    """
    shape = array_of("im2col", x).shape
    kernel, out, window = _patches("im2col", shape, kernel_size, stride, pad, dilation)
    y = Im2col(kernel, window)(x)
    if not to_matrix:
        return y
    axes = len(out)
    order = (0, *range(2 + axes, 2 + 2 * axes), *range(1, 2 + axes))
    return reshape(transpose(y, order), (shape[0] * math.prod(out), shape[1] * math.prod(kernel)))


def col2im(
    x: Operand,
    input_shape: tuple[int, ...],
    kernel_size: Any,
    stride: Any = 1,
    pad: Any = 0,
    to_matrix: bool = True,
    dilation: Any = 1,
) -> Result:
    """Images in which each pixel is the sum of its copies in the patches that `im2col` makes: its transpose.

    ``x``: the patches, in the form that `im2col` gives with the same options; the result has ``input_shape``.

    Raises `ShapeError` for patches that are not those of images of this shape, or a window that does not fit into them.

    >>> import numpy as np
    >>> col2im(np.array([[1.0, 2.0], [2.0, 3.0]]), (1, 1, 3), 2)
    array([[[1., 4., 3.]]])
    """
    kernel, out, window = _patches("col2im", tuple(input_shape), kernel_size, stride, pad, dilation)
    n, c, *size = input_shape
    expected = (n * math.prod(out), c * math.prod(kernel)) if to_matrix else (n, c, *kernel, *out)
    if array_of("col2im", x).shape != expected:
        raise ShapeError(
            f"col2im: patches {array_of('col2im', x).shape} are not those of images {tuple(input_shape)}, which have the "
            f"shape {expected}"
        )
    if to_matrix:
        axes = len(out)
        order = (0, *range(1 + axes, 2 + 2 * axes), *range(1, 1 + axes))
        x = transpose(reshape(x, (n, *out, c, *kernel)), order)
    return Col2im(tuple(size), kernel, window)(x)


def _patches(
    name: str, shape: tuple[int, ...], kernel_size: Any, stride: Any, pad: Any, dilation: Any
) -> tuple[tuple[int, ...], tuple[int, ...], Window]:
    """The kernel, the number of patches along each axis, and the window."""
    if not 3 <= len(shape) <= 5:
        raise ShapeError(f"{name}: images {shape} need the axes (N, C, H, W), or one or three of space")
    kernel = per_axis(name, "kernel_size", kernel_size, len(shape) - 2)
    window = window_of(name, shape[2:], kernel, stride, pad, dilation)
    check_fit(name, shape, kernel, window)
    return kernel, out_size(shape[2:], kernel, window), window
