"""Pooling to a given size, whatever that of the images: adaptive, and global, which leaves one number of each channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array
from passus.core import Operand, Result, widened
from passus.errors import ShapeError
from passus.functions.arrays.extremes import max
from passus.functions.arrays.reductions import mean
from passus.functions.nn.pools import pooling
from passus.functions.nn.resizing import Resample
from passus.functions.nn.windows import image_shape, per_axis
from passus.kernels.resampling import Taps, shares

__all__ = ["adaptive_average_pooling", "adaptive_max_pooling", "global_average_pooling", "global_max_pooling"]


@widened(1)
def adaptive_average_pooling(x: Operand, outsize: Any) -> Result:
    """The averages of ``outsize`` windows of about the same size: i begins at ``floor(i H / OH)``, ends at ``ceil((i + 1) H / OH)``.

    ``x`` (N, C, H, W) gives (N, C, *outsize); likewise with one or three axes of space. ``outsize``: one number, or one
    for each axis. Where H is no multiple of OH, neighbours may have a pixel in common.

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
            places, weights = shares(starts, counts)
            y = Resample(axis, Taps(places, weights / counts[:, None]))(y)
    return y


def adaptive_max_pooling(x: Operand, outsize: Any, return_indices: bool = False) -> Result:
    """The largest pixels of the windows of `adaptive_average_pooling`; of pixels that tie, the first gets the gradient.

    ``return_indices``: return as well where in H * W they were found, as `pooling` does.

    Raises `ShapeError` for images without pixels, `ArgumentError` for sizes below 1.

    >>> import numpy as np
    >>> adaptive_max_pooling(np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]]]), 2)
    array([[[3., 5.]]])
    """
    shape, size = _sizes("adaptive_max_pooling", x, outsize)
    places = [shares(*_windows(n, out)).places for n, out in zip(shape[2:], size)]
    spread: Any = x
    for axis, (n, pixels) in enumerate(zip(shape[2:], places), start=2):
        if n != pixels.size:  # Windows of equal length, which do not overlap, lie side by side as it is.
            spread = Resample(axis, Taps(pixels.reshape(-1, 1), np.ones((pixels.size, 1), np.int8)))(spread)
    kernel = tuple([pixels.shape[1] for pixels in places])
    y, indices = pooling(spread, kernel, kernel, return_indices=True)
    return (y, _found(indices, places, shape[2:])) if return_indices else y


def global_average_pooling(x: Operand, keepdims: bool = False) -> Result:
    """The average of each channel: (N, C, *size) to (N, C), or to (N, C, 1, 1) with ``keepdims``.

    Raises `ShapeError` for images without pixels. Source: Lin et al., 2014, "Network in network".

    >>> import numpy as np
    >>> global_average_pooling(np.array([[[[1.0, 2.0], [3.0, 6.0]]]]))
    array([[3.]])
    """
    return mean(x, _space("global_average_pooling", x), keepdims)


def global_max_pooling(x: Operand, keepdims: bool = False) -> Result:
    """The largest pixel of each channel: (N, C, *size) to (N, C), or to (N, C, 1, 1) with ``keepdims``.

    Pixels that tie share the gradient evenly, as in `max`.

    Raises `ShapeError` for images without pixels.

    >>> import numpy as np
    >>> global_max_pooling(np.array([[[[1.0, 2.0], [3.0, 6.0]]]]))
    array([[6.]])
    """
    return max(x, _space("global_max_pooling", x), keepdims)


def _sizes(name: str, x: Operand, outsize: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = _with_pixels(name, x)
    return shape, per_axis(name, "outsize", outsize, len(shape) - 2)


def _space(name: str, x: Operand) -> tuple[int, ...]:
    """The axes of space."""
    return tuple(range(2, len(_with_pixels(name, x))))


def _with_pixels(name: str, x: Operand) -> tuple[int, ...]:
    shape = image_shape(name, x)
    if 0 in shape[2:]:
        raise ShapeError(f"{name}: x {shape} has no pixels to choose from")
    return shape


def _windows(n: int, out: int) -> tuple[Array, Array]:
    """Where each of ``out`` windows on an axis of ``n`` begins, and how long it is."""
    starts = np.arange(out) * n // out
    return starts, -(-np.arange(1, out + 1) * n // out) - starts


def _found(indices: Array, places: list[Array], size: tuple[int, ...]) -> Array:
    """The indices in images of this size, from those in images where the windows lie side by side."""
    at = np.unravel_index(indices, [pixels.size for pixels in places])
    return np.ravel_multi_index([pixels.ravel()[i] for pixels, i in zip(places, at)], size)
