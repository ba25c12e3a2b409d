"""The sum, mean and variance of each channel, in float32, a vector of channels at a time."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.native.buffers import aligned
from passus.kernels.native.channel_scales import channel_products as channel_products
from passus.kernels.native.channel_scales import scaled_channels as scaled_channels
from passus.kernels.native.channel_scales import scaled_gradient as scaled_gradient
from passus.kernels.native.channel_slopes import sloped_channels as sloped_channels
from passus.kernels.native.channel_slopes import sloped_gradient as sloped_gradient
from passus.kernels.native.compiling import INTEGER, READ, compiled, inlined
from passus.kernels.native.loops import for_vectors
from passus.kernels.native.pixels import SUMS, Block, block_size, next_block, pixels_of, sums_of_pieces
from passus.kernels.native.simd import LANES, all_lanes, fma, load, prefetch, splat, store
from passus.kernels.threads import added, collected

__all__ = [
    "channel_moments",
    "channel_products",
    "channel_sums",
    "scaled_channels",
    "scaled_gradient",
    "sloped_channels",
    "sloped_gradient",
]

PIECE_OF_SUM = 1 << 18
"""Numbers that are worth a thread where they are only added up."""

IN_FLOAT32 = 128
"""Pixels that are added up in float32: the longest sum is one of 32 such numbers."""


def channel_moments(x: Array) -> tuple[Array, Array]:
    count, mean, squares = _counted(x)
    return mean.astype(np.float32), (squares / count).astype(np.float32)


def channel_sums(x: Array) -> Array:
    pixels = pixels_of(x)
    flat, C = pixels.reshape(-1), pixels.shape[1]

    def work(start: int, stop: int) -> Array:
        sums = np.zeros(C)
        _totals(flat, sums, start, stop)
        return sums

    return added(collected(work, len(pixels), -(-PIECE_OF_SUM // C))).astype(np.float32)


def _counted(x: Array) -> tuple[Array, Array, Array]:
    """Of each channel: the number of its pixels, their mean, and the sum of their squared deviations from it."""
    pixels = pixels_of(x)
    flat = pixels.reshape(-1)

    def work(sums: Array, start: int, stop: int) -> None:
        _moments(flat, sums, np.empty((2, sums.shape[1]), np.float32), start, stop)

    pieces = sums_of_pieces(work, pixels, 3)
    count, mean, squares = pieces[0]
    for n, m, s in pieces[1:]:
        # Chan, Golub and LeVeque, 1983: two samples as one.
        d = m - mean
        mean = mean + d * (n / (count + n))
        squares = squares + s + d * d * (count * n / (count + n))
        count = count + n
    return count, mean, squares


@inlined
def _add_four_pixels(arguments: Any, c: Any, lanes: Any) -> None:
    x, partial, C, p = arguments
    a0, a1 = load(x, p * C + c, lanes), load(x, (p + 1) * C + c, lanes)
    a2, a3 = load(x, (p + 2) * C + c, lanes), load(x, (p + 3) * C + c, lanes)
    store(partial, c, load(partial, c, all_lanes()) + ((a0 + a1) + (a2 + a3)), all_lanes())


@compiled(numba.void(READ, numba.float64[::1], INTEGER, INTEGER))
def _totals(x: Any, sums: Any, start: Any, stop: Any) -> None:
    """Add pixels from ``start`` to ``stop``: ``IN_FLOAT32`` of them in float32, and these sums in float64."""
    C = len(sums)
    partial = aligned(C + LANES)
    for first in range(start, stop, IN_FLOAT32):
        partial[:] = 0
        p, last = first, min(first + IN_FLOAT32, stop)
        while p + 4 <= last:
            for_vectors(_add_four_pixels, (x, partial, C, p), C)
            p += 4
        for row in range(p, last):
            for c in range(C):
                partial[c] += x[row * C + c]
        for c in range(C):
            sums[c] += partial[c]


@inlined
def _mean_of_block(x: Any, block: Any, c: Any, lanes: Any) -> Any:
    C, first, last = block
    zero = splat(np.float32(0))
    a0, a1, a2, a3 = zero, zero, zero, zero  # Four sums, so that none waits for the one before.
    p, ahead = first, next_block(block, c)
    while p + 4 <= last:
        for i in range(4):
            prefetch(x, ahead + i * LANES)
        ahead += 4 * LANES
        a0, a1 = a0 + load(x, p * C + c, lanes), a1 + load(x, (p + 1) * C + c, lanes)
        a2, a3 = a2 + load(x, (p + 2) * C + c, lanes), a3 + load(x, (p + 3) * C + c, lanes)
        p += 4
    while p < last:
        a0 = a0 + load(x, p * C + c, lanes)
        p += 1
    return ((a0 + a1) + (a2 + a3)) * splat(np.float32(1.0 / (last - first)))


@inlined
def _moments_of_block(arguments: Any, c: Any, lanes: Any) -> None:
    x, means, squares, block = arguments
    C, first, last = block
    mean, zero = _mean_of_block(x, block, c, lanes), splat(np.float32(0))
    a0, a1, a2, a3 = zero, zero, zero, zero
    b0, b1, b2, b3 = zero, zero, zero, zero
    p = first
    while p + 4 <= last:
        d0, d1 = load(x, p * C + c, lanes) - mean, load(x, (p + 1) * C + c, lanes) - mean
        d2, d3 = load(x, (p + 2) * C + c, lanes) - mean, load(x, (p + 3) * C + c, lanes) - mean
        a0, a1, a2, a3 = fma(d0, d0, a0), fma(d1, d1, a1), fma(d2, d2, a2), fma(d3, d3, a3)
        b0, b1, b2, b3 = d0 + b0, d1 + b1, d2 + b2, d3 + b3
        p += 4
    while p < last:
        d0 = load(x, p * C + c, lanes) - mean
        a0, b0 = fma(d0, d0, a0), d0 + b0
        p += 1
    # The mean was rounded: its error is the mean of the deviations.
    total = (b0 + b1) + (b2 + b3)
    shift = total * splat(np.float32(1.0 / (last - first)))
    store(means, c, mean + shift, lanes)
    store(squares, c, ((a0 + a1) + (a2 + a3)) - total * shift, lanes)


@compiled(numba.void(READ, SUMS, numba.float32[:, ::1], INTEGER, INTEGER), allocates=False)
def _moments(x: Any, sums: Any, scratch: Any, start: Any, stop: Any) -> None:
    """Number, mean, and sum of the squared deviations of pixels from ``start`` to ``stop``."""
    C, size = sums.shape[1], block_size(sums.shape[1])
    means, squares = scratch[0], scratch[1]
    for first in range(start, stop, size):
        block = Block(C, first, min(first + size, stop))
        for_vectors(_moments_of_block, (x, means, squares, block), C)
        count, n = sums[0, 0], block.last - first
        for c in range(C):
            d = means[c] - sums[1, c]
            sums[1, c] += d * (n / (count + n))
            sums[2, c] += squares[c] + d * d * (count * n / (count + n))
            sums[0, c] = count + n
