"""Pooling in array code: one pass over the images for each position in the window.

Images are (N, C, *size) with one to three axes of space. ``stride`` holds a number for each of them, ``padding`` a pair
(before, after); every window contains at least one pixel of the image. Results have their channels last in memory;
arguments may have any strides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from passus.backend import Array, backend_of
from passus.kernels.dispatch import kernel as with_kernel
from passus.kernels.dispatch import plain_float32, worth_kernel
from passus.kernels.elementwise import masked
from passus.kernels.layout import (
    Padding,
    Sizes,
    channels_last,
    channels_last_in_memory,
    channels_second,
    interior,
    padded,
    window_counts,
    window_positions,
    zero_images,
)
from passus.kernels.sums import MAX_SEQUENTIAL

__all__ = ["average_pooling", "average_pooling_gradient", "max_pooling", "max_pooling_gradient", "pixels_at"]


THRESHOLDS = 1 << 9, 1 << 15
"""Number of pixels from which a kernel is worth its call: after the first use of a kernel, and before."""


def _suits(x: Array, kernel: Sizes, stride: Sizes, padding: Padding, *_: Any) -> bool:
    if not plain_float32(x) or not worth_kernel(x.size, *THRESHOLDS) or x.ndim != 4:
        return False
    return window_counts(x.shape[2:], kernel, stride, padding) != () and _windows_contain_pixels(kernel, padding)


def _gradient_suits(gy: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, *_: Any) -> bool:
    if not plain_float32(gy) or not worth_kernel(gy.size * math.prod(kernel), *THRESHOLDS) or gy.ndim != 4:
        return False
    return window_counts(size, kernel, stride, padding) == gy.shape[2:] and _windows_contain_pixels(kernel, padding)


def _windows_contain_pixels(kernel: Sizes, padding: Padding) -> bool:
    """Whether each window contains a pixel of the image, as the kernels assume."""
    return all(0 <= before < k and 0 <= after < k for k, (before, after) in zip(kernel, padding))


def _suits_max(x: Array, kernel: Sizes, stride: Sizes, padding: Padding) -> bool:
    return _suits(x, kernel, stride, padding) and math.prod(kernel) <= 256  # Positions are bytes.


def _suits_average(x: Array, kernel: Sizes, stride: Sizes, padding: Padding, divisor: Any) -> bool:
    return _suits(x, kernel, stride, padding) and max(kernel) <= MAX_SEQUENTIAL


def _average_gradient_suits(
    gy: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, divisor: Any
) -> bool:
    windows_per_pixel = math.prod([-(-k // step) for k, step in zip(kernel, stride)])
    return windows_per_pixel <= MAX_SEQUENTIAL and _gradient_suits(gy, size, kernel, stride, padding)


def _max_gradient_suits(
    gy: Array, positions: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding
) -> bool:
    if not _gradient_suits(gy, size, kernel, stride, padding) or type(positions) is not np.ndarray:
        return False
    return bool(positions.dtype == np.uint8 and positions.shape == gy.shape)


@with_kernel(_suits_max)
def max_pooling(x: Array, kernel: Sizes, stride: Sizes, padding: Padding) -> tuple[Array, Array]:
    """The largest pixel of each window (N, C, *out), and its position in the window, in row-major order; the first one of equal pixels.

    NaN is larger than any number. The padding is smaller than any pixel.
    """
    xp, out = backend_of(x).xp, window_counts(x.shape[2:], kernel, stride, padding)
    x = _padded_with_smallest(channels_last_in_memory(x), padding)
    windows = _passes(kernel, stride, out)
    _, pixels = next(windows)
    y = x[pixels]
    positions = xp.broadcast_to(_first_inside(kernel, stride, padding, out), y.shape)
    for position, pixels in windows:
        candidates = x[pixels]
        larger = candidates > y if x.dtype.kind != "f" else (candidates > y) | (candidates != candidates)
        y, positions = (
            xp.maximum(y, candidates),
            xp.maximum(positions, larger * position),
        )  # Later positions have higher numbers.
    return y, positions


@with_kernel(_max_gradient_suits)
def max_pooling_gradient(
    gy: Array, positions: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding
) -> Array:
    """The images (N, C, *size) in which each ``gy`` (N, C, *out) is added to the pixel at its position in the window."""
    backend = backend_of(gy)
    images = zero_images(gy, gy.shape[1:2], size, padding)
    for position, pixels in _passes(kernel, stride, gy.shape[2:]):
        images = backend.add_at(images, pixels, masked(gy, positions == position))
    return images[interior(size, padding)]


def pixels_at(positions: Array, x: Array, kernel: Sizes, stride: Sizes, padding: Padding) -> Array:
    """The pixels of ``x`` at these positions in the windows, (N, C, *out): the transpose of `max_pooling_gradient`."""
    x = padded(channels_last_in_memory(x), padding)
    windows = _passes(kernel, stride, positions.shape[2:])
    return sum(masked(x[pixels], positions == position) for position, pixels in windows)


@with_kernel(_suits_average)
def average_pooling(x: Array, kernel: Sizes, stride: Sizes, padding: Padding, divisor: Any) -> Array:
    """The sum of each window, with zeros around the images, divided by ``divisor``, a number or (*out)."""
    out = window_counts(x.shape[2:], kernel, stride, padding)
    x = padded(channels_last_in_memory(x), padding)
    xp, dtype = backend_of(x).xp, _dtype_of_sums(x, kernel)
    total = sum(x[pixels].astype(dtype, copy=False) for _, pixels in _passes(kernel, stride, out))
    return (total / xp.asarray(divisor, dtype)).astype(x.dtype, copy=False)


@with_kernel(_average_gradient_suits)
def average_pooling_gradient(
    gy: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, divisor: Any
) -> Array:
    """The gradient (N, C, *size) for the images: each pixel gets a share from every window that contains it."""
    backend = backend_of(gy)
    share = gy / backend.xp.asarray(divisor, gy.dtype)
    images = zero_images(share.astype(_dtype_of_sums(gy, kernel), copy=False), gy.shape[1:2], size, padding)
    for _, pixels in _passes(kernel, stride, gy.shape[2:]):
        images = backend.add_at(images, pixels, share)
    return images[interior(size, padding)].astype(gy.dtype, copy=False)


def _passes(kernel: Sizes, stride: Sizes, out: Sizes) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The number of each position in the window, in the smallest integer dtype, and its pixels in all windows."""
    dtype = _dtype_of_positions(kernel)
    for number, (_, pixels) in enumerate(window_positions(kernel, stride, (1,) * len(kernel), out)):
        yield dtype.type(number), pixels


def _dtype_of_sums(x: Array, kernel: Sizes) -> Any:
    """The dtype in which the numbers of a window are added, one after the other."""
    return backend_of(x).wide(x.dtype) if math.prod(kernel) > MAX_SEQUENTIAL else x.dtype


def _dtype_of_positions(kernel: Sizes) -> np.dtype[Any]:
    return np.min_scalar_type(math.prod(kernel) - 1)


def _first_inside(kernel: Sizes, stride: Sizes, padding: Padding, out: Sizes) -> Array:
    """The first position in each window that is not padding, (*out): the result for a window in which no pixel is larger."""
    positions = np.zeros((), _dtype_of_positions(kernel))
    for k, step, (before, _), n in zip(kernel, stride, padding, out):
        first = np.maximum(before - step * np.arange(n), 0)
        positions = (positions[..., None] * k + first).astype(positions.dtype)
    return positions


def _padded_with_smallest(x: Array, padding: Padding) -> Array:
    """The images with the smallest number of their dtype around them; ``x`` itself if there is no padding."""
    if not any(map(any, padding)):
        return x
    widths = ((0, 0), *padding, (0, 0))
    return channels_second(backend_of(x).xp.pad(channels_last(x), widths, constant_values=_smallest(x.dtype)))


def _smallest(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "f":
        return -np.inf
    return np.iinfo(dtype).min if dtype.kind in "iu" else False
