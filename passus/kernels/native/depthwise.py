"""Depthwise convolution in float32: channels last, one vector of channels at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.layout import Sizes
from passus.kernels.native.bands import (
    BAND,
    IMAGES,
    INTEGERS,
    Bands,
    Window2d,
    as_memory,
    bands_of,
    copy_band,
    images_in_float32,
    read_rows,
)
from passus.kernels.native.buffers import aligned
from passus.kernels.native.compiling import FLAT, INTEGER, READ, Kernel, compiled, inlined
from passus.kernels.native.limits import ENDING, Ending, Plan, end_rows
from passus.kernels.native.loops import for_vectors
from passus.kernels.native.pointers import At
from passus.kernels.native.processor import rows_of_tile
from passus.kernels.native.simd import LANES, prefetch_to_write
from passus.kernels.native.slide import SlideSteps, slide_back, slide_sum, slide_tile
from passus.kernels.native.works import New, Work
from passus.kernels.threads import split, summed

__all__ = ["depthwise_gradient", "depthwise_input_gradient", "depthwise_plan", "prepare", "suits_sliding_gradient"]

PIECE = 1 << 18
"""Multiplications that are worth a thread; each of them loads a number from memory."""

TILE = 8
"""Pixels of the gradient for the images that are computed at a time."""

CACHED_NUMBERS = 1 << 12
"""Numbers of the gradient, in one vector of channels, that are processed for all rows of the kernel before the next ones: they
stay in the first-level cache.
"""

NO_BIAS = np.zeros(LANES, np.float32)
"""The bias of a gradient."""

WIDTHS = {3: (112, 56, 28, 14, 7), 5: (28, 14, 7)}
"""Pixels in a row of results, by the width of the kernel, in the models of passus, for images of 224 x 224 pixels."""


def prepare() -> None:
    """Declare the kernels for the models of passus: of strides 1 and 2, padded evenly or more at the end."""
    for kw, widths in WIDTHS.items():
        for stride in (1, 2):
            for P in sorted({rows_of_tile(width, 1) for width in widths}):
                _depthwise(P, kw, stride, 1)
            _depthwise_gradient(kw, stride, 1)
        for shift in (0, 1):
            _depthwise_input_gradient(TILE, kw, 2, 1, shift)


def depthwise_plan(size: Sizes, out: Sizes, W: Array, b: Array | None, window: Window2d) -> Plan:
    """A convolution of images (N, H, W, C) to (N, OH, OW, C), with weights (C, KH, KW)."""
    n, oh, ow, c = out
    kernel = W.shape[1:]
    w = np.ascontiguousarray(W.transpose(1, 2, 0)).reshape(-1)
    bias = np.zeros(c, np.float32) if b is None else np.ascontiguousarray(b)
    convolution = _depthwise(rows_of_tile(ow, 1), kernel[1], window.stride_w, window.dilation_w)
    bands = bands_of(size, (oh, ow, c), kernel, window)
    sizes = (oh, ow), kernel[0], tuple(window), tuple(bands)
    piece = PIECE // (1 + ow * c * math.prod(kernel))

    def depthwise(y: Array, x: Array, ending: Ending, new: New) -> list[Work]:
        return [Work(convolution, (x, w, bias, *as_memory(y), *sizes, *ending), n * oh, piece, bands.size)]

    return depthwise


def suits_sliding_gradient(window: Window2d, width: int) -> bool:
    """Whether `depthwise_input_gradient` suits images of this width: each tile begins at the same position of the kernel."""
    stride = window.stride_w
    return window.stride_h * stride > 1 and stride <= TILE and width % stride == 0


def depthwise_input_gradient(gx: Array, gy: Array, W: Array, window: Window2d) -> None:
    """Write the gradient for the images to gx (N, H, W, C), from gy (N, OH, OW, C) and W (C, KH, KW)."""
    n, height, width, c = gx.shape
    (kh, kw), stride = W.shape[1:], window.stride_w
    w = np.ascontiguousarray(W.transpose(1, 2, 0)).reshape(-1)
    tile = min(TILE // stride * stride, width)
    gradient = _depthwise_input_gradient(tile, kw, stride, window.dilation_w, window.pad_left % stride)
    every = window.stride_h // math.gcd(window.stride_h, window.dilation_h)
    bands = _bands_of_gradient(width, c, (kh, kw), window)
    sizes = (height, width), (kh, every, _first_column(kw, window)), tuple(window), tuple(bands)

    def work(start: int, stop: int) -> None:
        gradient(gy, w, gx.reshape(-1), aligned(bands.size), NO_BIAS, *sizes, start, stop)

    split(work, n * height, PIECE // (1 + gy.shape[2] * c * kh * kw // window.stride_h))


def _first_column(kw: int, window: Window2d) -> int:
    """The first column of gy that pixels of the image need; it may be negative."""
    return (window.pad_left - (kw - 1) * window.dilation_w) // window.stride_w


def _bands_of_gradient(width: int, c: int, kernel: Sizes, window: Window2d) -> Bands:
    """The division of gy into bands, each of which is read for some rows of the gradient for the images."""
    columns = (width - 1 + window.pad_left) // window.stride_w - _first_column(kernel[1], window) + 1
    above = (kernel[0] - 1) * window.dilation_h
    rows = max(1, (BAND // (columns * c) - 2) * window.stride_h - above)
    return Bands(columns, rows, ((rows + above) // window.stride_h + 2) * columns * c)


def depthwise_gradient(x: Array, gy: Array, kernel: Sizes, window: Window2d) -> Array:
    """The gradient (C, KH, KW) for the weights."""
    c = x.shape[3]
    gradient = _depthwise_gradient(kernel[1], window.stride_w, window.dilation_w)
    bands = bands_of(x.shape, gy.shape[1:], kernel, window)
    sizes = kernel[0], tuple(window), tuple(bands)

    def add_to(total: Array, start: int, stop: int) -> None:
        gradient(x, gy, total, aligned(bands.size), *sizes, start, stop)

    total = summed(
        add_to,
        lambda: np.zeros(math.prod(kernel) * c, np.float32),
        len(x),
        PIECE // (1 + math.prod(gy.shape[1:]) * math.prod(kernel)),
        images_in_float32(gy),
    )
    return total.reshape(*kernel, c).transpose(2, 0, 1)


@inlined
def _prefetch_row(y: Any, begin: Any, pixels: Any) -> None:
    """Prefetch the next row that is written, a vector for each pixel: the processor cannot predict such wide steps."""
    for line in range(begin, begin + pixels * LANES, LANES):
        prefetch_to_write(y, line)


@inlined
def _slide_along_row(arguments: Any, c: Any, lanes: Any) -> None:
    """One row of output, in a vector of channels."""
    sizes, stride, bias, source, a, w, kh, steps, y, t, row, ow = arguments
    _prefetch_row(y, t + row + c * ow, ow)
    for q0 in range(0, ow, sizes[0]):
        q = min(q0, ow - sizes[0])
        start, target = a + c + q * stride * steps.pixel, t + c + q * steps.c_pixel
        slide_tile(sizes, lanes, At(bias, c), At(source, start), At(w, c), kh, steps, At(y, target))


@cache
def _depthwise(P: int, kw: int, stride: int, dilation: int) -> Kernel:
    """The convolution of P pixels at a time, for kernels of this width, stride and dilation along a row."""
    six, four, three, two = (INTEGERS[n] for n in (6, 4, 3, 2))

    @compiled(
        numba.void(IMAGES, READ, READ, FLAT, four, two, INTEGER, six, three, *ENDING, FLAT, INTEGER, INTEGER),
        allocates=False,
    )
    def depthwise(
        x: Any,
        w: Any,
        bias: Any,
        y: Any,
        memory: Any,
        out: Any,
        kh: Any,
        window: Any,
        bands: Any,
        added: Any,
        low: Any,
        high: Any,
        band: Any,
        start: Any,
        stop: Any,
    ) -> None:
        """Rows of output from ``start`` to ``stop``, those of all images counted together."""
        C, window, bands = x.shape[3], Window2d(*window), Bands(*bands)
        (origin, image, row, pixel), (oh, ow) = memory, out
        at = start
        while at < stop:
            n, r0 = at // oh, at % oh
            rows = min(bands.rows, oh - r0, stop - at)
            source, begin, line = read_rows(x, band, bands, window, kh, n, r0, rows)
            steps = SlideSteps(window.dilation_h * line, kw * C, C, pixel)
            for r in range(rows):
                a, t = begin + r * window.stride_h * line, origin + n * image + (r0 + r) * row
                sizes = (P, kw, stride, dilation)
                for_vectors(_slide_along_row, (sizes, stride, bias, source, a, w, kh, steps, y, t, row, ow), C)
            end_rows(y, added, low, high, at * ow * C, (at + rows) * ow * C)
            at += rows

    return depthwise


@inlined
def _slide_back_along_row(arguments: Any, c: Any, lanes: Any) -> None:
    """One row of the gradient for the images, in a vector of channels."""
    sizes, stride, nothing, gy, a, w, b, rows, steps, gx, t, width = arguments
    _prefetch_row(gx, t + width * steps.c_pixel + c * width, width)
    for q0 in range(0, width, sizes[0]):
        q = min(q0, width - sizes[0])
        start, target = a + c + q // stride * steps.pixel, t + c + q * steps.c_pixel
        slide_back(sizes, lanes, At(nothing, 0), At(gy, start), At(w, b + c), rows, steps, At(gx, target))


@cache
def _depthwise_input_gradient(P: int, kw: int, stride: int, dilation: int, shift: int) -> Callable[..., None]:
    """The gradient for P pixels at a time, for kernels of this width, stride and dilation along a row."""
    six, three, two = (INTEGERS[n] for n in (6, 3, 2))

    @compiled(numba.void(IMAGES, READ, FLAT, FLAT, READ, two, three, six, three, INTEGER, INTEGER), allocates=False)
    def gradient(
        gy: Any,
        w: Any,
        gx: Any,
        band: Any,
        nothing: Any,
        size: Any,
        needed: Any,
        window: Any,
        bands: Any,
        start: Any,
        stop: Any,
    ) -> None:
        """Rows of the gradient from ``start`` to ``stop``, those of all images counted together.

        ``needed``: number of rows of the kernel, the distance of two that are applied to the same row of the image, and the first column
        of gy.
        """
        C, window, bands = gy.shape[3], Window2d(*window), Bands(*bands)
        (H, W), (kh, every, first) = size, needed
        stride_h, dilation_h, top, left = window.stride_h, window.dilation_h, window.pad_top, window.pad_left
        line, at = bands.width * C, start
        steps = SlideSteps(-(every * dilation_h // stride_h) * line, every * kw * C, C, C)
        while at < stop:
            n, h0 = at // H, at % H
            count = min(bands.rows, H - h0, stop - at)
            begin = (h0 + top - (kh - 1) * dilation_h) // stride_h
            copy_band(band, gy, n, begin, (h0 + count - 1 + top) // stride_h - begin + 1, -first, bands.width)
            for h in range(h0, h0 + count):
                i = 0
                while i < every and (h + top - i * dilation_h) % stride_h:
                    i += 1
                rows = (
                    (kh - 1 - i) // every + 1 if i < min(every, kh) else 0
                )  # No row of the kernel may apply to a row.
                a = (((h + top - i * dilation_h) // stride_h - begin) * bands.width + left // stride - first) * C
                b, t, sizes = i * kw * C, (n * H + h) * W * C, (P, kw, stride, dilation, shift)
                for_vectors(_slide_back_along_row, (sizes, stride, nothing, band, a, w, b, rows, steps, gx, t, W), C)
            at += count

    return gradient


@inlined
def _sum_all_positions(arguments: Any, c: Any, lanes: Any) -> None:
    """The sums over some rows of output for all positions in the kernel, in a vector of channels."""
    sizes, kh, x, a, row, gy, b, counts, steps, total, below = arguments
    for i in range(kh):
        slide_sum(sizes, lanes, At(x, a + c + i * row), At(gy, b + c), counts, steps, At(total, i * below + c))


@cache
def _depthwise_gradient(kw: int, stride: int, dilation: int) -> Callable[..., None]:
    """The gradient for the weights of kernels of this width, stride and dilation along a row."""

    @compiled(
        numba.void(IMAGES, IMAGES, FLAT, FLAT, INTEGER, INTEGERS[6], INTEGERS[3], INTEGER, INTEGER), allocates=False
    )
    def gradient(
        x: Any, gy: Any, total: Any, band: Any, kh: Any, window: Any, bands: Any, start: Any, stop: Any
    ) -> None:
        """The sum over the images from ``start`` to ``stop``, added to ``total``."""
        C, (_, oh, ow, _) = x.shape[3], gy.shape
        window, bands, gradients = Window2d(*window), Bands(*bands), gy.reshape(-1)
        block_rows = max(1, CACHED_NUMBERS // (ow * LANES))
        for n in range(start, stop):
            for r0 in range(0, oh, bands.rows):
                rows = min(bands.rows, oh - r0)
                source, begin, line = read_rows(x, band, bands, window, kh, n, r0, rows)
                steps, row = SlideSteps(window.stride_h * line, ow * C, C, C), window.dilation_h * line
                for first in range(0, rows, block_rows):
                    counts, sizes = (min(block_rows, rows - first), ow), (kw, stride, dilation)
                    a, b = begin + first * window.stride_h * line, (n * oh + r0 + first) * ow * C
                    for_vectors(
                        _sum_all_positions,
                        (sizes, kh, source, a, row, gradients, b, counts, steps, total, kw * C),
                        C,
                    )

    return gradient
