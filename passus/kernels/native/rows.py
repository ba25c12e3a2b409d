"""Softmax, its logarithm, and the cross entropy with labels, in float32: a row at a time, which stays in the cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.backend.numpy import existing_rows
from passus.kernels.formulas import centred, exponential, log_gradient
from passus.kernels.native import formulas as formulas  # Importing it lets kernels read formulas.
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.loops import for_vectors, sum_vectors
from passus.kernels.native.scatter import ROWS
from passus.kernels.native.simd import load, load_or, splat, store
from passus.kernels.native.sums import maximum_of, sum_of, sum_of_products
from passus.kernels.threads import split

__all__ = [
    "cross_entropy",
    "cross_entropy_gradient",
    "log_softmax",
    "log_softmax_gradient",
    "softmax",
    "softmax_gradient",
]

PIECE = 1 << 16
"""Numbers that are worth a thread."""
LEAST = np.float32(-np.inf)


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
    """The result for rows of the arrays, with the memory layout of the first one."""
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
def _exponential(arguments: Any, i: Any, lanes: Any) -> Any:
    x, first, top = arguments
    return exponential(load_or(x, first + i, lanes, splat(LEAST)), top)


@inlined
def _stored_exponential(arguments: Any, i: Any, lanes: Any) -> Any:
    x, first, top, y = arguments
    e = exponential(load_or(x, first + i, lanes, splat(LEAST)), top)
    store(y, first + i, e, lanes)
    return e


@inlined
def _scale(arguments: Any, i: Any, lanes: Any) -> None:
    y, first, scale = arguments
    store(y, first + i, load(y, first + i, lanes) * scale, lanes)


@compiled(numba.void(READ, FLAT, INTEGER, INTEGER, INTEGER), allocates=False)
def _softmax(x: Any, y: Any, D: Any, start: Any, stop: Any) -> None:
    for row in range(start, stop):
        first = row * D
        top = splat(maximum_of(x, first, first + D))
        total = sum_vectors(_stored_exponential, (x, first, top, y), D)
        for_vectors(_scale, (y, first, splat(np.float32(1.0 / total))), D)


@compiled(numba.void(READ, FLAT, INTEGER, INTEGER, INTEGER), allocates=False)
def _log_softmax(x: Any, y: Any, D: Any, start: Any, stop: Any) -> None:
    for row in range(start, stop):
        first, last = row * D, (row + 1) * D
        top = maximum_of(x, first, last)
        log_z = np.float32(math.log(np.float32(sum_vectors(_exponential, (x, first, splat(top)), D))))
        for i in range(first, last):
            y[i] = x[i] - top - log_z


@compiled(numba.void(READ, READ, FLAT, INTEGER, INTEGER, INTEGER), allocates=False)
def _softmax_gradient(y: Any, gy: Any, gx: Any, D: Any, start: Any, stop: Any) -> None:
    for row in range(start, stop):
        first, last = row * D, (row + 1) * D
        mean = sum_of_products(gy, y, first, last)
        for i in range(first, last):
            gx[i] = centred(gy[i], y[i], mean)


@inlined
def _log_gradient(arguments: Any, i: Any, lanes: Any) -> None:
    gy, y, total, gx, first = arguments
    store(gx, first + i, log_gradient(load(gy, first + i, lanes), load(y, first + i, lanes), total), lanes)


@compiled(numba.void(READ, READ, FLAT, INTEGER, INTEGER, INTEGER), allocates=False)
def _log_softmax_gradient(y: Any, gy: Any, gx: Any, D: Any, start: Any, stop: Any) -> None:
    for row in range(start, stop):
        first = row * D
        total = splat(sum_of(gy, first, first + D))
        for_vectors(_log_gradient, (gy, y, total, gx, first), D)


@inlined
def _difference(arguments: Any, i: Any, lanes: Any) -> Any:
    x, first, top = arguments
    return load_or(x, first + i, lanes, top) - top


@compiled(
    numba.void(READ, ROWS, FLAT, FLAT, FLAT, INTEGER, numba.float64, INTEGER, INTEGER),
    allocates=False,
)
def _cross_entropy(
    x: Any, labels: Any, losses: Any, tops: Any, zs: Any, D: Any, smoothing: Any, start: Any, stop: Any
) -> None:
    for row in range(start, stop):
        first = row * D
        top = maximum_of(x, first, first + D)
        z = np.float32(sum_vectors(_exponential, (x, first, splat(top)), D))
        score = x[first + labels[row]] - top
        if smoothing:
            rest = smoothing / D * sum_vectors(_difference, (x, first, splat(top)), D)
            score = np.float32((1 - smoothing) * score + rest)
        losses[row] = np.float32(math.log(z)) - score
        tops[row], zs[row] = top, z


@inlined
def _row_gradient(arguments: Any, i: Any, lanes: Any) -> None:
    x, first, top, scale, smoothed, gx = arguments
    e = exponential(load_or(x, first + i, lanes, splat(LEAST)), top)
    store(gx, first + i, e * scale - smoothed, lanes)


@compiled(
    numba.void(READ, READ, READ, READ, ROWS, FLAT, INTEGER, numba.float64, INTEGER, INTEGER),
    allocates=False,
)
def _cross_entropy_gradient(
    gy: Any, tops: Any, zs: Any, x: Any, labels: Any, gx: Any, D: Any, smoothing: Any, start: Any, stop: Any
) -> None:
    for row in range(start, stop):
        first, last = row * D, (row + 1) * D
        if gy[row] == 0:
            gx[first:last] = 0
            continue
        top, scale = splat(tops[row]), splat(gy[row] / zs[row])
        # Without smoothing nothing is subtracted, even of a gradient that is not finite.
        smoothed = splat(np.float32(gy[row] * smoothing / D if smoothing else 0.0))
        for_vectors(_row_gradient, (x, first, top, scale, smoothed, gx), D)
        gx[first + labels[row]] -= np.float32((1 - smoothing) * gy[row])
