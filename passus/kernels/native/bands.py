"""Bands of an image: some rows with the border around them, in an array that stays in the processor's cache."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.layout import Sizes
from passus.kernels.native.compiling import FLAT, INTEGER, compiled, inlined
from passus.kernels.native.loops import for_vectors
from passus.kernels.native.simd import LANES, first_lanes, load, splat, store

__all__ = [
    "BAND",
    "IMAGES",
    "INTEGERS",
    "PIXELS_IN_FLOAT32",
    "Bands",
    "Window2d",
    "as_memory",
    "bands_of",
    "copy_band",
    "images_in_float32",
    "read_rows",
]

BAND = 32768
"""Numbers in a band: 128 KiB leave room for weights in the second-level cache."""

BAND_OUT = 2 * BAND
"""Numbers of the output that belong to a band; they are written once for each vector of channels."""

PIXELS_IN_FLOAT32 = 1 << 13
"""Pixels over which gradients of weights are summed in float32. These sums are added in float64."""

IMAGES = numba.types.Array(numba.float32, 4, "C", readonly=True)
"""(N, H, W, C) without gaps."""

INTEGERS = {n: numba.types.UniTuple(INTEGER, n) for n in (2, 3, 4, 5, 6)}
"""Tuples of integers, by their length."""


class Window2d(NamedTuple):
    """How a window moves over images with two axes of space.

    Output (r, q) and position (i, j) of the kernel belong to pixel
    ``(r * stride_h + i * dilation_h - pad_top, q * stride_w + j * dilation_w - pad_left)`` of the input.
    """

    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_top: int
    pad_left: int


class Bands(NamedTuple):
    """The division of images into bands."""

    width: int
    """Pixels in a row of a band."""
    rows: int
    """Maximum number of rows of output computed from one band."""
    size: int
    """Numbers in a band; 0 if the window never leaves the image, which is then read in place."""


@lru_cache(maxsize=1 << 10)
def bands_of(images: Sizes, out: Sizes, kernel: Sizes, window: Window2d) -> Bands:
    """The bands of images (N, H, W, C), for an output of ``out`` rows, columns and channels."""
    _, H, W, C = images
    (oh, ow, o), (kh, kw) = out, kernel
    width = (ow - 1) * window.stride_w + (kw - 1) * window.dilation_w + 1
    below = (kh - 1) * window.dilation_h  # Rows below the first one that a row of output needs.
    rows = max(1, min((BAND // (width * C) - below) // window.stride_h, BAND_OUT // max(1, ow * o)))
    if window.pad_top == window.pad_left == 0 and width <= W and (oh - 1) * window.stride_h + below < H:
        return Bands(width, rows, 0)
    return Bands(width, rows, ((min(rows, oh) - 1) * window.stride_h + below + 1) * width * C)


def images_in_float32(gy: Array) -> int:
    """Number of images (N, OH, OW, O) over which gradients of weights are summed in float32."""
    pixels: int = gy.shape[1] * gy.shape[2]
    return max(1, PIXELS_IN_FLOAT32 // max(1, pixels))


def as_memory(y: Array) -> tuple[Array, tuple[int, ...]]:
    """The memory of images (N, H, W, C) as a flat array; the index of the first number, and the steps between images, rows
    and pixels.
    """
    steps = [step // y.itemsize for step in y.strides[:3]]
    if y.flags.c_contiguous:
        return y.reshape(-1), (0, *steps)
    return y.base.reshape(-1), ((y.ctypes.data - y.base.ctypes.data) // y.itemsize, *steps)


@inlined
def read_rows(x: Any, band: Any, bands: Any, window: Any, kh: Any, n: Any, first: Any, rows: Any) -> Any:
    """The input of some rows of output of an image, from ``first`` on: a flat array, the index where it begins, and the
    distance of two rows in it. It is copied into the ``band`` if it has a border.
    """
    _, H, W, C = x.shape
    top = first * window.stride_h
    if not bands.size:
        source, begin, line = x.reshape(-1), (n * H + top) * W * C, W * C
    else:
        count = (rows - 1) * window.stride_h + (kh - 1) * window.dilation_h + 1
        copy_band(band, x, n, top - window.pad_top, count, window.pad_left, bands.width)
        source, begin, line = band, 0, bands.width * C
    return source, begin, line


@inlined
def _fill(band: Any, start: Any, count: Any) -> None:
    """Write zeros: a border is short, often shorter than a vector."""
    for i in range(start, start + count, LANES):
        store(band, i, splat(np.float32(0)), first_lanes(start + count - i))


@inlined
def _copy(arguments: Any, i: Any, lanes: Any) -> None:
    band, target, images, source = arguments
    store(band, target + i, load(images, source + i, lanes), lanes)


@compiled(numba.void(FLAT, IMAGES, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER), allocates=False)
def copy_band(band: Any, x: Any, n: Any, row: Any, rows: Any, left: Any, width: Any) -> None:
    """Copy rows of an image from ``row`` on, and columns from ``-left`` on, with zeros outside the image."""
    _, h, w, c = x.shape
    images = x.reshape(-1)
    # A window may be entirely in the border, on either side.
    before = min(max(0, left), width) * c
    interior = max(0, min(w, width - left) - max(0, -left)) * c
    after = width * c - before - interior
    for r in range(rows):
        line = r * width * c
        if not 0 <= row + r < h:
            _fill(band, line, width * c)
            continue
        _fill(band, line, before)
        target, source = line + before, ((n * h + row + r) * w + max(0, -left)) * c
        for_vectors(_copy, (band, target, images, source), interior)
        _fill(band, target + interior, after)
