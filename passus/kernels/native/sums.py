"""Sums and maxima of contiguous numbers, with several vectors at once, so that none waits for the one before.

Long sums are taken in float32 over blocks, and in float64 over the sums of blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.kernels.native.compiling import inlined
from passus.kernels.native.loops import BLOCK as BLOCK
from passus.kernels.native.simd import (
    LANES,
    all_lanes,
    first_lanes,
    fma,
    load,
    load_or,
    maximum,
    maximum_of_lanes,
    splat,
    sum_of_lanes,
)

__all__ = ["maximum_of", "sum_of", "sum_of_products", "sums_of_deviations"]


@inlined
def sum_of(x: Any, first: Any, last: Any) -> Any:
    """The sum of ``x[first:last]``."""
    total = 0.0
    for start in range(first, last, BLOCK):
        total += _sum_of_block(x, start, min(start + BLOCK, last))
    return np.float32(total)


@inlined
def _sum_of_block(x: Any, first: Any, last: Any) -> Any:
    zero = splat(np.float32(0))
    a0, a1, a2, a3 = zero, zero, zero, zero
    i = first
    while i + 4 * LANES <= last:
        a0, a1 = a0 + load(x, i, all_lanes()), a1 + load(x, i + LANES, all_lanes())
        a2 = a2 + load(x, i + 2 * LANES, all_lanes())
        a3 = a3 + load(x, i + 3 * LANES, all_lanes())
        i += 4 * LANES
    while i < last:
        a0 = a0 + load(x, i, first_lanes(last - i))
        i += LANES
    return sum_of_lanes((a0 + a1) + (a2 + a3))


@inlined
def sums_of_deviations(x: Any, first: Any, last: Any, mean: Any) -> Any:
    """The sum of ``x[first:last] - mean``, and that of its squares."""
    total, squares = 0.0, 0.0
    for start in range(first, last, BLOCK):
        part, squared = _deviations_of_block(x, start, min(start + BLOCK, last), mean)
        total += part
        squares += squared
    return total, squares


@inlined
def _deviations_of_block(x: Any, first: Any, last: Any, mean: Any) -> Any:
    zero, shift = splat(np.float32(0)), splat(mean)
    a0, a1, a2, a3 = zero, zero, zero, zero
    b0, b1, b2, b3 = zero, zero, zero, zero
    i = first
    while i + 4 * LANES <= last:
        d0, d1 = load(x, i, all_lanes()) - shift, load(x, i + LANES, all_lanes()) - shift
        d2 = load(x, i + 2 * LANES, all_lanes()) - shift
        d3 = load(x, i + 3 * LANES, all_lanes()) - shift
        a0, a1, a2, a3 = fma(d0, d0, a0), fma(d1, d1, a1), fma(d2, d2, a2), fma(d3, d3, a3)
        b0, b1, b2, b3 = d0 + b0, d1 + b1, d2 + b2, d3 + b3
        i += 4 * LANES
    while i < last:
        d0 = load_or(x, i, first_lanes(last - i), shift) - shift
        a0, b0 = fma(d0, d0, a0), d0 + b0
        i += LANES
    return sum_of_lanes((b0 + b1) + (b2 + b3)), sum_of_lanes((a0 + a1) + (a2 + a3))


@inlined
def sum_of_products(x: Any, y: Any, first: Any, last: Any) -> Any:
    """The sum of ``x[first:last] * y[first:last]``."""
    total = 0.0
    for start in range(first, last, BLOCK):
        total += _products_of_block(x, y, start, min(start + BLOCK, last))
    return np.float32(total)


@inlined
def _products_of_block(x: Any, y: Any, first: Any, last: Any) -> Any:
    zero = splat(np.float32(0))
    a0, a1 = zero, zero
    i = first
    while i + 2 * LANES <= last:
        a0 = fma(load(x, i, all_lanes()), load(y, i, all_lanes()), a0)
        a1 = fma(load(x, i + LANES, all_lanes()), load(y, i + LANES, all_lanes()), a1)
        i += 2 * LANES
    while i < last:
        a0 = fma(load(x, i, first_lanes(last - i)), load(y, i, first_lanes(last - i)), a0)
        i += LANES
    return sum_of_lanes(a0 + a1)


@inlined
def maximum_of(x: Any, first: Any, last: Any) -> Any:
    """The largest of ``x[first:last]``, -inf of none; NaN if there is one."""
    least = splat(np.float32(-np.inf))
    a0, a1 = least, least
    i = first
    while i + 2 * LANES <= last:
        a0, a1 = maximum(load(x, i, all_lanes()), a0), maximum(load(x, i + LANES, all_lanes()), a1)
        i += 2 * LANES
    while i < last:
        a0 = maximum(load_or(x, i, first_lanes(last - i), least), a0)
        i += LANES
    return maximum_of_lanes(maximum(a0, a1))
