"""Normalisation of numbers that lie side by side, in float32: a row at a time, which stays in the cache.

The gradients of what all rows share are summed over short blocks of rows, and blocks are added up in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.groups import grouped, grouped_gradients
from passus.kernels.native.simd import (
    LANES,
    add,
    all_lanes,
    first_lanes,
    fma,
    load,
    multiply,
    splat,
    store,
    subtract,
    sum_of_lanes,
)
from passus.kernels.native.sums import BLOCK as NUMBERS
from passus.kernels.native.sums import sum_of, sums_of_deviations
from passus.kernels.threads import collected, split

__all__ = ["normalized", "normalized_gradients", "prepare", "rms_normalized", "rms_normalized_gradients"]

BLOCK = 32
"""How many rows are summed in float32."""

PIECE = 1 << 17
"""How many numbers are worth a thread of their own."""

NUMBER = numba.float32


def prepare() -> None:
    """All kernels here are compiled when the module is imported."""


def normalized(x: Array, gamma: Array, beta: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array, Array]:
    if gamma.ndim > len(axes):
        return grouped(x, gamma, beta, eps)
    return _forward(x, gamma, beta, axes, eps, centred=True)


def rms_normalized(x: Array, gamma: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array]:
    y, _, inv_rms = _forward(x, gamma, np.zeros_like(gamma), axes, eps, centred=False)
    return y, inv_rms


def normalized_gradients(
    gy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array, axes: tuple[int, ...], needs_x: bool = True
) -> tuple[Array | None, Array, Array]:
    if gamma.ndim > len(axes):
        gx, ggamma, gbeta = grouped_gradients(gy, x, gamma, mean, inv_std)
    else:
        gx, ggamma, gbeta = _backward(gy, x, gamma, mean, inv_std, centred=True)
    return gx if needs_x else None, ggamma, gbeta


def rms_normalized_gradients(
    gy: Array, x: Array, gamma: Array, inv_rms: Array, axes: tuple[int, ...], needs_x: bool = True
) -> tuple[Array | None, Array]:
    gx, ggamma, _ = _backward(gy, x, gamma, np.zeros_like(inv_rms), inv_rms, centred=False)
    return gx if needs_x else None, ggamma


def _forward(
    x: Array, gamma: Array, beta: Array, axes: tuple[int, ...], eps: float, centred: bool
) -> tuple[Array, Array, Array]:
    """``x`` normalised, the mean that was subtracted, and the factor."""
    y = np.empty_like(x)
    of_rows = [np.empty((*x.shape[: -len(axes)], *[1] * len(axes)), np.float32) for _ in range(2)]
    arrays = [np.ascontiguousarray(v).reshape(-1) for v in (x, gamma, beta)]
    results = [v.reshape(-1) for v in (y, *of_rows)]

    def work(start: int, stop: int) -> None:
        _normalized(*arrays, eps, centred, *results, start, stop)

    split(work, of_rows[0].size, -(-PIECE // max(1, gamma.size)))
    return y, *of_rows


def _backward(
    gy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array, centred: bool
) -> tuple[Array, Array, Array]:
    """The gradients for ``x``, ``gamma`` and ``beta``."""
    gx = np.empty_like(x)
    arrays = [np.ascontiguousarray(v).reshape(-1) for v in (gy, x, gamma, mean, inv_std)]

    def work(start: int, stop: int) -> Array:
        sums = np.zeros((2, gamma.size))
        _gradients(*arrays, centred, gx.reshape(-1), sums, start, stop)
        return sums

    parts = collected(work, mean.size, -(-PIECE // max(1, gamma.size)))
    ggamma, gbeta = np.sum(parts, axis=0).astype(np.float32).reshape(2, *gamma.shape)
    return gx, ggamma, gbeta


@inlined
def _scaled(x: Any, gamma: Any, beta: Any, mean: Any, inv_std: Any, y: Any, at: Any, i: Any, lanes: Any) -> None:
    x_hat = multiply(subtract(load(x, at + i, lanes), mean), inv_std)
    store(y, at + i, fma(x_hat, load(gamma, i, lanes), load(beta, i, lanes)), lanes)


@compiled(numba.void(READ, READ, READ, NUMBER, numba.boolean, FLAT, FLAT, FLAT, INTEGER, INTEGER))
def _normalized(
    x: Any, gamma: Any, beta: Any, eps: Any, centred: Any, y: Any, means: Any, inv_stds: Any, start: Any, stop: Any
) -> None:
    D = len(gamma)
    count, whole = np.float32(D), D - D % LANES
    for row in range(start, stop):
        at = row * D
        mean = sum_of(x, at, at + D) / count if centred else np.float32(0)
        total, squares = sums_of_deviations(x, at, at + D, mean)
        variance = squares / D
        if centred:  # The mean was rounded: what it is off is the mean of the deviations.
            shift_of_mean = total / D
            mean, variance = np.float32(mean + shift_of_mean), variance - shift_of_mean * shift_of_mean
        inv_std = np.float32(1 / math.sqrt(variance + eps))
        means[row], inv_stds[row] = mean, inv_std
        shift, scale = splat(mean), splat(inv_std)
        for i in range(0, whole, LANES):
            _scaled(x, gamma, beta, shift, scale, y, at, i, all_lanes())
        if whole < D:
            _scaled(x, gamma, beta, shift, scale, y, at, whole, first_lanes(D - whole))


@inlined
def _products(
    gy: Any, x: Any, gamma: Any, mean: Any, inv_std: Any, ggamma: Any, gbeta: Any, at: Any, i: Any, lanes: Any
) -> Any:
    """What a vector of a row adds to the gradients of gamma and beta, and to two sums over the row."""
    g, x_hat = load(gy, at + i, lanes), multiply(subtract(load(x, at + i, lanes), mean), inv_std)
    store(ggamma, i, fma(g, x_hat, load(ggamma, i, lanes)), lanes)
    store(gbeta, i, add(g, load(gbeta, i, lanes)), lanes)
    g = multiply(g, load(gamma, i, lanes))
    return multiply(g, x_hat), g


@inlined
def _gradient(
    gy: Any,
    x: Any,
    gamma: Any,
    mean: Any,
    inv_std: Any,
    slope: Any,
    share: Any,
    gx: Any,
    at: Any,
    i: Any,
    lanes: Any,
) -> None:
    g = multiply(load(gy, at + i, lanes), load(gamma, i, lanes))
    x_hat = multiply(subtract(load(x, at + i, lanes), mean), inv_std)
    store(gx, at + i, multiply(subtract(subtract(g, share), multiply(x_hat, slope)), inv_std), lanes)


@compiled(numba.void(READ, READ, READ, READ, READ, numba.boolean, FLAT, numba.float64[:, ::1], INTEGER, INTEGER))
def _gradients(
    gy: Any,
    x: Any,
    gamma: Any,
    means: Any,
    inv_stds: Any,
    centred: Any,
    gx: Any,
    sums: Any,
    start: Any,
    stop: Any,
) -> None:
    D = len(gamma)
    whole, rest = D - D % LANES, first_lanes(D % LANES)
    ggamma, gbeta = np.zeros(D, np.float32), np.zeros(D, np.float32)
    for row in range(start, stop):
        at, mean, inv_std = row * D, splat(means[row]), splat(inv_stds[row])
        product, total = 0.0, 0.0
        for begin in range(0, whole, NUMBERS):
            a, b = splat(np.float32(0)), splat(np.float32(0))
            for i in range(begin, min(begin + NUMBERS, whole), LANES):
                p, q = _products(gy, x, gamma, mean, inv_std, ggamma, gbeta, at, i, all_lanes())
                a, b = add(a, p), add(b, q)
            product += sum_of_lanes(a)
            total += sum_of_lanes(b)
        if whole < D:
            p, q = _products(gy, x, gamma, mean, inv_std, ggamma, gbeta, at, whole, rest)
            product += sum_of_lanes(p)
            total += sum_of_lanes(q)
        slope = splat(np.float32(product / D))
        share = splat(np.float32(total / D) if centred else np.float32(0))
        for i in range(0, whole, LANES):
            _gradient(gy, x, gamma, mean, inv_std, slope, share, gx, at, i, all_lanes())
        if whole < D:
            _gradient(gy, x, gamma, mean, inv_std, slope, share, gx, at, whole, rest)
        if (row - start) % BLOCK == BLOCK - 1 or row == stop - 1:
            for i in range(D):
                sums[0, i] += ggamma[i]
                sums[1, i] += gbeta[i]
            ggamma[:], gbeta[:] = 0, 0
