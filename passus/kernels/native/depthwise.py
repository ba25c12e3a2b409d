"""Convolution of each channel by itself, in float32: channels last, a vector of them at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.layout import Sizes
from passus.kernels.native.bands import BAND, IMAGES, INTEGERS, Window, as_memory, copy_band, images_in_a_row, measured
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.processor import rows_of_tile
from passus.kernels.native.simd import LANES, all_lanes, first_lanes, prefetch_to_write
from passus.kernels.native.slide import slide_back, slide_sum, slide_tile
from passus.kernels.threads import split, summed

__all__ = ["depthwise", "depthwise_gradient", "depthwise_input_gradient", "goes_back"]

THRESHOLDS = 1 << 18
"""How many multiplications are worth a thread of their own; there is a load from memory for each."""

TILE = 8
"""How many pixels of the gradient for the images are computed at a time."""

NEAR = 1 << 12
"""How many numbers of the gradient, in one vector of channels, meet all rows of the kernel before the next ones do: these stay
in the first-level cache."""


def depthwise(y: Array, x: Array, W: Array, b: Array | None, window: Window) -> None:
    """Y (N, OH, OW, C) from x (N, H, W, C) and W (C, KH, KW)."""
    n, oh, ow, c = y.shape
    kernel = W.shape[1:]
    w = np.ascontiguousarray(W.transpose(1, 2, 0)).reshape(-1)
    bias = np.zeros(c, np.float32) if b is None else np.ascontiguousarray(b)
    convolution = _depthwise(rows_of_tile(ow, 1), kernel[1], window.run, window.across)
    arguments = (x, w, bias, *as_memory(y), (oh, ow), kernel[0], tuple(window))

    def work(start: int, stop: int) -> None:
        convolution(*arguments, start, stop)

    split(work, n * oh, THRESHOLDS // (1 + ow * c * math.prod(kernel)))


def goes_back(window: Window, width: int) -> bool:
    """Whether `depthwise_input_gradient` takes images of this width: a tile begins where the kernel did."""
    return window.rise * window.run > 1 and window.run <= TILE and width % window.run == 0


def depthwise_input_gradient(gx: Array, gy: Array, W: Array, window: Window) -> None:
    """The gradient (N, H, W, C) for the images, from gy (N, OH, OW, C) and W (C, KH, KW)."""
    n, height, width, c = gx.shape
    kernel, run = W.shape[1:], window.run
    w = np.ascontiguousarray(W.transpose(1, 2, 0)).reshape(-1)
    gradient = _depthwise_input_gradient(
        min(TILE // run * run, width), kernel[1], run, window.across, window.left % run
    )
    every = window.rise // math.gcd(window.rise, window.down)
    arguments = (gy, w, gx.reshape(-1), (height, width), (kernel[0], every), tuple(window))

    def work(start: int, stop: int) -> None:
        gradient(*arguments, start, stop)

    split(work, n * height, THRESHOLDS // (1 + gy.shape[2] * c * math.prod(kernel) // window.rise))


def depthwise_gradient(x: Array, gy: Array, kernel: Sizes, window: Window) -> Array:
    """The gradient (C, KH, KW) for the weights."""
    c = x.shape[3]
    gradient = _depthwise_gradient(kernel[1], window.run, window.across)

    def add_to(total: Array, start: int, stop: int) -> None:
        gradient(x, gy, total, kernel[0], tuple(window), start, stop)

    total = summed(
        add_to,
        lambda: np.zeros(math.prod(kernel) * c, np.float32),
        len(x),
        THRESHOLDS // (1 + math.prod(gy.shape[1:]) * math.prod(kernel)),
        images_in_a_row(gy),
    )
    return total.reshape(*kernel, c).transpose(2, 0, 1)


@inlined
def _ask_for_row(y: Any, place: Any, pixels: Any) -> None:
    """Ask for what will be written next, a vector for each pixel: it is written in steps too wide to be foreseen."""
    for line in range(place, place + pixels * LANES, LANES):
        prefetch_to_write(y, line)


@inlined
def _along_row(
    P: Any,
    kw: Any,
    run: Any,
    across: Any,
    lanes: Any,
    bias: Any,
    c: Any,
    x: Any,
    a: Any,
    w: Any,
    kh: Any,
    steps: Any,
    y: Any,
    t: Any,
    ow: Any,
) -> None:
    """A row of output, in a vector of channels."""
    for q0 in range(0, ow, P):
        q = min(q0, ow - P)
        start, target = a + q * run * steps[1], t + q * steps[3]
        slide_tile(P, kw, run, across, lanes, bias, c, x, start, w, c, kh, steps, y, target)


@cache
def _depthwise(P: int, kw: int, run: int, across: int) -> Callable[..., None]:
    """The convolution of P pixels at a time, for kernels of this width, stride and dilation along a row."""

    @compiled(numba.void(IMAGES, READ, READ, FLAT, INTEGERS[4], INTEGERS[2], INTEGER, INTEGERS[6], INTEGER, INTEGER))
    def depthwise(
        x: Any, w: Any, bias: Any, y: Any, steps: Any, out: Any, kh: Any, window: Any, start: Any, stop: Any
    ) -> None:
        """Rows of output from ``start`` to ``stop``, those of all images counted together."""
        _, H, W, C = x.shape
        (first, image, row, pixel), (oh, ow) = steps, out
        rise, _, down, _, top, left = window
        width, fits, numbers = measured(x.shape, (oh, ow, C), (kh, kw), window)
        band = np.empty(numbers, np.float32)
        at, whole = start, C - C % LANES
        while at < stop:
            n, r0 = at // oh, at % oh
            rows = min(fits, oh - r0, stop - at)
            if not numbers:
                source, begin, line = x.reshape(-1), (n * H + r0 * rise) * W * C, W * C
            else:
                copy_band(band, x, n, r0 * rise - top, (rows - 1) * rise + (kh - 1) * down + 1, left, width)
                source, begin, line = band, 0, width * C
            apart = (down * line, C, kw * C, pixel)
            for r in range(rows):
                a, t = begin + r * rise * line, first + n * image + (r0 + r) * row
                for c in range(0, whole, LANES):
                    _ask_for_row(y, t + row + c * ow, ow)
                    _along_row(P, kw, run, across, all_lanes(), bias, c, source, a + c, w, kh, apart, y, t + c, ow)
                if whole < C:
                    rest = first_lanes(C - whole)
                    _along_row(P, kw, run, across, rest, bias, whole, source, a + whole, w, kh, apart, y, t + whole, ow)
            at += rows

    return depthwise


@inlined
def _back_along_row(
    P: Any,
    kw: Any,
    run: Any,
    across: Any,
    shift: Any,
    lanes: Any,
    nothing: Any,
    gy: Any,
    a: Any,
    w: Any,
    b: Any,
    count: Any,
    steps: Any,
    gx: Any,
    t: Any,
    width: Any,
) -> None:
    """A row of the gradient for the images, in a vector of channels."""
    for q0 in range(0, width, P):
        q = min(q0, width - P)
        start, target = a + q // run * steps[1], t + q * steps[3]
        slide_back(P, kw, run, across, shift, lanes, nothing, 0, gy, start, w, b, count, steps, gx, target)


@cache
def _depthwise_input_gradient(P: int, kw: int, run: int, across: int, shift: int) -> Callable[..., None]:
    """The gradient for P pixels at a time, for kernels of this width, stride and dilation along a row."""
    two, six = INTEGERS[2], INTEGERS[6]

    @compiled(numba.void(IMAGES, READ, FLAT, two, two, six, INTEGER, INTEGER))
    def gradient(gy: Any, w: Any, gx: Any, size: Any, rows: Any, window: Any, start: Any, stop: Any) -> None:
        """Rows of the gradient from ``start`` to ``stop``, those of all images counted together. ``rows``: how many the kernel
        has, and every which of them a row of the image meets.
        """
        C, (H, W), (kh, every) = gy.shape[3], size, rows
        rise, _, down, _, top, left = window
        first = (left - (kw - 1) * across) // run  # The columns of gy that are met go from here to the last one.
        width = (W - 1 + left) // run - first + 1
        fits = max(1, (BAND // (width * C) - 2) * rise - (kh - 1) * down)
        band = np.empty(((fits + (kh - 1) * down) // rise + 2) * width * C, np.float32)
        nothing, whole, line, at = np.zeros(LANES, np.float32), C - C % LANES, width * C, start
        while at < stop:
            n, h0 = at // H, at % H
            count = min(fits, H - h0, stop - at)
            begin = (h0 + top - (kh - 1) * down) // rise
            copy_band(band, gy, n, begin, (h0 + count - 1 + top) // rise - begin + 1, -first, width)
            steps = (-(every * down // rise) * line, C, every * kw * C, C)
            for h in range(h0, h0 + count):
                i = 0
                while i < every and (h + top - i * down) % rise:
                    i += 1
                met = (kh - 1 - i) // every + 1 if i < min(every, kh) else 0  # A row may be between those that are met.
                a, b = (((h + top - i * down) // rise - begin) * width + left // run - first) * C, i * kw * C
                t = (n * H + h) * W * C
                for c in range(0, whole, LANES):
                    _ask_for_row(gx, t + W * C + c * W, W)
                    _back_along_row(
                        P, kw, run, across, shift, all_lanes(), nothing, band, a + c, w, b + c, met, steps, gx, t + c, W
                    )
                if whole < C:
                    a, b, t, rest = a + whole, b + whole, t + whole, first_lanes(C - whole)
                    _back_along_row(P, kw, run, across, shift, rest, nothing, band, a, w, b, met, steps, gx, t, W)
            at += count

    return gradient


@inlined
def _all_places(
    kh: Any,
    kw: Any,
    run: Any,
    across: Any,
    lanes: Any,
    x: Any,
    a: Any,
    gy: Any,
    b: Any,
    counts: Any,
    moves: Any,
    total: Any,
    c: Any,
) -> None:
    """The sums over some rows of output for all places in the kernel, in a vector of channels."""
    down, below, steps = moves[0], moves[1], moves[2:]
    for i in range(kh):
        slide_sum(kw, run, across, lanes, x, a + i * down, gy, b, counts, steps, total, i * below + c)


@cache
def _depthwise_gradient(kw: int, run: int, across: int) -> Callable[..., None]:
    """The gradient for the weights of kernels of this width, stride and dilation along a row."""

    @compiled(numba.void(IMAGES, IMAGES, FLAT, INTEGER, INTEGERS[6], INTEGER, INTEGER))
    def gradient(x: Any, gy: Any, total: Any, kh: Any, window: Any, start: Any, stop: Any) -> None:
        """The sum over the images from ``start`` to ``stop``, added to ``total``."""
        _, H, W, C = x.shape
        _, oh, ow, _ = gy.shape
        rise, _, down, _, top, left = window
        width, fits, numbers = measured(x.shape, (oh, ow, C), (kh, kw), window)
        band, gradients, whole = np.empty(numbers, np.float32), gy.reshape(-1), C - C % LANES
        at_once = max(1, NEAR // (ow * LANES))
        for n in range(start, stop):
            for r0 in range(0, oh, fits):
                rows = min(fits, oh - r0)
                if not numbers:
                    source, begin, line = x.reshape(-1), (n * H + r0 * rise) * W * C, W * C
                else:
                    copy_band(band, x, n, r0 * rise - top, (rows - 1) * rise + (kh - 1) * down + 1, left, width)
                    source, begin, line = band, 0, width * C
                moves = (down * line, kw * C, rise * line, ow * C, C)
                for first in range(0, rows, at_once):
                    counts = (min(at_once, rows - first), ow)
                    a, b = begin + first * rise * line, (n * oh + r0 + first) * ow * C
                    for c in range(0, whole, LANES):
                        _all_places(
                            kh, kw, run, across, all_lanes(), source, a + c, gradients, b + c, counts, moves, total, c
                        )
                    if whole < C:
                        c, rest = whole, first_lanes(C - whole)
                        _all_places(kh, kw, run, across, rest, source, a + c, gradients, b + c, counts, moves, total, c)

    return gradient
