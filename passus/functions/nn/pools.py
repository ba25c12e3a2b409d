"""Max pooling and average pooling in windows that slide over signals, images and volumes, and unpooling.

The gradient of max pooling adds each number to the largest pixel of its window, and the gradient of that selects the largest
pixels: `PoolingGrad` and `PixelsAt` are each other's rule. So are `AveragePooling` and `AveragePoolingGrad`.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np

from passus.backend import Array, backend_of
from passus.core import HALF, INTEGERS, Operand, Result, Unary
from passus.errors import ArgumentError, ShapeError
from passus.functions.arrays.indexing import GetItemGrad
from passus.functions.arrays.selection import where
from passus.functions.arrays.shapes import ravel, reshape
from passus.functions.checks import array_of, check_labels
from passus.functions.nn.windows import Window, check_fit, image_shape, per_axis, window_of
from passus.kernels import pooling as kernels

__all__ = [
    "AveragePooling",
    "AveragePoolingGrad",
    "PixelsAt",
    "Pooling",
    "PoolingGrad",
    "average_pooling",
    "pooling",
    "unpooling",
]


class Pooling(Unary):
    def __init__(self, kernel: tuple[int, ...], window: Window) -> None:
        self.kernel, self.window = kernel, window

    def forward(self, x: Array) -> Array:
        y, self.positions = kernels.max_pooling(x, self.kernel, self.window.stride, self.window.padding)
        return y

    def backward(self, gy: Any) -> Any:
        return PoolingGrad(self.positions, self.operands[0].shape[2:], self.kernel, self.window)(gy)


class PoolingGrad(Unary):
    public_name = "pooling"
    upcast_dtypes = HALF

    def __init__(self, positions: Array, size: tuple[int, ...], kernel: tuple[int, ...], window: Window) -> None:
        self.positions, self.size, self.kernel, self.window = positions, size, kernel, window

    def forward(self, gy: Array) -> Array:
        stride, padding, _ = self.window
        return kernels.max_pooling_gradient(gy, self.positions, self.size, self.kernel, stride, padding)

    def backward(self, ggx: Any) -> Any:
        return PixelsAt(self.positions, self.kernel, self.window)(ggx)


class PixelsAt(Unary):
    public_name = "pooling"

    def __init__(self, positions: Array, kernel: tuple[int, ...], window: Window) -> None:
        self.positions, self.kernel, self.window = positions, kernel, window

    def forward(self, x: Array) -> Array:
        return kernels.pixels_at(self.positions, x, self.kernel, self.window.stride, self.window.padding)

    def backward(self, gy: Any) -> Any:
        return PoolingGrad(self.positions, self.operands[0].shape[2:], self.kernel, self.window)(gy)


class AveragePooling(Unary):
    upcast_dtypes = HALF + INTEGERS

    def __init__(self, kernel: tuple[int, ...], window: Window, divisor: Array) -> None:
        self.kernel, self.window, self.divisor = kernel, window, divisor

    def forward(self, x: Array) -> Array:
        return kernels.average_pooling(x, self.kernel, self.window.stride, self.window.padding, self.divisor)

    def backward(self, gy: Any) -> Any:
        return AveragePoolingGrad(self.operands[0].shape[2:], self.kernel, self.window, self.divisor)(gy)


class AveragePoolingGrad(Unary):
    public_name = "average_pooling"
    upcast_dtypes = HALF

    def __init__(self, size: tuple[int, ...], kernel: tuple[int, ...], window: Window, divisor: Array) -> None:
        self.size, self.kernel, self.window, self.divisor = size, kernel, window, divisor

    def forward(self, gy: Array) -> Array:
        stride, padding, _ = self.window
        return kernels.average_pooling_gradient(gy, self.size, self.kernel, stride, padding, self.divisor)

    def backward(self, ggx: Any) -> Any:
        return AveragePooling(self.kernel, self.window, self.divisor)(ggx)


def pooling(
    x: Operand,
    kernel_size: Any,
    stride: Any = 1,
    pad: Any = 0,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Result:
    """The largest pixel of each window, ``y[n, c, p, q] = max of x[n, c, sp + i, sq + j] over (i, j)``, x padded with -inf.

    ``x`` (N, C, H, W) gives (N, C, OH, OW), with stride s and ``OH = (H + padding - KH) // s + 1``; likewise with one or
    three axes of space. Of pixels that tie, the first one in row-major order gets the gradient; NaN is larger than all.

    ``kernel_size``, ``stride``: 1 or more, for all axes or one for each. ``pad``: 0 or more and less than the kernel,
    likewise; or as in `conv2d`. ``ceil_mode``: whether the last window may reach over the edge (OH is rounded up), as
    long as it begins before it. ``return_indices``: also return the indices of the pixels in H * W, integers of the shape of
    y, for `unpooling`.

    Raises `ShapeError` for a window that is larger than the padded images, `ArgumentError` for options out of range.
    Source: Ranzato et al., 2007, "Unsupervised learning of invariant feature hierarchies".

    >>> import numpy as np
    >>> pooling(np.array([[[[1.0, 2.0, 0.0, 3.0], [4.0, 3.0, 1.0, 1.0]]]]), 2, stride=2)
    array([[[[4., 3.]]]])
    """
    kernel, window = _windows("pooling", x, kernel_size, stride, pad)
    size = array_of("pooling", x).shape[2:]
    function = Pooling(kernel, _ceil_mode_window(size, kernel, window) if ceil_mode else window)
    y = function(x)
    return (y, _indices(function.positions, size, kernel, window)) if return_indices else y


def average_pooling(
    x: Operand,
    kernel_size: Any,
    stride: Any = 1,
    pad: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Result:
    """The average of each window, ``y[n, c, p, q] = sum of x[n, c, sp + i, sq + j] over (i, j) / count``, x padded with 0.

    Shapes and options are those of `pooling`. ``count``: number of pixels of the window, with the padding, or without it if
    ``count_include_pad`` is False; pixels beyond the edge that ``ceil_mode`` adds never count.

    Raises `ShapeError` for a window that is larger than the padded images, `ArgumentError` for options out of range.
    Source: LeCun et al., 1989, "Handwritten digit recognition with a back-propagation network".

    >>> import numpy as np
    >>> average_pooling(np.array([[[[1.0, 2.0, 0.0, 3.0], [4.0, 3.0, 1.0, 2.0]]]]), 2, stride=2)
    array([[[[2.5, 1.5]]]])
    """
    kernel, window = _windows("average_pooling", x, kernel_size, stride, pad)
    size = array_of("average_pooling", x).shape[2:]
    moves = _ceil_mode_window(size, kernel, window) if ceil_mode else window
    counted = window.padding if count_include_pad else ((0, 0),) * len(size)
    return AveragePooling(kernel, moves, _counts(size, kernel, moves, counted))(x)


def unpooling(x: Operand, indices: Operand, outsize: Any) -> Result:
    """Images of zeros with each number at its index: the inverse of max pooling, without the smaller pixels.

    ``x`` (N, C, *size) and integers ``indices`` of its shape, such as `pooling` returns, give (N, C, *outsize). An index
    counts pixels in row-major order. Of numbers with the same index, as overlapping windows give, the last one is
    used, and only it gets a gradient. ``outsize``: one number, or one for each axis.

    Raises `ShapeError` for other shapes, `DTypeError` if ``indices`` are not integers, `LabelError` for one out of
    range. Source: Zeiler and Fergus, 2014, "Visualizing and understanding convolutional networks".

    >>> import numpy as np
    >>> unpooling(np.array([[[5.0, 7.0]]]), np.array([[[1, 2]]]), 4)
    array([[[0., 5., 7., 0.]]])
    """
    shape = image_shape("unpooling", x)
    size = per_axis("unpooling", "outsize", outsize, len(shape) - 2)
    offsets = check_labels("unpooling", indices, math.prod(size), ("index", "pixels"))
    if offsets.shape != shape:
        raise ShapeError(f"unpooling: indices {offsets.shape} must have the shape of x, {shape}: one for each number")
    n, c = shape[:2]
    starts = backend_of(offsets).xp.arange(n * c).reshape(n, c, *[1] * len(size)) * math.prod(size)
    pixels, count = (starts + offsets).ravel(), n * c * math.prod(size)
    flat = GetItemGrad(pixels, (count,))(where(_is_last_occurrence(pixels, count), ravel(x), 0))
    return reshape(flat, (n, c, *size))


def _is_last_occurrence(pixels: Array, count: int) -> Array:
    """Whether each of some indices below ``count`` is the last one of its value."""
    backend = backend_of(pixels)
    numbers = backend.xp.arange(pixels.size)
    last = backend.maximum_at(backend.xp.zeros(count, backend.intp), pixels, numbers)
    return last[pixels] == numbers


def _windows(name: str, x: Operand, kernel_size: Any, stride: Any, pad: Any) -> tuple[tuple[int, ...], Window]:
    shape = image_shape(name, x)
    kernel = per_axis(name, "kernel_size", kernel_size, len(shape) - 2)
    window = window_of(name, shape[2:], kernel, stride, pad)
    if any(max(around) >= k for around, k in zip(window.padding, kernel)):
        raise ArgumentError(
            f"{name}: padding {window.padding} must be less than the kernel {kernel}: a window would meet no pixel"
        )
    check_fit(name, shape, kernel, window)
    return kernel, window


def _ceil_mode_window(size: tuple[int, ...], kernel: tuple[int, ...], window: Window) -> Window:
    """The window with enough padding after the image for the last window that begins inside and may reach over its edge."""
    padding = []
    for n, k, step, (before, after) in zip(size, kernel, window.stride, window.padding):
        last = min(-(-(n + before + after - k) // step), (n + before - 1) // step) * step
        padding.append((before, max(after, last + k - before - n)))
    return window._replace(padding=tuple(padding))


def _counts(size: tuple[int, ...], kernel: tuple[int, ...], window: Window, counted: Any) -> Array:
    """Number of pixels of each window in the images and the counted padding, (*out)."""
    lengths = []
    for n, k, step, (before, after), (low, high) in zip(size, kernel, window.stride, window.padding, counted):
        starts = np.arange(-before, n + after - k + 1, step)
        lengths.append(np.minimum(starts + k, n + high) - np.maximum(starts, -low))
    return reduce(np.multiply.outer, lengths)


def _indices(positions: Array, size: tuple[int, ...], kernel: tuple[int, ...], window: Window) -> Array:
    """The row-major indices in the images of the pixels at these positions in the windows."""
    xp, axes = backend_of(positions).xp, len(size)
    indices = 0
    for i, at in enumerate(xp.unravel_index(positions, kernel)):
        starts = xp.arange(positions.shape[2 + i]) * window.stride[i] - window.padding[i][0]
        indices = indices * size[i] + starts.reshape(-1, *[1] * (axes - 1 - i)) + at
    return indices
