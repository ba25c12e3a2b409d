"""Softmax, its logarithm, and the cross entropy with labels, in float32: a row at a time, which stays in the cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.backend.numpy import existing_rows
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.elementary import exp_below_zero
from passus.kernels.native.scatter import ROWS
from passus.kernels.native.simd import (
    LANES,
    add,
    all_lanes,
    first_lanes,
    load,
    load_or,
    multiply,
    splat,
    store,
    subtract,
    sum_of_lanes,
)
from passus.kernels.native.sums import BLOCK, maximum_of, sum_of, sum_of_products
from passus.kernels.threads import split

__all__ = [
    "cross_entropy",
    "cross_entropy_gradient",
    "log_softmax",
    "log_softmax_gradient",
    "prepare",
    "softmax",
    "softmax_gradient",
]

PIECE = 1 << 16
"""How many numbers are worth a thread of their own."""
LEAST = np.float32(-np.inf)


def prepare() -> None:
    """All kernels here are compiled when the module is imported."""


def softmax(x: Array, axis: int) -> Array:
    return _of_rows(_softmax, axis, x)


def log_softmax(x: Array, axis: int) -> Array:
    return _of_rows(_log_softmax, axis, x)


def softmax_gradient(gy: Array, y: Array, axis: int) -> Array:
    return _of_rows(_softmax_gradient, axis, y, gy)


def log_softmax_gradient(gy: Array, y: Array, axis: int) -> Array:
    return _of_rows(_log_softmax_gradient, axis, y, gy)


def cross_entropy(x: Array, t: Array, smoothing: float = 0.0) -> tuple[Array, Array, Array, None]:
    rows, labels = _rows(x, 1), existing_rows(t, x.shape[1])
    losses, top, z = [np.empty(t.shape, np.float32) for _ in range(3)]
    arrays = (rows.reshape(-1), labels, losses.reshape(-1), top.reshape(-1), z.reshape(-1), x.shape[1])
    _split(lambda start, stop: _cross_entropy(*arrays, smoothing, start, stop), t.size, x.shape[1])
    return losses, top, z, None


def cross_entropy_gradient(
    gy: Array, x: Array, t: Array, top: Array, z: Array, e: Array | None = None, smoothing: float = 0.0
) -> Array:
    rows, labels = _rows(x, 1), existing_rows(t, x.shape[1])
    gx = np.empty_like(rows)
    of_rows = [np.ascontiguousarray(v).reshape(-1) for v in (np.broadcast_to(gy, t.shape), top, z)]
    arrays = (*of_rows, rows.reshape(-1), labels, gx.reshape(-1), x.shape[1])
    _split(lambda start, stop: _cross_entropy_gradient(*arrays, smoothing, start, stop), t.size, x.shape[1])
    return np.moveaxis(gx, -1, 1)


def _of_rows(compute: Callable[..., None], axis: int, *arrays: Array) -> Array:
    """What is computed of rows of the arrays, in an array that lies in memory as the first of them does."""
    rows = [_rows(x, axis) for x in arrays]
    y, D = np.empty_like(rows[0]), rows[0].shape[-1]
    flat = [x.reshape(-1) for x in (*rows, y)]
    _split(lambda start, stop: compute(*flat, D, start, stop), y.size // max(1, D), D)
    return np.moveaxis(y, -1, axis)


def _rows(x: Array, axis: int) -> Array:
    return np.ascontiguousarray(np.moveaxis(x, axis, -1))


def _split(work: Callable[[int, int], None], rows: int, D: int) -> None:
    split(work, rows, -(-PIECE // max(1, D)))


@inlined
def _exp_below(x: Any, i: Any, top: Any, lanes: Any) -> Any:
    """``exp(x - top)`` of a vector; 0 in the lanes that are masked."""
    return exp_below_zero(subtract(load_or(x, i, lanes, splat(LEAST)), top))


@inlined
def _sum_of_exponentials(x: Any, first: Any, last: Any, top: Any) -> Any:
    """The sum of ``exp(x[first:last] - top)``."""
    total, shift = 0.0, splat(top)
    for start in range(first, last, BLOCK):
        stop = min(start + BLOCK, last)
        part, whole = splat(np.float32(0)), stop - (stop - start) % LANES
        for i in range(start, whole, LANES):
            part = add(part, _exp_below(x, i, shift, all_lanes()))
        if whole < stop:
            part = add(part, _exp_below(x, whole, shift, first_lanes(stop - whole)))
        total += sum_of_lanes(part)
    return np.float32(total)


@compiled(numba.void(READ, FLAT, INTEGER, INTEGER, INTEGER))
def _softmax(x: Any, y: Any, D: Any, start: Any, stop: Any) -> None:
    for row in range(start, stop):
        first, last, whole = row * D, (row + 1) * D, (row + 1) * D - D % LANES
        total, top = 0.0, splat(maximum_of(x, first, last))
        for begin in range(first, whole, BLOCK):
            part = splat(np.float32(0))
            for i in range(begin, min(begin + BLOCK, whole), LANES):
                e = _exp_below(x, i, top, all_lanes())
                store(y, i, e, all_lanes())
                part = add(part, e)
            total += sum_of_lanes(part)
        if whole < last:
            e = _exp_below(x, whole, top, first_lanes(last - whole))
            store(y, whole, e, first_lanes(last - whole))
            total += sum_of_lanes(e)
        scale = splat(np.float32(1.0 / total))
        for i in range(first, whole, LANES):
            store(y, i, multiply(load(y, i, all_lanes()), scale), all_lanes())
        if whole < last:
            lanes = first_lanes(last - whole)
            store(y, whole, multiply(load(y, whole, lanes), scale), lanes)


@compiled(numba.void(READ, FLAT, INTEGER, INTEGER, INTEGER))
def _log_softmax(x: Any, y: Any, D: Any, start: Any, stop: Any) -> None:
    for row in range(start, stop):
        first, last = row * D, (row + 1) * D
        top = maximum_of(x, first, last)
        log_z = np.float32(math.log(_sum_of_exponentials(x, first, last, top)))
        given, result = x[first:last], y[first:last]
        for i in range(D):
            result[i] = given[i] - top - log_z


@compiled(numba.void(READ, READ, FLAT, INTEGER, INTEGER, INTEGER))
def _softmax_gradient(y: Any, gy: Any, gx: Any, D: Any, start: Any, stop: Any) -> None:
    for row in range(start, stop):
        first, last = row * D, (row + 1) * D
        share = sum_of_products(gy, y, first, last)
        p, g, result = y[first:last], gy[first:last], gx[first:last]
        for i in range(D):
            result[i] = p[i] * (g[i] - share)


@inlined
def _less_share(gy: Any, log_p: Any, total: Any, gx: Any, i: Any, lanes: Any) -> None:
    store(gx, i, subtract(load(gy, i, lanes), multiply(exp_below_zero(load(log_p, i, lanes)), total)), lanes)


@compiled(numba.void(READ, READ, FLAT, INTEGER, INTEGER, INTEGER))
def _log_softmax_gradient(y: Any, gy: Any, gx: Any, D: Any, start: Any, stop: Any) -> None:
    for row in range(start, stop):
        first, last, whole = row * D, (row + 1) * D, (row + 1) * D - D % LANES
        total = splat(sum_of(gy, first, last))
        for i in range(first, whole, LANES):
            _less_share(gy, y, total, gx, i, all_lanes())
        if whole < last:
            _less_share(gy, y, total, gx, whole, first_lanes(last - whole))


@inlined
def _sum_of_differences(x: Any, first: Any, last: Any, top: Any) -> Any:
    """The sum of ``x[first:last] - top``."""
    total, shift = 0.0, splat(top)
    for start in range(first, last, BLOCK):
        stop = min(start + BLOCK, last)
        part, whole = splat(np.float32(0)), stop - (stop - start) % LANES
        for i in range(start, whole, LANES):
            part = add(part, subtract(load(x, i, all_lanes()), shift))
        if whole < stop:
            part = add(part, subtract(load_or(x, whole, first_lanes(stop - whole), shift), shift))
        total += sum_of_lanes(part)
    return total


@compiled(numba.void(READ, ROWS, FLAT, FLAT, FLAT, INTEGER, numba.float64, INTEGER, INTEGER))
def _cross_entropy(
    x: Any, labels: Any, losses: Any, tops: Any, zs: Any, D: Any, smoothing: Any, start: Any, stop: Any
) -> None:
    for row in range(start, stop):
        first, last = row * D, (row + 1) * D
        top = maximum_of(x, first, last)
        z = _sum_of_exponentials(x, first, last, top)
        score = x[first + labels[row]] - top
        if smoothing:
            rest = smoothing / D * _sum_of_differences(x, first, last, top)
            score = np.float32((1 - smoothing) * score + rest)
        losses[row] = np.float32(math.log(z)) - score
        tops[row], zs[row] = top, z


@inlined
def _less_target(x: Any, i: Any, top: Any, scale: Any, share: Any, gx: Any, lanes: Any) -> None:
    store(gx, i, subtract(multiply(_exp_below(x, i, top, lanes), scale), share), lanes)


@compiled(numba.void(READ, READ, READ, READ, ROWS, FLAT, INTEGER, numba.float64, INTEGER, INTEGER))
def _cross_entropy_gradient(
    gy: Any, tops: Any, zs: Any, x: Any, labels: Any, gx: Any, D: Any, smoothing: Any, start: Any, stop: Any
) -> None:
    for row in range(start, stop):
        first, last, whole = row * D, (row + 1) * D, (row + 1) * D - D % LANES
        if gy[row] == 0:
            gx[first:last] = 0
            continue
        top, scale = splat(tops[row]), splat(gy[row] / zs[row])
        # Without smoothing nothing is subtracted, even of a gradient that is not finite.
        share = splat(np.float32(gy[row] * smoothing / D if smoothing else 0.0))
        for i in range(first, whole, LANES):
            _less_target(x, i, top, scale, share, gx, all_lanes())
        if whole < last:
            _less_target(x, whole, top, scale, share, gx, first_lanes(last - whole))
        gx[first + labels[row]] -= np.float32((1 - smoothing) * gy[row])
