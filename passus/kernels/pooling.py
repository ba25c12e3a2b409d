"""Pooling in array code: one pass over the images for each place in the window.

Images are (N, C, *size) with one to three axes of space. ``stride`` holds a number for each of them, ``padding`` a pair
(before, after); every window meets at least one pixel of the image. Results have their channels last in memory;
arguments may lie in memory in any way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from passus.backend import Array, backend_of
from passus.kernels.dispatch import enough
from passus.kernels.dispatch import kernel as with_kernel
from passus.kernels.elementwise import masked
from passus.kernels.layout import (
    Padding,
    Sizes,
    blank,
    channels_last,
    channels_last_in_memory,
    channels_second,
    inside,
    meetings,
    padded,
)

__all__ = ["average_pooling", "average_pooling_gradient", "max_pooling", "max_pooling_gradient", "pixels_at"]


WORTHWHILE = 1 << 9, 1 << 15
"""From how many pixels on a kernel is worth it, and from how many on the first one is."""


def _suits(x: Array, kernel: Sizes, met: int) -> bool:
    return type(x) is np.ndarray and x.dtype == np.float32 and enough(met, *WORTHWHILE) and len(kernel) == 2


def _suits_places(kernel: Sizes) -> bool:
    return math.prod(kernel) <= 256  # They are bytes.


def _suits_gradient(gy: Array, places: Array, size: Sizes, kernel: Sizes, *_: Any) -> bool:
    suits = type(places) is np.ndarray and _suits_places(kernel)
    return suits and _suits(gy, kernel, gy.size * math.prod(kernel))


@with_kernel(lambda x, kernel, *_: _suits_places(kernel) and _suits(x, kernel, x.size))
def max_pooling(x: Array, kernel: Sizes, stride: Sizes, padding: Padding) -> tuple[Array, Array]:
    """The largest pixel of each window (N, C, *out), and its place: row-major in the window, the first of those that tie.

    NaN is larger than any number. Around the images lies what is smaller than any pixel.
    """
    xp, out = backend_of(x).xp, _out(x.shape[2:], kernel, stride, padding)
    x = _surrounded(channels_last_in_memory(x), padding)
    windows = _passes(kernel, stride, out)
    _, pixels = next(windows)
    y = x[pixels]
    places = xp.broadcast_to(_first_inside(kernel, stride, padding, out), y.shape)
    for place, pixels in windows:
        met = x[pixels]
        larger = met > y if x.dtype.kind != "f" else (met > y) | (met != met)
        y, places = xp.maximum(y, met), xp.maximum(places, larger * place)  # Later places have higher numbers.
    return y, places


@with_kernel(_suits_gradient)
def max_pooling_gradient(
    gy: Array, places: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding
) -> Array:
    """The images (N, C, *size) in which each ``gy`` (N, C, *out) is added to the pixel at its place in the window."""
    backend = backend_of(gy)
    images = blank(gy, gy.shape[1:2], size, padding)
    for place, pixels in _passes(kernel, stride, gy.shape[2:]):
        images = backend.add_at(images, pixels, masked(gy, places == place))
    return images[inside(size, padding)]


def pixels_at(places: Array, x: Array, kernel: Sizes, stride: Sizes, padding: Padding) -> Array:
    """The pixels of ``x`` at these places in the windows, (N, C, *out): the transpose of `max_pooling_gradient`."""
    x = padded(channels_last_in_memory(x), padding)
    windows = _passes(kernel, stride, places.shape[2:])
    return sum(masked(x[pixels], places == place) for place, pixels in windows)


@with_kernel(lambda x, kernel, *_: _suits(x, kernel, x.size))
def average_pooling(x: Array, kernel: Sizes, stride: Sizes, padding: Padding, divisor: Any) -> Array:
    """The sum of each window, with zeros around the images, divided by ``divisor``, a number or (*out)."""
    out = _out(x.shape[2:], kernel, stride, padding)
    x = padded(channels_last_in_memory(x), padding)
    total = sum(x[pixels] for _, pixels in _passes(kernel, stride, out))
    return total / backend_of(x).xp.asarray(divisor, x.dtype)


@with_kernel(lambda gy, size, kernel, *_: _suits(gy, kernel, gy.size * math.prod(kernel)))
def average_pooling_gradient(
    gy: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, divisor: Any
) -> Array:
    """The gradient (N, C, *size) for the images: each pixel gets a share from every window that meets it."""
    backend = backend_of(gy)
    share = gy / backend.xp.asarray(divisor, gy.dtype)
    images = blank(gy, gy.shape[1:2], size, padding)
    for _, pixels in _passes(kernel, stride, gy.shape[2:]):
        images = backend.add_at(images, pixels, share)
    return images[inside(size, padding)]


def _out(size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding) -> Sizes:
    """How many windows there are along each axis."""
    lengths = [n + before + after for n, (before, after) in zip(size, padding)]
    return tuple([(n - k) // step + 1 for n, k, step in zip(lengths, kernel, stride)])


def _passes(kernel: Sizes, stride: Sizes, out: Sizes) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The number of each place in the window, as small an integer as holds it, and the pixels that it meets."""
    dtype = _dtype_of_places(kernel)
    for number, (_, pixels) in enumerate(meetings(kernel, stride, (1,) * len(kernel), out)):
        yield dtype.type(number), pixels


def _dtype_of_places(kernel: Sizes) -> np.dtype[Any]:
    return np.min_scalar_type(math.prod(kernel) - 1)


def _first_inside(kernel: Sizes, stride: Sizes, padding: Padding, out: Sizes) -> Array:
    """The first place in each window that is not on padding, (*out): that of a window in which nothing is larger."""
    places = np.zeros((), _dtype_of_places(kernel))
    for k, step, (before, _), n in zip(kernel, stride, padding, out):
        first = np.maximum(before - step * np.arange(n), 0)
        places = (places[..., None] * k + first).astype(places.dtype)
    return places


def _surrounded(x: Array, padding: Padding) -> Array:
    """The images with the smallest number of their dtype around them; ``x`` itself if there is no padding."""
    if not any(map(any, padding)):
        return x
    widths = ((0, 0), *padding, (0, 0))
    return channels_second(backend_of(x).xp.pad(channels_last(x), widths, constant_values=_smallest(x.dtype)))


def _smallest(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "f":
        return -np.inf
    return np.iinfo(dtype).min if dtype.kind in "iu" else False
