"""Adaptive pooling to a given size, and global pooling to one number per channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array, backend_of
from passus.core import Operand, Result, upcast_inputs
from passus.errors import ShapeError
from passus.functions.arrays.extremes import max
from passus.functions.arrays.reductions import mean
from passus.functions.nn.pools import pooling
from passus.functions.nn.resizing import Resample
from passus.functions.nn.windows import image_shape, per_axis
from passus.kernels.resampling import Taps, window_taps

__all__ = ["adaptive_average_pooling", "adaptive_max_pooling", "global_average_pooling", "global_max_pooling"]


@upcast_inputs(1)
def adaptive_average_pooling(x: Operand, outsize: Any) -> Result:
    """The averages of ``outsize`` windows of similar size; window i is from ``floor(i H / OH)`` to
    ``ceil((i + 1) H / OH)``.

    ``x`` (N, C, H, W) gives (N, C, *outsize); likewise with one or three spatial axes. ``outsize``: one number, or one
    per axis. If H is no multiple of OH, neighbouring windows may overlap by one pixel.

    Raises `ShapeError` for images without pixels, `ArgumentError` for sizes below 1.
    Source: He et al., 2014, "Spatial pyramid pooling in deep convolutional networks for visual recognition".

    >>> import numpy as np
    >>> adaptive_average_pooling(np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]]]), 2)
    array([[[2., 4.]]])
    """
    shape, size = _sizes("adaptive_average_pooling", x, outsize)
    y: Any = x
    for axis, (n, out) in enumerate(zip(shape[2:], size), start=2):
        if n != out:
            starts, counts = _windows(n, out)
            indices, weights = window_taps(starts, counts)
            y = Resample(axis, Taps(indices, weights / counts[:, None]))(y)
    return y


def adaptive_max_pooling(x: Operand, outsize: Any, return_indices: bool = False) -> Result:
    """The maxima of the windows of `adaptive_average_pooling`. Of ties, the first gets the gradient.

    ``return_indices``: also return the indices of the maxima in H * W, as `pooling` does.

    Raises `ShapeError` for images without pixels, `ArgumentError` for sizes below 1.

    >>> import numpy as np
    >>> adaptive_max_pooling(np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]]]), 2)
    array([[[3., 5.]]])
    """
    shape, size = _sizes("adaptive_max_pooling", x, outsize)
    windows = [window_taps(*_windows(n, out)).indices for n, out in zip(shape[2:], size)]
    separate: Any = x
    for axis, (n, pixels) in enumerate(zip(shape[2:], windows), start=2):
        if n != pixels.size:  # Windows of equal size do not overlap.
            separate = Resample(axis, Taps(pixels.reshape(-1, 1), np.ones((pixels.size, 1), np.int8)))(separate)
    kernel = tuple([pixels.shape[1] for pixels in windows])
    y, indices = pooling(separate, kernel, kernel, return_indices=True)
    return (y, _original_indices(indices, windows, shape[2:])) if return_indices else y


def global_average_pooling(x: Operand, keepdims: bool = False) -> Result:
    """The average of each channel: (N, C, *size) to (N, C), or to (N, C, 1, 1) with ``keepdims``.

    Raises `ShapeError` for images without pixels. Source: Lin et al., 2014, "Network in network".

    >>> import numpy as np
    >>> global_average_pooling(np.array([[[[1.0, 2.0], [3.0, 6.0]]]]))
    array([[3.]])
    """
    return mean(x, _spatial_axes("global_average_pooling", x), keepdims)


def global_max_pooling(x: Operand, keepdims: bool = False) -> Result:
    """The maximum of each channel: (N, C, *size) to (N, C), or to (N, C, 1, 1) with ``keepdims``.

    Ties share the gradient evenly, as in `max`.

    Raises `ShapeError` for images without pixels.

    >>> import numpy as np
    >>> global_max_pooling(np.array([[[[1.0, 2.0], [3.0, 6.0]]]]))
    array([[6.]])
    """
    return max(x, _spatial_axes("global_max_pooling", x), keepdims)


def _sizes(name: str, x: Operand, outsize: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = _with_pixels(name, x)
    return shape, per_axis(name, "outsize", outsize, len(shape) - 2)


def _spatial_axes(name: str, x: Operand) -> tuple[int, ...]:
    """The spatial axes."""
    return tuple(range(2, len(_with_pixels(name, x))))


def _with_pixels(name: str, x: Operand) -> tuple[int, ...]:
    shape = image_shape(name, x)
    if 0 in shape[2:]:
        raise ShapeError(f"{name}: x {shape} has no pixels to choose from")
    return shape


def _windows(n: int, out: int) -> tuple[Array, Array]:
    """The start and length of each of ``out`` windows on an axis of length ``n``."""
    starts = np.arange(out) * n // out
    return starts, -(-np.arange(1, out + 1) * n // out) - starts


def _original_indices(indices: Array, windows: list[Array], size: tuple[int, ...]) -> Array:
    """The indices in images of this size, from indices in images of separate windows."""
    xp = backend_of(indices).xp
    positions = xp.unravel_index(indices, tuple([pixels.size for pixels in windows]))
    original: Any = 0
    for n, pixels, i in zip(size, windows, positions):
        original = original * n + xp.take(xp.asarray(pixels.ravel()), i)
    return original
