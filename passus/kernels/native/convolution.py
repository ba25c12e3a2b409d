"""Direct convolution of images in two dimensions: float32, channels last.

Rows of an image are copied, with the border of zeros around them, into a small array that stays in the processor's cache.
There `multiply_tile` goes along the pixels of a row, with vectors of output channels. The gradient for the input is the
same computation with the weights turned round; that for the weights is a sum over all pixels for each tile of weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.convolution import extents
from passus.kernels.layout import Padding, Sizes, channels_second
from passus.kernels.native.bands import IMAGES, INTEGERS, Window, as_memory, copy_band, images_in_a_row, measured
from passus.kernels.native.buffers import aligned_zeros
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled
from passus.kernels.native.depthwise import depthwise, depthwise_gradient, depthwise_input_gradient, goes_back
from passus.kernels.native.layouts import with_channels_last
from passus.kernels.native.narrow import (
    added_up,
    joined_gradient,
    joined_kernel,
    kernel_of_columns,
    neighbours,
    takes_columns,
)
from passus.kernels.native.processor import rows_of_even_tiles, rows_of_tile
from passus.kernels.native.simd import LANES, all_lanes, first_lanes, number_at, store, vector_at
from passus.kernels.native.tile import in_larger_tiles, multiply_tile
from passus.kernels.native.transposing import copy_transposed
from passus.kernels.native.winograd import suits, winograd, winograd_gradient
from passus.kernels.threads import split, summed

__all__ = ["convolve", "convolve_input_gradient", "convolve_weight_gradient", "prepare"]

THRESHOLDS = 1 << 20
"""How many multiplications are worth a thread of their own: it takes some 5 microseconds to hand them over."""


PACKED = 1 << 16
"""How many weights are worth a thread of their own when they are laid out."""

POINTWISE = Window(1, 1, 1, 1, 0, 0)

WEIGHTS = numba.types.Array(numba.float32, 5, "A", readonly=True)


def prepare() -> None:
    """Compile the tiles of all sizes."""
    for vectors in (1, 2):
        for rows in sorted({rows_of_tile(count, vectors) for count in range(1, 65)}):
            for whole in (True, False):
                _convolution(rows, vectors, whole)
        for rows in sorted({rows_of_even_tiles(count, vectors) for count in range(1, 65)}):
            for whole in (True, False):
                _weight_gradient(rows, vectors, whole)


def convolve(
    x: Array, W: Array, b: Array | None, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """The images (N, O, *out) from x (N, C, *size), W (O, C / groups, *kernel) and b (O,)."""
    if len(stride) == 1:
        return _of_one_row(convolve(_as_row(x), _as_row(W), b, *_in_the_plane(stride, padding, dilation), groups))
    window = _window(stride, padding, dilation)
    kernel = extents(W.shape[2:], dilation)
    out = [(n + sum(pads) - k) // step + 1 for n, pads, k, step in zip(x.shape[2:], padding, kernel, stride)]
    y = np.empty((len(x), *out, len(W)), np.float32)
    _convolve_into(y, with_channels_last(x), _grouped(W, groups), b, window)
    return channels_second(y)


def convolve_input_gradient(
    gy: Array, W: Array, size: Sizes, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """The gradient (N, C, *size) for the images.

    Pixels of the input whose places differ by a multiple of the stride see the same part of the kernel: for each part
    there is a convolution of stride 1. All other products would be with zeros.
    """
    if len(stride) == 1:
        plane = _in_the_plane(stride, padding, dilation)
        return _of_one_row(convolve_input_gradient(_as_row(gy), _as_row(W), (1, *size), *plane, groups))
    window = rise, run, down, across, top, left = _window(stride, padding, dilation)
    W, gy = _grouped(W, groups).swapaxes(1, 2), with_channels_last(gy)
    gx = np.empty((len(gy), *size, groups * W.shape[1]), np.float32)
    if W.shape[1] == W.shape[2] == 1 < groups and goes_back(window, size[1]):
        depthwise_input_gradient(gx, gy, W[:, 0, 0], window)
        return channels_second(gx)
    for i in range(min(rise, size[0])):
        for j in range(min(run, size[1])):
            rows, apart_down, before_top = _part(i + top, rise, down, W.shape[3])
            columns, apart_across, before_left = _part(j + left, run, across, W.shape[4])
            pixels = gx[:, i::rise, j::run]
            part = W[..., rows, columns]
            if part.size:
                window = Window(1, 1, apart_down, apart_across, before_top, before_left)
                _convolve_into(pixels, gy, part, None, window)
            else:
                pixels[...] = 0
    return channels_second(gx)


def convolve_weight_gradient(
    x: Array, gy: Array, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """The gradient (O, C / groups, *kernel) for the weights."""
    if len(stride) == 1:
        plane = _in_the_plane(stride, padding, dilation)
        return _of_one_row(convolve_weight_gradient(_as_row(x), _as_row(gy), (1, *kernel), *plane, groups))
    window = _window(stride, padding, dilation)
    return _gradient_for_weights(with_channels_last(x), with_channels_last(gy), kernel, window, groups)


def _gradient_for_weights(x: Array, gy: Array, kernel: Sizes, window: Window, groups: int) -> Array:
    """The gradient (O, C / groups, *kernel) for the weights, from x (N, H, W, C) and gy (N, OH, OW, O)."""
    n, c, o = len(x), x.shape[3] // groups, gy.shape[3] // groups
    if o == c == 1 < groups:
        return depthwise_gradient(x, gy, kernel, window)[:, None]
    columns = _columns(o)
    if suits(kernel, window, (c, o), groups, gy.shape[:3]):
        gW = winograd_gradient(x, gy, columns, window)
        return gW.reshape(*kernel, c, o).transpose(3, 2, 0, 1)
    m, run = neighbours(o, c, kernel, window, gy.shape[2]) if groups == 1 else 1, window.run
    if m > 1:
        pixels, larger = gy.reshape(*gy.shape[:2], gy.shape[2] // m, m * o), (kernel[0], kernel[1] + (m - 1) * run)
        gW = _gradient_for_weights(x, pixels, larger, window._replace(run=m * run), 1)
        return joined_gradient(gW, m, run)
    run = c * (kernel[1] if groups == 1 and window.across == 1 else 1)
    gradient = _weight_gradient(rows_of_even_tiles(run, columns // LANES), columns // LANES, o % columns == 0)

    def add_to(total: Array, start: int, stop: int) -> None:
        gradient(x, gy, total, (groups, c), kernel, tuple(window), start, stop)

    total = summed(
        add_to,
        lambda: np.zeros(groups * math.prod(kernel) * c * o, np.float32),
        n,
        THRESHOLDS // (1 + math.prod(gy.shape[1:]) * c * math.prod(kernel)),
        images_in_a_row(gy),
    )
    gW = total.reshape(groups, *kernel, c, o)
    return gW.transpose(0, 4, 3, 1, 2).reshape(groups * o, c, *kernel)


def _convolve_into(y: Array, x: Array, W: Array, b: Array | None, window: Window) -> None:
    """Y (N, OH, OW, O) from x (N, H, W, C) and W (groups, O / groups, C / groups, KH, KW)."""
    groups, o, c = W.shape[:3]
    size, (n, oh, ow) = W.shape[3:], y.shape[:3]
    if o == c == 1 < groups:
        return depthwise(y, x, W[:, 0, 0], b, window)
    if suits(size, window, (c, o), groups, (n, oh, ow)):
        columns = _columns(o)
        w, bias = _packed(W, b, columns)
        return winograd(y, x, w.reshape(-1, 9, c * columns), bias, columns, window)
    if groups == 1:
        joins = y.flags.c_contiguous  # Neighbouring pixels lie side by side.
        if takes_columns(o, c, size, window, x.shape[2], ow, joins):
            z = np.empty((n, oh, x.shape[2], size[1] * o), np.float32)
            _convolve_into(z, x, kernel_of_columns(W), None, window._replace(run=1, across=1, left=0))
            return added_up(y, z, b, size[1], window)
        m, run = neighbours(o, c, size, window, ow) if joins else 1, window.run
        if m > 1:
            pixels, bias = y.reshape(n, oh, ow // m, m * o), None if b is None else np.tile(b, m)
            return _convolve_into(pixels, x, joined_kernel(W, m, run), bias, window._replace(run=m * run))
    _convolve_by_tiles(y, x, W, b, window)


def _convolve_by_tiles(y: Array, x: Array, W: Array, b: Array | None, window: Window) -> None:
    groups, o, c = W.shape[:3]
    size, columns = W.shape[3:], _columns(o)
    pointwise = size == (1, 1) and window == POINTWISE and x.shape[:3] == y.shape[:3]  # Not even padded at the end.
    if pointwise and y.flags.c_contiguous and y.size:
        x, y = _as_long_rows(x), _as_long_rows(y)
    n, oh, ow = y.shape[:3]
    w, bias = _packed(W, b, columns)
    convolution = _convolution(rows_of_tile(ow, columns // LANES), columns // LANES, o % columns == 0)
    arguments = (x, w, bias, *as_memory(y), (oh, ow), (groups, o), size, tuple(window))

    def work(start: int, stop: int) -> None:
        convolution(*arguments, start, stop)

    split(work, n * oh, THRESHOLDS // (1 + ow * o * groups * c * math.prod(size)))


def _packed(W: Array, b: Array | None, columns: int) -> tuple[Array, Array]:
    """Weights (groups, O / groups, C / groups, KH, KW) and bias as tiles read them, each tile filled up with zeros."""
    groups, o = W.shape[:2]
    width = -(-o // columns) * columns
    tiles, numbers = groups * (width // columns), columns * math.prod(W.shape[2:])
    w = aligned_zeros(tiles * numbers)
    split(lambda start, stop: _pack(W, w, columns, start, stop), tiles, PACKED // (1 + numbers))
    bias = np.zeros((groups, width), np.float32)
    if b is not None:
        bias[:, :o] = b.reshape(groups, o)
    return w, bias.reshape(-1)


def _window(stride: Sizes, padding: Padding, dilation: Sizes) -> Window:
    return Window(*stride, *dilation, *[before for before, _ in padding])


def _in_the_plane(stride: Sizes, padding: Padding, dilation: Sizes) -> tuple[Sizes, Padding, Sizes]:
    """What holds for signals, for images of one row."""
    return (1, *stride), ((0, 0), *padding), (1, *dilation)


def _as_row(x: Array) -> Array:
    return x[:, :, None]


def _of_one_row(x: Array) -> Array:
    return x[:, :, 0]


def _as_long_rows(x: Array) -> Array:
    """Images of which each pixel is for itself, as one image with rows that fill whole tiles."""
    pixels = x.size // x.shape[3]
    length = max(n for n in range(1, 65) if pixels % n == 0)
    return x.reshape(1, pixels // length, length, x.shape[3])


def _part(place: int, stride: int, dilation: int, taps: int) -> tuple[slice, int, int]:
    """Of one axis: the places of the kernel, last first, that see inputs at ``place`` plus multiples of the stride; how
    far apart the outputs are that they see, and how many of these outputs lie before the first.
    """
    seen = [i for i in range(taps) if (place - i * dilation) % stride == 0]
    if not seen:
        return slice(0, 0), 1, 0
    first, step = seen[0], seen[1] - seen[0] if len(seen) > 1 else stride
    apart = step * dilation // stride
    places = slice(seen[-1], first - step if first >= step else None, -step)
    return places, apart, (len(seen) - 1) * apart - (place - first * dilation) // stride


def _grouped(W: Array, groups: int) -> Array:
    return W.reshape(groups, len(W) // groups, *W.shape[1:])


def _columns(o: int) -> int:
    """How many output channels a tile has."""
    return LANES if o <= LANES else 2 * LANES


@compiled(numba.void(WEIGHTS, FLAT, INTEGER, INTEGER, INTEGER))
def _pack(W: Any, w: Any, columns: Any, start: Any, stop: Any) -> None:
    """Weights in the order in which tiles read them, (groups * tiles, KH, KW, C, columns): tiles from ``start`` to ``stop``."""
    _, o, c, kh, kw = W.shape
    group, output, channel, row, column = W.strides
    tiles, places, next_ = -(-o // columns), kh * kw, c * columns
    # The places of the kernel, or the channels if there is one place, may be a run of memory, last place first or not.
    pixel = column if kw > 1 else row
    run = abs(pixel) == 4 and (kw == 1 or kh == 1 or row == kw * column)
    for tile in range(start, stop):
        first, place = tile % tiles * columns, tile * places * next_
        source, lanes = tile // tiles * group + first * output, min(columns, o - first)
        for lane in range(0, lanes, LANES):
            at, to, some = source + lane * output, place + lane, min(LANES, lanes - lane)
            if output == 4:
                for i in range(places):
                    for k in range(c):
                        weights = vector_at(W, at + k * channel + i // kw * row + i % kw * column, first_lanes(some))
                        store(w, to + i * next_ + k * columns, weights, all_lanes())
            elif places == 1 and channel == 4:
                for k in range(0, c, LANES):
                    copy_transposed(W, at + 4 * k, output, some, min(LANES, c - k), w, to + k * columns, columns)
            elif run:
                lowest = 0 if pixel > 0 else places - 1
                for k in range(c):
                    for i in range(0, places, LANES):
                        begin, target = at + k * channel + lowest * pixel + 4 * i, to + k * columns
                        step = next_ if pixel > 0 else -next_
                        target += lowest * next_ + i * step
                        copy_transposed(W, begin, output, some, min(LANES, places - i), w, target, step)
            else:
                for i in range(places):
                    for k in range(c):
                        begin = at + k * channel + i // kw * row + i % kw * column
                        for j in range(some):
                            w[np.uint64(to + i * next_ + k * columns + j)] = number_at(W, begin + j * output)


@cache
def _convolution(P: int, Q: int, whole: bool) -> Callable[..., None]:
    """The convolution with tiles of P pixels and Q vectors of output channels, all of them full or not."""
    columns = Q * LANES
    six, four, two = INTEGERS[6], INTEGERS[4], INTEGERS[2]

    @compiled(numba.void(IMAGES, READ, READ, FLAT, four, two, two, two, six, INTEGER, INTEGER))
    def convolution(
        x: Any,
        w: Any,
        bias: Any,
        y: Any,
        steps: Any,
        out: Any,
        channels: Any,
        size: Any,
        window: Any,
        start: Any,
        stop: Any,
    ) -> None:
        _, H, W, C = x.shape
        (first, image, row, pixel), (oh, ow), (groups, o), (kh, kw) = steps, out, channels, size
        rise, run, down, across, top, left = window
        c = C // groups
        width, fits, numbers = measured(x.shape, (oh, ow, groups * o), size, window)
        band = np.empty(numbers, np.float32)
        # With one group, a row of the kernel is one run through memory.
        counts = (kh, 1, kw * c) if groups == 1 and across == 1 else (kh, kw, c)
        at = start
        while at < stop:
            n, r0 = at // oh, at % oh
            rows = min(fits, oh - r0, stop - at)
            if not numbers:
                source, begin, line = x.reshape(-1), (n * H + r0 * rise) * W * C, W * C
            else:
                copy_band(band, x, n, r0 * rise - top, (rows - 1) * rise + (kh - 1) * down + 1, left, width)
                source, begin, line = band, 0, width * C
            moves = (0, run * C, pixel, down * line, across * C, 1, kw * c * columns, c * columns, columns)
            block = 0
            for g in range(groups):
                for o0 in range(0, o, columns):
                    lanes, weights = None if whole else o - o0, block * columns * kh * kw * c
                    for r in range(rows):
                        for q0 in range(0, ow, P):
                            q = max(0, min(q0, ow - P))
                            place = first + n * image + (r0 + r) * row + q * pixel + g * o + o0
                            a = begin + r * rise * line + q * run * C + g * c
                            multiply_tile(
                                P, Q, lanes, bias, block * columns, source, a, w, weights, counts, moves, y, place
                            )
                    block += 1
            at += rows

    return convolution


@cache
def _weight_gradient(P: int, Q: int, whole: bool) -> Callable[..., None]:
    """The gradient of weights with tiles of P rows of the kernel, or one less, and Q vectors of output channels, all full
    or not.
    """
    columns, less = Q * LANES, max(1, P - 1)
    six, two = INTEGERS[6], INTEGERS[2]

    @compiled(numba.void(IMAGES, IMAGES, FLAT, two, two, six, INTEGER, INTEGER))
    def weight_gradient(
        x: Any, gy: Any, total: Any, channels: Any, size: Any, window: Any, start: Any, stop: Any
    ) -> None:
        _, H, W, C = x.shape
        _, oh, ow, channels_out = gy.shape
        (groups, c), (kh, kw) = channels, size
        rise, run, down, across, top, left = window
        o = channels_out // groups
        width, fits, numbers = measured(x.shape, (oh, ow, channels_out), size, window)
        band = np.empty(numbers, np.float32)
        runs, length = (1, kw * c) if groups == 1 and across == 1 else (kw, c)
        larger = in_larger_tiles(length, P)
        gradients = gy.reshape(-1)
        for n in range(start, stop):
            for r0 in range(0, oh, fits):
                rows = min(fits, oh - r0)
                if not numbers:
                    source, begin, line = x.reshape(-1), (n * H + r0 * rise) * W * C, W * C
                else:
                    copy_band(band, x, n, r0 * rise - top, (rows - 1) * rise + (kh - 1) * down + 1, left, width)
                    source, begin, line = band, 0, width * C
                counts, moves = (1, rows, ow), (o, 1, o, 0, rise * line, run * C, 0, ow * channels_out, channels_out)
                for g in range(groups):
                    for i in range(kh):
                        for j in range(runs):
                            a = begin + i * down * line + j * across * C + g * c
                            t = ((g * kh + i) * kw + j) * c * o
                            for o0 in range(0, o, columns):
                                b, lanes = (n * oh + r0) * ow * channels_out + g * o + o0, None if whole else o - o0
                                for k in range(0, larger, P):
                                    z = t + k * o + o0
                                    multiply_tile(
                                        P, Q, lanes, total, z, source, a + k, gradients, b, counts, moves, total, z
                                    )
                                for k in range(larger, length, less):
                                    z = t + k * o + o0
                                    multiply_tile(
                                        less, Q, lanes, total, z, source, a + k, gradients, b, counts, moves, total, z
                                    )

    return weight_gradient
