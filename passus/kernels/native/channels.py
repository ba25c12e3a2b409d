"""Sums and scales of channels, in float32: channels last, a vector of them at a time.

Sums are taken over short blocks of pixels, which stay in the cache, and blocks are added up in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.channels import Limits
from passus.kernels.layout import channels_second
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.layouts import with_channels_last
from passus.kernels.native.simd import (
    LANES,
    add,
    all_lanes,
    first_lanes,
    fma,
    limited,
    load,
    multiply,
    prefetch,
    prefetch_to_write,
    splat,
    store,
    subtract,
    where_inside,
    where_positive,
)
from passus.kernels.threads import added, collected, split

__all__ = [
    "channel_moments",
    "channel_products",
    "channel_sums",
    "prepare",
    "scaled_channels",
    "scaled_gradient",
    "sloped_channels",
    "sloped_gradient",
]

BLOCK = 4096
"""How many numbers a block has: 16 KiB, half of the first-level cache."""

ADDED = 1 << 18
"""How many numbers are worth a thread of their own where they are only added up."""

IN_FLOAT32 = 128
"""How many pixels are added up in float32: the longest sum is one of 32 such numbers."""

PIECE = 1 << 16
"""How many numbers are worth a thread of their own."""

NUMBER = numba.float32

SUMS = numba.float64[:, ::1]


def prepare() -> None:
    """All kernels here are compiled when the module is imported."""


def channel_moments(x: Array) -> tuple[Array, Array]:
    count, mean, squares = _counted(x)
    return mean.astype(np.float32), (squares / count).astype(np.float32)


def channel_sums(x: Array) -> Array:
    rows = _rows(x)
    flat, C = rows.reshape(-1), rows.shape[1]

    def work(start: int, stop: int) -> Array:
        sums = np.zeros(C)
        _totals(flat, sums, start, stop)
        return sums

    return added(collected(work, len(rows), -(-ADDED // C))).astype(np.float32)


def _counted(x: Array) -> tuple[Array, Array, Array]:
    """Of each channel: how many numbers there are, their mean, and the sum of their squared deviations from it."""
    rows = _rows(x)
    pieces = _in_pieces(rows, lambda sums, start, stop: _moments(rows.reshape(-1), sums, start, stop), 3)
    count, mean, squares = pieces[0]
    for n, m, s in pieces[1:]:
        # Chan, Golub and LeVeque, 1983: two samples as one.
        d = m - mean
        mean = mean + d * (n / (count + n))
        squares = squares + s + d * d * (count * n / (count + n))
        count = count + n
    return count, mean, squares


def scaled_channels(x: Array, mean: Array, scale: Array, shift: Array, limits: Limits | None = None) -> Array:
    rows = _rows(x)
    y = np.empty_like(rows)
    flat, of_channels = rows.reshape(-1), _of_channels(mean, scale, shift)

    def work(start: int, stop: int) -> None:
        _scaled(flat, *of_channels, *_numbers(limits), y.reshape(-1), y.shape[1], start, stop)

    split(work, len(rows), -(-PIECE // y.shape[1]))
    return _like(y, x)


def channel_products(
    gy: Array, x: Array, mean: Array, scale: Array, shift: Array, limits: Limits | None = None
) -> tuple[Array, Array]:
    rows, g = _rows(x).reshape(-1), _rows(gy)
    of_channels = _of_channels(mean, scale, shift)

    def work(sums: Array, start: int, stop: int) -> None:
        _products(g.reshape(-1), rows, *of_channels, *_numbers(limits), sums, start, stop)

    total, product = np.sum(_in_pieces(g, work, 2), axis=0).astype(np.float32)
    return total, product


def scaled_gradient(
    gy: Array,
    x: Array,
    mean: Array,
    scale: Array,
    shift: Array,
    share: Array,
    slope: Array,
    limits: Limits | None = None,
) -> Array:
    rows, g = _rows(x), _rows(gy)
    gx = np.empty_like(rows)
    of_channels = _of_channels(mean, scale, shift, share, slope)

    def work(start: int, stop: int) -> None:
        arrays = (g.reshape(-1), rows.reshape(-1), *of_channels, *_numbers(limits), gx.reshape(-1))
        _scaled_gradient(*arrays, gx.shape[1], start, stop)

    split(work, len(rows), -(-PIECE // gx.shape[1]))
    return _like(gx, x)


def sloped_channels(x: Array, slope: Array) -> Array:
    """``max(x, 0) + slope * min(x, 0)``, with one slope or one for each channel."""
    rows = _rows(x)
    y = np.empty_like(rows)
    flat, slopes = rows.reshape(-1), _of_each_channel(slope, rows)

    def work(start: int, stop: int) -> None:
        _sloped(flat, slopes, y.reshape(-1), y.shape[1], start, stop)

    split(work, len(rows), -(-PIECE // y.shape[1]))
    return _like(y, x)


def sloped_gradient(gy: Array, x: Array, slope: Array) -> tuple[Array, Array]:
    """The gradients for x and for the slope."""
    rows, g = _rows(x), _rows(gy)
    gx = np.empty_like(rows)
    flat, slopes = rows.reshape(-1), _of_each_channel(slope, rows)

    def work(sums: Array, start: int, stop: int) -> None:
        _sloped_gradient(g.reshape(-1), flat, slopes, gx.reshape(-1), sums, start, stop)

    sums = np.sum(_in_pieces(rows, work, 1), axis=(0, 1))
    gslope = sums if slope.size == len(sums) else sums.sum()
    return _like(gx, x), gslope.astype(np.float32).reshape(slope.shape)


def _of_each_channel(slope: Array, rows: Array) -> Array:
    return np.ascontiguousarray(np.broadcast_to(slope.reshape(-1), rows.shape[1]))


def _rows(x: Array) -> Array:
    """(N, C, ...) as an array (pixels, C) without gaps."""
    return with_channels_last(x).reshape(-1, x.shape[1])


def _like(rows: Array, x: Array) -> Array:
    """The inverse of `_rows`."""
    return channels_second(rows.reshape(len(x), *x.shape[2:], x.shape[1]))


def _numbers(limits: Limits | None) -> Limits:
    """Limits as kernels take them: nothing is below or above a NaN."""
    low, high = limits or (math.nan, math.nan)
    return low, high if high < math.inf else math.nan


def _of_channels(*vectors: Array) -> tuple[Array, ...]:
    return tuple([np.ascontiguousarray(v, np.float32) for v in vectors])


def _in_pieces(rows: Array, work: Callable[[Array, int, int], None], sums: int) -> list[Array]:
    """What ``work`` writes into ``sums`` rows of numbers for each channel, for each piece of the pixels, in their order."""

    def one(start: int, stop: int) -> Array:
        part = np.zeros((sums, rows.shape[1]))
        work(part, start, stop)
        return part

    return collected(one, len(rows), -(-PIECE // rows.shape[1]))


@inlined
def _share(C: Any, c: Any, first: Any, last: Any) -> Any:
    """Where the part of the next block begins that is asked for while the vector of channels from ``c`` goes through this one.

    Blocks are gone through once for each vector, in steps too wide for the processor to foresee what comes next: for each
    vector that is read, one of the next block is asked for.
    """
    return last * C + (last - first) * c


@inlined
def _moments_of_block(x: Any, means: Any, squares: Any, C: Any, c: Any, first: Any, last: Any, lanes: Any) -> None:
    zero = splat(np.float32(0))
    a0, a1, a2, a3 = zero, zero, zero, zero  # Four sums, so that none waits for the one before.
    p, ahead = first, _share(C, c, first, last)
    while p + 4 <= last:
        for i in range(4):
            prefetch(x, ahead + i * LANES)
        ahead += 4 * LANES
        a0, a1 = add(a0, load(x, p * C + c, lanes)), add(a1, load(x, (p + 1) * C + c, lanes))
        a2, a3 = add(a2, load(x, (p + 2) * C + c, lanes)), add(a3, load(x, (p + 3) * C + c, lanes))
        p += 4
    while p < last:
        a0 = add(a0, load(x, p * C + c, lanes))
        p += 1
    mean = multiply(add(add(a0, a1), add(a2, a3)), splat(np.float32(1.0 / (last - first))))
    a0, a1, a2, a3 = zero, zero, zero, zero
    b0, b1, b2, b3 = zero, zero, zero, zero
    p = first
    while p + 4 <= last:
        d0, d1 = subtract(load(x, p * C + c, lanes), mean), subtract(load(x, (p + 1) * C + c, lanes), mean)
        d2, d3 = subtract(load(x, (p + 2) * C + c, lanes), mean), subtract(load(x, (p + 3) * C + c, lanes), mean)
        a0, a1, a2, a3 = fma(d0, d0, a0), fma(d1, d1, a1), fma(d2, d2, a2), fma(d3, d3, a3)
        b0, b1, b2, b3 = add(d0, b0), add(d1, b1), add(d2, b2), add(d3, b3)
        p += 4
    while p < last:
        d0 = subtract(load(x, p * C + c, lanes), mean)
        a0, b0 = fma(d0, d0, a0), add(d0, b0)
        p += 1
    # The mean was rounded: what it is off is the mean of the deviations.
    total = add(add(b0, b1), add(b2, b3))
    shift = multiply(total, splat(np.float32(1.0 / (last - first))))
    store(means, c, add(mean, shift), lanes)
    store(squares, c, subtract(add(add(a0, a1), add(a2, a3)), multiply(total, shift)), lanes)


@inlined
def _add_rows(x: Any, part: Any, C: Any, c: Any, p: Any, lanes: Any) -> None:
    a0, a1 = load(x, p * C + c, lanes), load(x, (p + 1) * C + c, lanes)
    a2, a3 = load(x, (p + 2) * C + c, lanes), load(x, (p + 3) * C + c, lanes)
    store(part, c, add(load(part, c, all_lanes()), add(add(a0, a1), add(a2, a3))), all_lanes())


@compiled(numba.void(READ, numba.float64[::1], INTEGER, INTEGER))
def _totals(x: Any, sums: Any, start: Any, stop: Any) -> None:
    """Add pixels from ``start`` to ``stop``: ``IN_FLOAT32`` of them in float32, and what comes of that in float64."""
    C = len(sums)
    whole, part = C - C % LANES, np.empty(C + LANES, np.float32)
    for first in range(start, stop, IN_FLOAT32):
        part[:] = 0
        p, last = first, min(first + IN_FLOAT32, stop)
        while p + 4 <= last:
            for c in range(0, whole, LANES):
                _add_rows(x, part, C, c, p, all_lanes())
            if whole < C:
                _add_rows(x, part, C, whole, p, first_lanes(C - whole))
            p += 4
        for row in range(p, last):
            for c in range(C):
                part[c] += x[row * C + c]
        for c in range(C):
            sums[c] += part[c]


@compiled(numba.void(READ, SUMS, INTEGER, INTEGER))
def _moments(x: Any, sums: Any, start: Any, stop: Any) -> None:
    """Number, mean, and sum of the squared deviations of pixels from ``start`` to ``stop``."""
    C = sums.shape[1]
    block = max(1, BLOCK // C)
    means, squares = np.empty(C, np.float32), np.empty(C, np.float32)
    for first in range(start, stop, block):
        last = min(first + block, stop)
        for c in range(0, C - C % LANES, LANES):
            _moments_of_block(x, means, squares, C, c, first, last, all_lanes())
        if C % LANES:
            _moments_of_block(x, means, squares, C, C - C % LANES, first, last, first_lanes(C % LANES))
        count, n = sums[0, 0], last - first
        for c in range(C):
            d = means[c] - sums[1, c]
            sums[1, c] += d * (n / (count + n))
            sums[2, c] += squares[c] + d * d * (count * n / (count + n))
        sums[0] += n


@inlined
def _products_of_block(
    gy: Any,
    x: Any,
    means: Any,
    scales: Any,
    shifts: Any,
    low: Any,
    high: Any,
    totals: Any,
    products: Any,
    C: Any,
    c: Any,
    first: Any,
    last: Any,
    lanes: Any,
) -> None:
    mean, scale, shift = load(means, c, lanes), load(scales, c, lanes), load(shifts, c, lanes)
    low, high, zero = splat(low), splat(high), splat(np.float32(0))
    a0, a1, b0, b1 = zero, zero, zero, zero
    p, ahead = first, _share(C, c, first, last)
    while p + 2 <= last:
        for i in range(2):
            prefetch(x, ahead + i * LANES)
            prefetch(gy, ahead + i * LANES)
        ahead += 2 * LANES
        d0, d1 = subtract(load(x, p * C + c, lanes), mean), subtract(load(x, (p + 1) * C + c, lanes), mean)
        g0 = where_inside(fma(d0, scale, shift), low, high, load(gy, p * C + c, lanes))
        g1 = where_inside(fma(d1, scale, shift), low, high, load(gy, (p + 1) * C + c, lanes))
        a0, a1, b0, b1 = add(a0, g0), add(a1, g1), fma(g0, d0, b0), fma(g1, d1, b1)
        p += 2
    while p < last:
        d0 = subtract(load(x, p * C + c, lanes), mean)
        g0 = where_inside(fma(d0, scale, shift), low, high, load(gy, p * C + c, lanes))
        a0, b0 = add(a0, g0), fma(g0, d0, b0)
        p += 1
    store(totals, c, add(a0, a1), lanes)
    store(products, c, add(b0, b1), lanes)


@compiled(numba.void(READ, READ, READ, READ, READ, NUMBER, NUMBER, SUMS, INTEGER, INTEGER))
def _products(
    gy: Any,
    x: Any,
    means: Any,
    scales: Any,
    shifts: Any,
    low: Any,
    high: Any,
    sums: Any,
    start: Any,
    stop: Any,
) -> None:
    """The sum of gy between the limits, and that of its products with the deviations of x."""
    C = sums.shape[1]
    block, whole = max(1, BLOCK // C), C - C % LANES
    totals, products = np.empty(C, np.float32), np.empty(C, np.float32)
    for p in range(start, stop, block):
        q = min(p + block, stop)
        for c in range(0, whole, LANES):
            _products_of_block(gy, x, means, scales, shifts, low, high, totals, products, C, c, p, q, all_lanes())
        if whole < C:
            c, rest = whole, first_lanes(C - whole)
            _products_of_block(gy, x, means, scales, shifts, low, high, totals, products, C, c, p, q, rest)
        for c in range(C):
            sums[0, c] += totals[c]
            sums[1, c] += products[c]


@inlined
def _scaled_block(
    x: Any,
    means: Any,
    scales: Any,
    shifts: Any,
    low: Any,
    high: Any,
    y: Any,
    C: Any,
    c: Any,
    first: Any,
    last: Any,
    lanes: Any,
) -> None:
    mean, scale, shift = load(means, c, lanes), load(scales, c, lanes), load(shifts, c, lanes)
    low, high = splat(low), splat(high)
    ahead = _share(C, c, first, last)
    for p in range(first, last):
        prefetch(x, ahead)
        prefetch_to_write(y, ahead)
        ahead += LANES
        value = fma(subtract(load(x, p * C + c, lanes), mean), scale, shift)
        store(y, p * C + c, limited(value, low, high), lanes)


@compiled(numba.void(READ, READ, READ, READ, NUMBER, NUMBER, FLAT, INTEGER, INTEGER, INTEGER))
def _scaled(
    x: Any, means: Any, scales: Any, shifts: Any, low: Any, high: Any, y: Any, C: Any, start: Any, stop: Any
) -> None:
    block, whole = max(1, BLOCK // C), C - C % LANES
    for p in range(start, stop, block):
        q = min(p + block, stop)
        for c in range(0, whole, LANES):
            _scaled_block(x, means, scales, shifts, low, high, y, C, c, p, q, all_lanes())
        if whole < C:
            _scaled_block(x, means, scales, shifts, low, high, y, C, whole, p, q, first_lanes(C - whole))


@inlined
def _gradient_of_block(
    gy: Any,
    x: Any,
    means: Any,
    scales: Any,
    shifts: Any,
    shares: Any,
    slopes: Any,
    low: Any,
    high: Any,
    gx: Any,
    C: Any,
    c: Any,
    first: Any,
    last: Any,
    lanes: Any,
) -> None:
    mean, scale, shift = load(means, c, lanes), load(scales, c, lanes), load(shifts, c, lanes)
    share, slope, low, high = load(shares, c, lanes), load(slopes, c, lanes), splat(low), splat(high)
    ahead = _share(C, c, first, last)
    for p in range(first, last):
        prefetch(x, ahead)
        prefetch(gy, ahead)
        prefetch_to_write(gx, ahead)
        ahead += LANES
        d = subtract(load(x, p * C + c, lanes), mean)
        g = where_inside(fma(d, scale, shift), low, high, load(gy, p * C + c, lanes))
        store(gx, p * C + c, multiply(subtract(subtract(g, share), multiply(d, slope)), scale), lanes)


@compiled(numba.void(READ, READ, READ, READ, READ, READ, READ, NUMBER, NUMBER, FLAT, INTEGER, INTEGER, INTEGER))
def _scaled_gradient(
    gy: Any,
    x: Any,
    means: Any,
    scales: Any,
    shifts: Any,
    shares: Any,
    slopes: Any,
    low: Any,
    high: Any,
    gx: Any,
    C: Any,
    start: Any,
    stop: Any,
) -> None:
    block, whole = max(1, BLOCK // C), C - C % LANES
    for p in range(start, stop, block):
        q = min(p + block, stop)
        for c in range(0, whole, LANES):
            _gradient_of_block(gy, x, means, scales, shifts, shares, slopes, low, high, gx, C, c, p, q, all_lanes())
        if whole < C:
            c, rest = whole, first_lanes(C - whole)
            _gradient_of_block(gy, x, means, scales, shifts, shares, slopes, low, high, gx, C, c, p, q, rest)


@inlined
def _sloped_block(x: Any, slopes: Any, y: Any, C: Any, c: Any, first: Any, last: Any, lanes: Any) -> None:
    slope, ahead = load(slopes, c, lanes), _share(C, c, first, last)
    for p in range(first, last):
        prefetch(x, ahead)
        prefetch_to_write(y, ahead)
        ahead += LANES
        value = load(x, p * C + c, lanes)
        store(y, p * C + c, where_positive(value, value, multiply(value, slope)), lanes)


@compiled(numba.void(READ, READ, FLAT, INTEGER, INTEGER, INTEGER))
def _sloped(x: Any, slopes: Any, y: Any, C: Any, start: Any, stop: Any) -> None:
    block, whole = max(1, BLOCK // C), C - C % LANES
    for p in range(start, stop, block):
        q = min(p + block, stop)
        for c in range(0, whole, LANES):
            _sloped_block(x, slopes, y, C, c, p, q, all_lanes())
        if whole < C:
            _sloped_block(x, slopes, y, C, whole, p, q, first_lanes(C - whole))


@inlined
def _sloped_gradient_block(
    gy: Any, x: Any, slopes: Any, gx: Any, totals: Any, C: Any, c: Any, first: Any, last: Any, lanes: Any
) -> None:
    slope, zero, none = load(slopes, c, lanes), splat(np.float32(0)), splat(np.float32(np.nan))
    ahead, total = _share(C, c, first, last), zero
    for p in range(first, last):
        prefetch(x, ahead)
        prefetch(gy, ahead)
        prefetch_to_write(gx, ahead)
        ahead += LANES
        value, g = load(x, p * C + c, lanes), load(gy, p * C + c, lanes)
        store(gx, p * C + c, where_positive(value, g, multiply(g, slope)), lanes)
        total = fma(where_inside(value, none, zero, g), limited(value, none, zero), total)
    store(totals, c, total, lanes)


@compiled(numba.void(READ, READ, READ, FLAT, SUMS, INTEGER, INTEGER))
def _sloped_gradient(gy: Any, x: Any, slopes: Any, gx: Any, sums: Any, start: Any, stop: Any) -> None:
    """The gradient for x, and the sum of that for the slope of each channel."""
    C = sums.shape[1]
    block, whole, totals = max(1, BLOCK // C), C - C % LANES, np.empty(C, np.float32)
    for p in range(start, stop, block):
        q = min(p + block, stop)
        for c in range(0, whole, LANES):
            _sloped_gradient_block(gy, x, slopes, gx, totals, C, c, p, q, all_lanes())
        if whole < C:
            _sloped_gradient_block(gy, x, slopes, gx, totals, C, whole, p, q, first_lanes(C - whole))
        for c in range(C):
            sums[0, c] += totals[c]
