"""Normalization of numbers that lie side by side, in float32: a row at a time, which stays in the cache.

The gradients of gamma and beta, which all rows share, are summed in float32 over short blocks of rows, and in float64 over blocks.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba import types

from passus.backend import Array
from passus.kernels.native.buffers import aligned_zeros
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.groups import grouped, grouped_gradients
from passus.kernels.native.loops import for_vectors, sums_of_vectors
from passus.kernels.native.simd import fma, load, splat, store
from passus.kernels.native.sums import sum_of, sums_of_deviations
from passus.kernels.threads import collected, split

__all__ = ["normalized", "normalized_gradients", "rms_normalized", "rms_normalized_gradients"]

BLOCK = 32
"""Rows that are summed in float32."""

PIECE = 1 << 17
"""Numbers that are worth a thread."""

NUMBER = numba.float32
MATRIX = numba.float32[:, ::1]


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
    """``x`` normalized, the mean that was subtracted, and the factor."""
    y = np.empty_like(x)
    of_rows = [np.empty((*x.shape[: -len(axes)], *[1] * len(axes)), np.float32) for _ in range(2)]
    arrays = tuple([np.ascontiguousarray(v).reshape(-1) for v in (x, gamma, beta)])
    results = tuple([v.reshape(-1) for v in (y, *of_rows)])

    def work(start: int, stop: int) -> None:
        _normalized(arrays, eps, centred, results, start, stop)

    split(work, of_rows[0].size, -(-PIECE // max(1, gamma.size)))
    return y, *of_rows


def _backward(
    gy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array, centred: bool
) -> tuple[Array, Array, Array]:
    """The gradients for ``x``, ``gamma`` and ``beta``."""
    gx = np.empty_like(x)
    arrays = tuple([np.ascontiguousarray(v).reshape(-1) for v in (gy, x, gamma, mean, inv_std)])

    def work(start: int, stop: int) -> Array:
        sums = np.zeros((2, gamma.size))
        scratch = aligned_zeros(2 * gamma.size).reshape(2, gamma.size)
        _gradients(arrays, centred, gx.reshape(-1), scratch, sums, start, stop)
        return sums

    pieces = collected(work, mean.size, -(-PIECE // max(1, gamma.size)))
    ggamma, gbeta = np.sum(pieces, axis=0).astype(np.float32).reshape(2, *gamma.shape)
    return gx, ggamma, gbeta


@inlined
def _scale(arguments: Any, i: Any, lanes: Any) -> None:
    x, gamma, beta, mean, inv_std, y, at = arguments
    x_hat = (load(x, at + i, lanes) - mean) * inv_std
    store(y, at + i, fma(x_hat, load(gamma, i, lanes), load(beta, i, lanes)), lanes)


@compiled(
    numba.void(types.UniTuple(READ, 3), NUMBER, numba.boolean, types.UniTuple(FLAT, 3), INTEGER, INTEGER),
    allocates=False,
)
def _normalized(arrays: Any, eps: Any, centred: Any, results: Any, start: Any, stop: Any) -> None:
    (x, gamma, beta), (y, means, inv_stds) = arrays, results
    D = len(gamma)
    count = np.float32(D)
    for row in range(start, stop):
        at = row * D
        mean = sum_of(x, at, at + D) / count if centred else np.float32(0)
        total, squares = sums_of_deviations(x, at, at + D, mean)
        variance = squares / D
        if centred:  # The mean was rounded: its error is the mean of the deviations.
            error_of_mean = total / D
            mean, variance = np.float32(mean + error_of_mean), variance - error_of_mean * error_of_mean
        inv_std = np.float32(1 / math.sqrt(variance + eps))
        means[row], inv_stds[row] = mean, inv_std
        for_vectors(_scale, (x, gamma, beta, splat(mean), splat(inv_std), y, at), D)


@inlined
def _products(arguments: Any, i: Any, lanes: Any) -> Any:
    """Add a vector of a row to the gradients of gamma and beta; return the terms of two sums over the row."""
    gy, x, gamma, mean, inv_std, ggamma, gbeta, at = arguments
    g, x_hat = load(gy, at + i, lanes), (load(x, at + i, lanes) - mean) * inv_std
    store(ggamma, i, fma(g, x_hat, load(ggamma, i, lanes)), lanes)
    store(gbeta, i, g + load(gbeta, i, lanes), lanes)
    g = g * load(gamma, i, lanes)
    return g * x_hat, g


@inlined
def _gradient(arguments: Any, i: Any, lanes: Any) -> None:
    gy, x, gamma, mean, inv_std, projection, mean_grad, gx, at = arguments
    g = load(gy, at + i, lanes) * load(gamma, i, lanes)
    x_hat = (load(x, at + i, lanes) - mean) * inv_std
    store(gx, at + i, (g - mean_grad - x_hat * projection) * inv_std, lanes)


@compiled(
    numba.void(types.UniTuple(READ, 5), numba.boolean, FLAT, MATRIX, numba.float64[:, ::1], INTEGER, INTEGER),
    allocates=False,
)
def _gradients(arrays: Any, centred: Any, gx: Any, scratch: Any, sums: Any, start: Any, stop: Any) -> None:
    """``scratch``: zeros (2, D)."""
    gy, x, gamma, means, inv_stds = arrays
    D, ggamma, gbeta = len(gamma), scratch[0], scratch[1]
    for row in range(start, stop):
        at, mean, inv_std = row * D, splat(means[row]), splat(inv_stds[row])
        arguments = gy, x, gamma, mean, inv_std, ggamma, gbeta, at
        product, total = sums_of_vectors(_products, arguments, D)
        projection = splat(np.float32(product / D))
        mean_grad = splat(np.float32(total / D) if centred else np.float32(0))
        for_vectors(_gradient, (gy, x, gamma, mean, inv_std, projection, mean_grad, gx, at), D)
        if (row - start) % BLOCK == BLOCK - 1 or row == stop - 1:
            for i in range(D):
                sums[0, i] += ggamma[i]
                sums[1, i] += gbeta[i]
            ggamma[:], gbeta[:] = 0, 0
