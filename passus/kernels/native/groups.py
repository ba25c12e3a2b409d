"""Normalization of groups of channels of each image, in float32: channels last in memory, an image at a time.

Sums are taken over short blocks of pixels, and blocks are added up in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba import types

from passus.backend import Array
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.loops import for_vectors
from passus.kernels.native.pixels import Block
from passus.kernels.native.simd import fma, load, splat, store
from passus.kernels.threads import collected, split

__all__ = ["grouped", "grouped_gradients"]

BLOCK = 32
"""Pixels that are summed in float32."""

PIECE = 1 << 16
"""Numbers that are worth a thread."""

NUMBER = numba.float32
SUMS = numba.float64[::1]
OF_GROUPS = numba.float32[:, ::1]
STATISTICS = types.UniTuple(types.Array(numba.float32, 2, "C", readonly=True), 2)


def grouped(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Array, Array]:
    """Images (N, G, C / G, ...) normalized, and the statistics of their groups."""
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
    pixels, statistics = _pixels(x), [np.ascontiguousarray(v).reshape(x.shape[:2]) for v in (mean, inv_std)]
    gx = np.empty_like(pixels)
    arrays = tuple([v.reshape(-1) for v in (_pixels(gy), pixels, np.ascontiguousarray(gamma))])

    def work(start: int, stop: int) -> Array:
        sums = np.zeros((2, gamma.size))
        of_groups = tuple([v[start:stop] for v in statistics])
        _grouped_gradients(arrays, of_groups, gx.reshape(-1), *sums, start, math.prod(x.shape[3:]))
        return sums

    pieces = collected(work, len(x), _images_of_a_piece(x))
    ggamma, gbeta = np.sum(pieces, axis=0).astype(np.float32).reshape(2, *gamma.shape)
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
def _sum_of_block(arguments: Any, c: Any, lanes: Any) -> None:
    x, sums, block = arguments
    C, first, last = block
    a0, a1 = splat(np.float32(0)), splat(np.float32(0))  # Two sums are independent of each other.
    p = first
    while p + 1 < last:
        a0, a1 = a0 + load(x, p * C + c, lanes), a1 + load(x, (p + 1) * C + c, lanes)
        p += 2
    if p < last:
        a0 = a0 + load(x, p * C + c, lanes)
    store(sums, c, a0 + a1, lanes)


@inlined
def _product_of_block(arguments: Any, c: Any, lanes: Any) -> None:
    x, y, x_shift, y_shift, sums, block = arguments
    C, first, last = block
    a0, a1 = splat(np.float32(0)), splat(np.float32(0))
    s, t = load(x_shift, c, lanes), load(y_shift, c, lanes)
    p = first
    while p + 1 < last:
        i, j = p * C + c, (p + 1) * C + c
        a0 = fma(load(x, i, lanes) - s, load(y, i, lanes) - t, a0)
        a1 = fma(load(x, j, lanes) - s, load(y, j, lanes) - t, a1)
        p += 2
    if p < last:
        a0 = fma(load(x, p * C + c, lanes) - s, load(y, p * C + c, lanes) - t, a0)
    store(sums, c, a0 + a1, lanes)


@compiled(numba.void(READ, INTEGER, INTEGER, FLAT, SUMS), allocates=False)
def _sums(x: Any, start: Any, stop: Any, partial: Any, sums: Any) -> None:
    """The sum of each channel over the pixels from ``start`` to ``stop``."""
    C = len(sums)
    sums[:] = 0
    for first in range(start, stop, BLOCK):
        for_vectors(_sum_of_block, (x, partial, Block(C, first, min(first + BLOCK, stop))), C)
        for c in range(C):
            sums[c] += partial[c]


@compiled(numba.void(READ, READ, READ, READ, INTEGER, INTEGER, FLAT, SUMS), allocates=False)
def _products(x: Any, y: Any, x_shift: Any, y_shift: Any, start: Any, stop: Any, partial: Any, sums: Any) -> None:
    """The sum of ``(x - x_shift) * (y - y_shift)`` of each channel over these pixels."""
    C = len(sums)
    sums[:] = 0
    for first in range(start, stop, BLOCK):
        block = Block(C, first, min(first + BLOCK, stop))
        for_vectors(_product_of_block, (x, y, x_shift, y_shift, partial, block), C)
        for c in range(C):
            sums[c] += partial[c]


@inlined
def _scale_block(arguments: Any, c: Any, lanes: Any) -> None:
    x, means, scales, betas, y, block = arguments
    mean, scale, beta = load(means, c, lanes), load(scales, c, lanes), load(betas, c, lanes)
    for p in range(block.first, block.last):
        i = p * block.channels + c
        store(y, i, fma(load(x, i, lanes) - mean, scale, beta), lanes)


@compiled(numba.void(READ, READ, READ, READ, FLAT, INTEGER, INTEGER), allocates=False)
def _scaled(x: Any, mean: Any, scale: Any, beta: Any, y: Any, start: Any, stop: Any) -> None:
    """``y = (x - mean) * scale + beta``."""
    C = len(mean)
    for first in range(start, stop, BLOCK):
        for_vectors(_scale_block, (x, mean, scale, beta, y, Block(C, first, min(first + BLOCK, stop))), C)


@inlined
def _gradient_of_block(arguments: Any, c: Any, lanes: Any) -> None:
    gy, x, means, scales, projections, mean_grads, gx, block = arguments
    mean, scale = load(means, c, lanes), load(scales, c, lanes)
    projection, mean_grad = load(projections, c, lanes), load(mean_grads, c, lanes)
    for p in range(block.first, block.last):
        i = p * block.channels + c
        store(gx, i, load(gy, i, lanes) * scale - mean_grad - (load(x, i, lanes) - mean) * projection, lanes)


@compiled(numba.void(READ, READ, READ, READ, READ, READ, FLAT, INTEGER, INTEGER), allocates=False)
def _gradient(
    gy: Any, x: Any, mean: Any, scale: Any, projection: Any, mean_grad: Any, gx: Any, start: Any, stop: Any
) -> None:
    """``gx = gy * scale - mean_grad - (x - mean) * projection``."""
    C = len(mean)
    for first in range(start, stop, BLOCK):
        block = Block(C, first, min(first + BLOCK, stop))
        for_vectors(_gradient_of_block, (gy, x, mean, scale, projection, mean_grad, gx, block), C)


@compiled(numba.void(READ, READ, READ, FLAT, OF_GROUPS, OF_GROUPS, NUMBER, INTEGER, INTEGER))
def _grouped(
    x: Any, gamma: Any, beta: Any, y: Any, means: Any, inv_stds: Any, eps: Any, first: Any, pixels: Any
) -> None:
    """Images from ``first`` on; their number is that of the rows of means."""
    G, C = means.shape[1], len(gamma)
    E = C // G
    sums, partial, mean, scale = np.empty(C), np.empty(C, np.float32), np.empty(C, np.float32), np.empty(C, np.float32)
    for n in range(len(means)):
        start, stop = (first + n) * pixels, (first + n + 1) * pixels
        _sums(x, start, stop, partial, sums)
        for g in range(G):
            means[n, g] = sums[g * E : (g + 1) * E].sum() / (E * pixels)
            mean[g * E : (g + 1) * E] = means[n, g]
        _products(x, x, mean, mean, start, stop, partial, sums)
        for g in range(G):
            variance = np.float32(sums[g * E : (g + 1) * E].sum() / (E * pixels))
            inv_stds[n, g] = np.float32(1) / math.sqrt(variance + eps)
            for c in range(g * E, (g + 1) * E):
                scale[c] = gamma[c] * inv_stds[n, g]
        _scaled(x, mean, scale, beta, y, start, stop)


@compiled(numba.void(types.UniTuple(READ, 3), STATISTICS, FLAT, SUMS, SUMS, INTEGER, INTEGER))
def _grouped_gradients(arrays: Any, statistics: Any, gx: Any, ggamma: Any, gbeta: Any, first: Any, pixels: Any) -> None:
    (gy, x, gamma), (means, inv_stds) = arrays, statistics
    G, C = means.shape[1], len(gamma)
    E = C // G
    totals, products, zero, partial = np.empty(C), np.empty(C), np.zeros(C, np.float32), np.empty(C, np.float32)
    mean, scale = np.empty(C, np.float32), np.empty(C, np.float32)
    projection, mean_grad = np.empty(C, np.float32), np.empty(C, np.float32)
    for n in range(len(means)):
        start, stop = (first + n) * pixels, (first + n + 1) * pixels
        for c in range(C):
            mean[c] = means[n, c // E]
        _sums(gy, start, stop, partial, totals)
        _products(gy, x, zero, mean, start, stop, partial, products)
        for g in range(G):
            inv_std, total, product = inv_stds[n, g], 0.0, 0.0
            for c in range(g * E, (g + 1) * E):
                ggamma[c] += products[c] * inv_std
                gbeta[c] += totals[c]
                total += gamma[c] * totals[c]
                product += gamma[c] * products[c]
                scale[c] = gamma[c] * inv_std
            mean_grad[g * E : (g + 1) * E] = total / (E * pixels) * inv_std
            projection[g * E : (g + 1) * E] = product / (E * pixels) * inv_std**3
        _gradient(gy, x, mean, scale, projection, mean_grad, gx, start, stop)
