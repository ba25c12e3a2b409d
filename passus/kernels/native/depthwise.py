"""Convolution of each channel by itself, in float32: channels last, a vector of them at a time."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.layout import Sizes
from passus.kernels.native.bands import IMAGES, INTEGERS, Window, as_memory, copy_band, measured
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled
from passus.kernels.native.simd import LANES, add, fma, load, spread, store
from passus.kernels.threads import collected, split

__all__ = ["depthwise", "depthwise_gradient"]

WORTHWHILE = 1 << 18
"""How many multiplications are worth a thread of their own; there is a load from memory for each."""


def depthwise(y: Array, x: Array, W: Array, b: Array | None, window: Window) -> None:
    """Y (N, OH, OW, C) from x (N, H, W, C) and W (C, KH, KW)."""
    n, oh, ow, c = y.shape
    kernel = W.shape[1:]
    w, bias = np.zeros(math.prod(kernel) * c + LANES, np.float32), np.zeros(c + LANES, np.float32)
    w[: w.size - LANES] = W.transpose(1, 2, 0).reshape(-1)
    if b is not None:
        bias[:c] = b
    memory, steps = as_memory(y)

    def work(start: int, stop: int) -> None:
        _depthwise(x, w, bias, memory, steps, (oh, ow), kernel, tuple(window), start, stop)

    split(work, n * oh, WORTHWHILE // (1 + ow * c * math.prod(kernel)))


def depthwise_gradient(x: Array, gy: Array, kernel: Sizes, window: Window) -> Array:
    """The gradient (C, KH, KW) for the weights."""
    c = x.shape[3]

    def work(start: int, stop: int) -> Array:
        part = np.zeros(math.prod(kernel) * c, np.float32)
        _depthwise_gradient(x, gy, part, kernel, tuple(window), start, stop)
        return part

    total: Array = sum(collected(work, len(x), WORTHWHILE // (1 + math.prod(gy.shape[1:]) * math.prod(kernel))))
    return total.reshape(*kernel, c).transpose(2, 0, 1)


@compiled(numba.void(IMAGES, READ, READ, FLAT, INTEGERS[4], INTEGERS[2], INTEGERS[2], INTEGERS[6], INTEGER, INTEGER))
def _depthwise(
    x: Any, w: Any, bias: Any, y: Any, steps: Any, out: Any, size: Any, window: Any, start: Any, stop: Any
) -> None:
    """Rows of output from ``start`` to ``stop``, those of all images counted together."""
    _, H, W, C = x.shape
    (first, image, row, pixel), (oh, ow), (kh, kw) = steps, out, size
    rise, run, down, across, top, left = window
    width, fits, numbers = measured(x.shape, out, size, window)
    band = np.empty(numbers, np.float32)
    step, aligned = run * C, C - C % LANES
    at = start
    while at < stop:
        n, r0 = at // oh, at % oh
        rows = min(fits, oh - r0, stop - at)
        if not numbers:
            source, begin, line = x.reshape(-1), (n * H + r0 * rise) * W * C, W * C
        else:
            copy_band(band, x, n, r0 * rise - top, (rows - 1) * rise + (kh - 1) * down + 1, left, width)
            source, begin, line = band, 0, width * C
        for r in range(rows):
            a, target = begin + r * rise * line, first + n * image + (r0 + r) * row
            for c in range(0, aligned, LANES):
                q = 0
                while q + 4 <= ow:  # Four pixels at once use each weight four times, and none waits for the others.
                    s0 = s1 = s2 = s3 = load(bias, c)
                    for i in range(kh):
                        for j in range(kw):
                            weight = load(w, (i * kw + j) * C + c)
                            place = a + i * down * line + (q * run + j * across) * C + c
                            s0, s1 = fma(load(source, place), weight, s0), fma(load(source, place + step), weight, s1)
                            s2 = fma(load(source, place + 2 * step), weight, s2)
                            s3 = fma(load(source, place + 3 * step), weight, s3)
                    store(y, target + q * pixel + c, s0)
                    store(y, target + (q + 1) * pixel + c, s1)
                    store(y, target + (q + 2) * pixel + c, s2)
                    store(y, target + (q + 3) * pixel + c, s3)
                    q += 4
                while q < ow:
                    s0 = load(bias, c)
                    for i in range(kh):
                        for j in range(kw):
                            place = a + i * down * line + (q * run + j * across) * C + c
                            s0 = fma(load(source, place), load(w, (i * kw + j) * C + c), s0)
                    store(y, target + q * pixel + c, s0)
                    q += 1
            for c in range(aligned, C):
                for q in range(ow):
                    total = bias[c]
                    for i in range(kh):
                        for j in range(kw):
                            place = a + i * down * line + (q * run + j * across) * C + c
                            total += source[place] * w[(i * kw + j) * C + c]
                    y[target + q * pixel + c] = total
        at += rows


@compiled(numba.void(IMAGES, IMAGES, FLAT, INTEGERS[2], INTEGERS[6], INTEGER, INTEGER))
def _depthwise_gradient(x: Any, gy: Any, total: Any, size: Any, window: Any, start: Any, stop: Any) -> None:
    """The sum over the images from ``start`` to ``stop``, added to ``total``."""
    _, H, W, C = x.shape
    _, oh, ow, _ = gy.shape
    kh, kw = size
    rise, run, down, across, top, left = window
    width, fits, numbers = measured(x.shape, (oh, ow), size, window)
    band, gradients = np.empty(numbers, np.float32), gy.reshape(-1)
    step, aligned = run * C, C - C % LANES
    zero = spread(np.float32(0))
    for n in range(start, stop):
        for r0 in range(0, oh, fits):
            rows = min(fits, oh - r0)
            if not numbers:
                source, begin, line = x.reshape(-1), (n * H + r0 * rise) * W * C, W * C
            else:
                copy_band(band, x, n, r0 * rise - top, (rows - 1) * rise + (kh - 1) * down + 1, left, width)
                source, begin, line = band, 0, width * C
            for i in range(kh):
                for j in range(kw):
                    t = (i * kw + j) * C
                    a, b = begin + i * down * line + j * across * C, (n * oh + r0) * ow * C
                    for c in range(0, aligned, LANES):
                        s0, s1 = load(total, t + c), zero
                        for r in range(rows):
                            p, g = a + r * rise * line + c, b + r * ow * C + c
                            for q in range(0, ow - 1, 2):
                                s0 = fma(load(source, p + q * step), load(gradients, g + q * C), s0)
                                s1 = fma(load(source, p + (q + 1) * step), load(gradients, g + (q + 1) * C), s1)
                            if ow % 2:
                                s0 = fma(load(source, p + (ow - 1) * step), load(gradients, g + (ow - 1) * C), s0)
                        store(total, t + c, add(s0, s1))
                    for c in range(aligned, C):
                        for r in range(rows):
                            p, g = a + r * rise * line + c, b + r * ow * C + c
                            for q in range(ow):
                                total[t + c] += source[p + q * step] * gradients[g + q * C]
