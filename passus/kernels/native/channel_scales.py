"""Channels shifted, scaled and clipped, as batch normalization does it, and the gradients of that, in float32."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types

from passus.backend import Array
from passus.kernels.channels import Limits
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.loops import for_vectors
from passus.kernels.native.pixels import (
    SUMS,
    Block,
    block_size,
    images_of,
    next_block,
    pixels_of,
    split_pixels,
    sums_of_pieces,
)
from passus.kernels.native.simd import (
    LANES,
    clip,
    fma,
    load,
    prefetch,
    prefetch_to_write,
    splat,
    store,
    where_inside,
)

__all__ = ["channel_products", "scaled_channels", "scaled_gradient"]

NUMBER = numba.float32
SCALING = types.Tuple((READ, READ, READ, NUMBER, NUMBER))


class Scaling(NamedTuple):
    """``clip((x - mean) * scale + shift, low, high)``, with a mean, scale and shift for each channel."""

    mean: Array
    scale: Array
    shift: Array
    low: float
    high: float


def scaled_channels(x: Array, mean: Array, scale: Array, shift: Array, limits: Limits | None = None) -> Array:
    pixels = pixels_of(x)
    y = np.empty_like(pixels)
    scaling = _scaling(mean, scale, shift, limits)

    def work(start: int, stop: int) -> None:
        _scaled(pixels.reshape(-1), scaling, y.reshape(-1), y.shape[1], start, stop)

    split_pixels(work, pixels)
    return images_of(y, x)


def channel_products(
    gy: Array, x: Array, mean: Array, scale: Array, shift: Array, limits: Limits | None = None
) -> tuple[Array, Array]:
    pixels, g = pixels_of(x), pixels_of(gy)
    scaling = _scaling(mean, scale, shift, limits)

    def work(sums: Array, start: int, stop: int) -> None:
        scratch = np.empty((2, sums.shape[1]), np.float32)
        _products(g.reshape(-1), pixels.reshape(-1), scaling, sums, scratch, start, stop)

    total, product = np.sum(sums_of_pieces(work, g, 2), axis=0).astype(np.float32)
    return total, product


def scaled_gradient(
    gy: Array,
    x: Array,
    mean: Array,
    scale: Array,
    shift: Array,
    mean_grad: Array,
    projection: Array,
    limits: Limits | None = None,
) -> Array:
    pixels, g = pixels_of(x), pixels_of(gy)
    gx = np.empty_like(pixels)
    scaling, terms = _scaling(mean, scale, shift, limits), (_vector(mean_grad), _vector(projection))

    def work(start: int, stop: int) -> None:
        _scaled_gradient(g.reshape(-1), pixels.reshape(-1), scaling, terms, gx.reshape(-1), gx.shape[1], start, stop)

    split_pixels(work, pixels)
    return images_of(gx, x)


def _scaling(mean: Array, scale: Array, shift: Array, limits: Limits | None) -> tuple[Any, ...]:
    """A `Scaling` as a plain tuple. Limits that are infinite or missing are NaN: no number is below or above NaN."""
    low, high = limits or (math.nan, math.nan)
    high = high if high < math.inf else math.nan
    return _vector(mean), _vector(scale), _vector(shift), np.float32(low), np.float32(high)


def _vector(v: Array) -> Array:
    return np.ascontiguousarray(v, np.float32)


@inlined
def _scale_block(arguments: Any, c: Any, lanes: Any) -> None:
    x, scaling, y, block = arguments
    mean, scale, shift = load(scaling.mean, c, lanes), load(scaling.scale, c, lanes), load(scaling.shift, c, lanes)
    low, high = splat(scaling.low), splat(scaling.high)
    ahead = next_block(block, c)
    for p in range(block.first, block.last):
        prefetch(x, ahead)
        prefetch_to_write(y, ahead)
        ahead += LANES
        i = p * block.channels + c
        store(y, i, clip(fma(load(x, i, lanes) - mean, scale, shift), low, high), lanes)


@compiled(numba.void(READ, SCALING, FLAT, INTEGER, INTEGER, INTEGER), allocates=False)
def _scaled(x: Any, scaling: Any, y: Any, C: Any, start: Any, stop: Any) -> None:
    scaling, size = Scaling(*scaling), block_size(C)
    for first in range(start, stop, size):
        for_vectors(_scale_block, (x, scaling, y, Block(C, first, min(first + size, stop))), C)


@inlined
def _products_of_block(arguments: Any, c: Any, lanes: Any) -> None:
    gy, x, scaling, totals, products, block = arguments
    C, first, last = block
    mean, scale, shift = load(scaling.mean, c, lanes), load(scaling.scale, c, lanes), load(scaling.shift, c, lanes)
    low, high, zero = splat(scaling.low), splat(scaling.high), splat(np.float32(0))
    a0, a1, b0, b1 = zero, zero, zero, zero
    p, ahead = first, next_block(block, c)
    while p + 2 <= last:
        for i in range(2):
            prefetch(x, ahead + i * LANES)
            prefetch(gy, ahead + i * LANES)
        ahead += 2 * LANES
        d0, d1 = load(x, p * C + c, lanes) - mean, load(x, (p + 1) * C + c, lanes) - mean
        g0 = where_inside(fma(d0, scale, shift), low, high, load(gy, p * C + c, lanes))
        g1 = where_inside(fma(d1, scale, shift), low, high, load(gy, (p + 1) * C + c, lanes))
        a0, a1, b0, b1 = a0 + g0, a1 + g1, fma(g0, d0, b0), fma(g1, d1, b1)
        p += 2
    while p < last:
        d0 = load(x, p * C + c, lanes) - mean
        g0 = where_inside(fma(d0, scale, shift), low, high, load(gy, p * C + c, lanes))
        a0, b0 = a0 + g0, fma(g0, d0, b0)
        p += 1
    store(totals, c, a0 + a1, lanes)
    store(products, c, b0 + b1, lanes)


@compiled(numba.void(READ, READ, SCALING, SUMS, numba.float32[:, ::1], INTEGER, INTEGER), allocates=False)
def _products(gy: Any, x: Any, scaling: Any, sums: Any, scratch: Any, start: Any, stop: Any) -> None:
    """The sum of gy between the limits, and that of its products with the deviations of x."""
    scaling, C, size = Scaling(*scaling), sums.shape[1], block_size(sums.shape[1])
    totals, products = scratch[0], scratch[1]
    for first in range(start, stop, size):
        block = Block(C, first, min(first + size, stop))
        for_vectors(_products_of_block, (gy, x, scaling, totals, products, block), C)
        for c in range(C):
            sums[0, c] += totals[c]
            sums[1, c] += products[c]


@inlined
def _gradient_of_block(arguments: Any, c: Any, lanes: Any) -> None:
    gy, x, scaling, mean_grads, projections, gx, block = arguments
    mean, scale, shift = load(scaling.mean, c, lanes), load(scaling.scale, c, lanes), load(scaling.shift, c, lanes)
    mean_grad, projection = load(mean_grads, c, lanes), load(projections, c, lanes)
    low, high = splat(scaling.low), splat(scaling.high)
    ahead = next_block(block, c)
    for p in range(block.first, block.last):
        prefetch(x, ahead)
        prefetch(gy, ahead)
        prefetch_to_write(gx, ahead)
        ahead += LANES
        i = p * block.channels + c
        d = load(x, i, lanes) - mean
        g = where_inside(fma(d, scale, shift), low, high, load(gy, i, lanes))
        store(gx, i, (g - mean_grad - d * projection) * scale, lanes)


@compiled(numba.void(READ, READ, SCALING, types.UniTuple(READ, 2), FLAT, INTEGER, INTEGER, INTEGER), allocates=False)
def _scaled_gradient(gy: Any, x: Any, scaling: Any, terms: Any, gx: Any, C: Any, start: Any, stop: Any) -> None:
    """``terms``: mean_grad and projection of each channel."""
    scaling, size, (mean_grad, projection) = Scaling(*scaling), block_size(C), terms
    for first in range(start, stop, size):
        block = Block(C, first, min(first + size, stop))
        for_vectors(_gradient_of_block, (gy, x, scaling, mean_grad, projection, gx, block), C)
