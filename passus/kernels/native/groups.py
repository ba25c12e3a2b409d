"""Normalisation of groups of channels of each image, in float32: channels last in memory, an image at a time.

Sums are taken over short blocks of pixels, and blocks are added up in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.simd import LANES, add, all_lanes, first_lanes, fma, load, multiply, splat, store, subtract
from passus.kernels.threads import collected, split

__all__ = ["grouped", "grouped_gradients"]

BLOCK = 32
"""How many pixels are summed in float32."""

PIECE = 1 << 16
"""How many numbers are worth a thread of their own."""

NUMBER = numba.float32
SUMS = numba.float64[::1]
OF_GROUPS = numba.float32[:, ::1]


def grouped(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Array, Array]:
    """Images (N, G, C / G, ...) normalised, and the statistics of their groups."""
    pixels = _pixels(x)
    y = np.empty_like(pixels)
    mean, inv_std = (np.empty(x.shape[:2], np.float32) for _ in range(2))
    arrays = [v.reshape(-1) for v in (pixels, np.ascontiguousarray(gamma), np.ascontiguousarray(beta), y)]

    def work(start: int, stop: int) -> None:
        _grouped(*arrays, mean[start:stop], inv_std[start:stop], eps, start, math.prod(x.shape[3:]))

    split(work, len(x), _images_of_a_piece(x))
    along = (*x.shape[:2], *[1] * (x.ndim - 2))
    return _groups(y), mean.reshape(along), inv_std.reshape(along)


def grouped_gradients(gy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array) -> tuple[Array, Array, Array]:
    """The gradients for ``x``, ``gamma`` and ``beta``."""
    pixels, statistics = _pixels(x), [v.reshape(x.shape[:2]) for v in (mean, inv_std)]
    gx = np.empty_like(pixels)
    arrays = [v.reshape(-1) for v in (_pixels(gy), pixels, np.ascontiguousarray(gamma), gx)]

    def work(start: int, stop: int) -> Array:
        sums = np.zeros((2, gamma.size))
        of_groups = [v[start:stop] for v in statistics]
        _grouped_gradients(*arrays, *of_groups, *sums, start, math.prod(x.shape[3:]))
        return sums

    parts = collected(work, len(x), _images_of_a_piece(x))
    ggamma, gbeta = np.sum(parts, axis=0).astype(np.float32).reshape(2, *gamma.shape)
    return _groups(gx), ggamma, gbeta


def _pixels(x: Array) -> Array:
    """(N, G, C / G, ...) as (N, ..., G, C / G)."""
    return np.ascontiguousarray(np.moveaxis(x, (1, 2), (-2, -1)))


def _groups(pixels: Array) -> Array:
    """The inverse of `_pixels`."""
    return np.moveaxis(pixels, (-2, -1), (1, 2))


def _images_of_a_piece(x: Array) -> int:
    shape: tuple[int, ...] = x.shape
    return -(-PIECE // max(1, math.prod(shape[1:])))


@inlined
def _sum_of_block(x: Any, c: Any, C: Any, first: Any, last: Any, lanes: Any) -> Any:
    a0, a1 = splat(np.float32(0)), splat(np.float32(0))  # Two sums, so that none waits for the one before.
    i = first + c
    while i + C < last:
        a0, a1 = add(a0, load(x, i, lanes)), add(a1, load(x, i + C, lanes))
        i += 2 * C
    if i < last:
        a0 = add(a0, load(x, i, lanes))
    return add(a0, a1)


@inlined
def _product_of_block(
    x: Any, y: Any, x_shift: Any, y_shift: Any, c: Any, C: Any, first: Any, last: Any, lanes: Any
) -> Any:
    a0, a1 = splat(np.float32(0)), splat(np.float32(0))
    s, t = load(x_shift, c, lanes), load(y_shift, c, lanes)
    i = first + c
    while i + C < last:
        a0 = fma(subtract(load(x, i, lanes), s), subtract(load(y, i, lanes), t), a0)
        a1 = fma(subtract(load(x, i + C, lanes), s), subtract(load(y, i + C, lanes), t), a1)
        i += 2 * C
    if i < last:
        a0 = fma(subtract(load(x, i, lanes), s), subtract(load(y, i, lanes), t), a0)
    return add(a0, a1)


@compiled(numba.void(READ, INTEGER, INTEGER, SUMS))
def _sums(x: Any, start: Any, stop: Any, sums: Any) -> None:
    """The sum of each channel over the pixels in ``x[start:stop]``."""
    C = len(sums)
    block, rest = np.empty(C, np.float32), C - C % LANES
    sums[:] = 0
    for first in range(start, stop, BLOCK * C):
        last = min(first + BLOCK * C, stop)
        for c in range(0, rest, LANES):
            store(block, c, _sum_of_block(x, c, C, first, last, all_lanes()), all_lanes())
        if rest < C:
            lanes = first_lanes(C - rest)
            store(block, rest, _sum_of_block(x, rest, C, first, last, lanes), lanes)
        for c in range(C):
            sums[c] += block[c]


@compiled(numba.void(READ, READ, READ, READ, INTEGER, INTEGER, SUMS))
def _products(x: Any, y: Any, x_shift: Any, y_shift: Any, start: Any, stop: Any, sums: Any) -> None:
    """The sum of ``(x - x_shift) * (y - y_shift)`` of each channel over these pixels."""
    C = len(sums)
    block, rest = np.empty(C, np.float32), C - C % LANES
    sums[:] = 0
    for first in range(start, stop, BLOCK * C):
        last = min(first + BLOCK * C, stop)
        for c in range(0, rest, LANES):
            product = _product_of_block(x, y, x_shift, y_shift, c, C, first, last, all_lanes())
            store(block, c, product, all_lanes())
        if rest < C:
            lanes = first_lanes(C - rest)
            store(block, rest, _product_of_block(x, y, x_shift, y_shift, rest, C, first, last, lanes), lanes)
        for c in range(C):
            sums[c] += block[c]


@inlined
def _scaled_block(
    x: Any, shift: Any, scale: Any, beta: Any, y: Any, c: Any, C: Any, first: Any, last: Any, lanes: Any
) -> None:
    s, m, b = load(shift, c, lanes), load(scale, c, lanes), load(beta, c, lanes)
    for i in range(first + c, last, C):
        store(y, i, fma(subtract(load(x, i, lanes), s), m, b), lanes)


@compiled(numba.void(READ, READ, READ, READ, FLAT, INTEGER, INTEGER))
def _scaled(x: Any, shift: Any, scale: Any, beta: Any, y: Any, start: Any, stop: Any) -> None:
    """``y = (x - shift) * scale + beta``."""
    C = len(shift)
    rest = C - C % LANES
    for first in range(start, stop, BLOCK * C):
        last = min(first + BLOCK * C, stop)
        for c in range(0, rest, LANES):
            _scaled_block(x, shift, scale, beta, y, c, C, first, last, all_lanes())
        if rest < C:
            _scaled_block(x, shift, scale, beta, y, rest, C, first, last, first_lanes(C - rest))


@inlined
def _gradient_of_block(
    gy: Any,
    x: Any,
    shift: Any,
    scale: Any,
    slope: Any,
    share: Any,
    gx: Any,
    c: Any,
    C: Any,
    first: Any,
    last: Any,
    lanes: Any,
) -> None:
    s, m = load(shift, c, lanes), load(scale, c, lanes)
    k, b = load(slope, c, lanes), load(share, c, lanes)
    for i in range(first + c, last, C):
        d = subtract(load(x, i, lanes), s)
        store(gx, i, subtract(subtract(multiply(load(gy, i, lanes), m), b), multiply(d, k)), lanes)


@compiled(numba.void(READ, READ, READ, READ, READ, READ, FLAT, INTEGER, INTEGER))
def _gradient(gy: Any, x: Any, shift: Any, scale: Any, slope: Any, share: Any, gx: Any, start: Any, stop: Any) -> None:
    """``gx = gy * scale - share - (x - shift) * slope``."""
    C = len(shift)
    rest = C - C % LANES
    for first in range(start, stop, BLOCK * C):
        last = min(first + BLOCK * C, stop)
        for c in range(0, rest, LANES):
            _gradient_of_block(gy, x, shift, scale, slope, share, gx, c, C, first, last, all_lanes())
        if rest < C:
            lanes = first_lanes(C - rest)
            _gradient_of_block(gy, x, shift, scale, slope, share, gx, rest, C, first, last, lanes)


@compiled(numba.void(READ, READ, READ, FLAT, OF_GROUPS, OF_GROUPS, NUMBER, INTEGER, INTEGER))
def _grouped(
    x: Any, gamma: Any, beta: Any, y: Any, means: Any, inv_stds: Any, eps: Any, first: Any, pixels: Any
) -> None:
    """Images from ``first`` on, as many as there are rows of means."""
    G, C = means.shape[1], len(gamma)
    E, size = C // G, C * pixels
    sums, shift, scale = np.empty(C), np.empty(C, np.float32), np.empty(C, np.float32)
    for n in range(len(means)):
        start, stop = (first + n) * size, (first + n + 1) * size
        _sums(x, start, stop, sums)
        for g in range(G):
            means[n, g] = sums[g * E : (g + 1) * E].sum() / (E * pixels)
            shift[g * E : (g + 1) * E] = means[n, g]
        _products(x, x, shift, shift, start, stop, sums)
        for g in range(G):
            variance = np.float32(sums[g * E : (g + 1) * E].sum() / (E * pixels))
            inv_stds[n, g] = np.float32(1) / math.sqrt(variance + eps)
            for c in range(g * E, (g + 1) * E):
                scale[c] = gamma[c] * inv_stds[n, g]
        _scaled(x, shift, scale, beta, y, start, stop)


@compiled(numba.void(READ, READ, READ, FLAT, OF_GROUPS, OF_GROUPS, SUMS, SUMS, INTEGER, INTEGER))
def _grouped_gradients(
    gy: Any,
    x: Any,
    gamma: Any,
    gx: Any,
    means: Any,
    inv_stds: Any,
    ggamma: Any,
    gbeta: Any,
    first: Any,
    pixels: Any,
) -> None:
    G, C = means.shape[1], len(gamma)
    E, size = C // G, C * pixels
    totals, products, zero = np.empty(C), np.empty(C), np.zeros(C, np.float32)
    shift, scale = np.empty(C, np.float32), np.empty(C, np.float32)
    slope, share = np.empty(C, np.float32), np.empty(C, np.float32)
    for n in range(len(means)):
        start, stop = (first + n) * size, (first + n + 1) * size
        for c in range(C):
            shift[c] = means[n, c // E]
        _sums(gy, start, stop, totals)
        _products(gy, x, zero, shift, start, stop, products)
        for g in range(G):
            inv_std, total, product = inv_stds[n, g], 0.0, 0.0
            for c in range(g * E, (g + 1) * E):
                ggamma[c] += products[c] * inv_std
                gbeta[c] += totals[c]
                total += gamma[c] * totals[c]
                product += gamma[c] * products[c]
                scale[c] = gamma[c] * inv_std
            share[g * E : (g + 1) * E] = total / (E * pixels) * inv_std
            slope[g * E : (g + 1) * E] = product / (E * pixels) * inv_std**3
        _gradient(gy, x, shift, scale, slope, share, gx, start, stop)
