"""``max(x, 0) + slope * min(x, 0)``, with one slope or one for each channel, and its gradients, in float32."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from passus.backend import Array
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
    where,
    where_inside,
)

__all__ = ["sloped_channels", "sloped_gradient"]


def sloped_channels(x: Array, slope: Array) -> Array:
    pixels = pixels_of(x)
    y = np.empty_like(pixels)
    slopes = _of_each_channel(slope, pixels)

    def work(start: int, stop: int) -> None:
        _sloped(pixels.reshape(-1), slopes, y.reshape(-1), y.shape[1], start, stop)

    split_pixels(work, pixels)
    return images_of(y, x)


def sloped_gradient(gy: Array, x: Array, slope: Array) -> tuple[Array, Array]:
    """The gradients for x and for the slope."""
    pixels, g = pixels_of(x), pixels_of(gy)
    gx = np.empty_like(pixels)
    slopes = _of_each_channel(slope, pixels)

    def work(sums: Array, start: int, stop: int) -> None:
        totals = np.empty(sums.shape[1], np.float32)
        _sloped_gradient(g.reshape(-1), pixels.reshape(-1), slopes, gx.reshape(-1), sums, totals, start, stop)

    sums = np.sum(sums_of_pieces(work, pixels, 1), axis=(0, 1))
    gslope = sums if slope.size == len(sums) else sums.sum()
    return images_of(gx, x), gslope.astype(np.float32).reshape(slope.shape)


def _of_each_channel(slope: Array, pixels: Array) -> Array:
    return np.ascontiguousarray(np.broadcast_to(slope.reshape(-1), pixels.shape[1]))


@inlined
def _slope_block(arguments: Any, c: Any, lanes: Any) -> None:
    x, slopes, y, block = arguments
    slope, ahead = load(slopes, c, lanes), next_block(block, c)
    for p in range(block.first, block.last):
        prefetch(x, ahead)
        prefetch_to_write(y, ahead)
        ahead += LANES
        i = p * block.channels + c
        value = load(x, i, lanes)
        store(y, i, where(value > 0, value, value * slope), lanes)


@compiled(numba.void(READ, READ, FLAT, INTEGER, INTEGER, INTEGER), allocates=False)
def _sloped(x: Any, slopes: Any, y: Any, C: Any, start: Any, stop: Any) -> None:
    size = block_size(C)
    for first in range(start, stop, size):
        for_vectors(_slope_block, (x, slopes, y, Block(C, first, min(first + size, stop))), C)


@inlined
def _gradient_of_block(arguments: Any, c: Any, lanes: Any) -> None:
    gy, x, slopes, gx, totals, block = arguments
    slope, zero, no_limit = load(slopes, c, lanes), splat(np.float32(0)), splat(np.float32(np.nan))
    ahead, total = next_block(block, c), zero
    for p in range(block.first, block.last):
        prefetch(x, ahead)
        prefetch(gy, ahead)
        prefetch_to_write(gx, ahead)
        ahead += LANES
        i = p * block.channels + c
        value, g = load(x, i, lanes), load(gy, i, lanes)
        store(gx, i, where(value > 0, g, g * slope), lanes)
        total = fma(where_inside(value, no_limit, zero, g), clip(value, no_limit, zero), total)
    store(totals, c, total, lanes)


@compiled(numba.void(READ, READ, READ, FLAT, SUMS, FLAT, INTEGER, INTEGER), allocates=False)
def _sloped_gradient(gy: Any, x: Any, slopes: Any, gx: Any, sums: Any, totals: Any, start: Any, stop: Any) -> None:
    """The gradient for x, and the sum of that for the slope of each channel."""
    C, size = sums.shape[1], block_size(sums.shape[1])
    for first in range(start, stop, size):
        block = Block(C, first, min(first + size, stop))
        for_vectors(_gradient_of_block, (gy, x, slopes, gx, totals, block), C)
        for c in range(C):
            sums[0, c] += totals[c]
