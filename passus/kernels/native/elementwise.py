"""Elementwise functions in float32, for arrays without gaps in memory."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled
from passus.kernels.threads import split

__all__ = ["dropped_out", "limited", "limited_gradient", "limited_sum"]

PIECE = 1 << 16
"""Number of elements that are worth a thread."""


INTEGERS = numba.types.Array(numba.uint32, 1, "C", readonly=True)


def dropped_out(x: Array, drawn: Array, threshold: int, scale: float) -> Array:
    y = np.empty_like(x)
    split(
        lambda start, stop: _dropped_out(_flat(x), _flat(drawn), threshold, scale, _flat(y), start, stop), x.size, PIECE
    )
    return y


def limited(x: Array, low: float, high: float) -> Array:
    y = np.empty_like(x)
    split(lambda start, stop: _limited(_flat(x), low, high, _flat(y), start, stop), x.size, PIECE)
    return y


def limited_sum(x0: Array, x1: Array, low: float, high: float) -> Array:
    y = np.empty_like(x0)
    split(lambda start, stop: _limited_sum(_flat(x0), _flat(x1), low, high, _flat(y), start, stop), x0.size, PIECE)
    return y


def limited_gradient(gy: Array, y: Array, low: float, high: float) -> Array:
    gx, high = np.empty_like(y), math.nan if high == math.inf else high  # Infinity is below no limit, but NaN is none.
    split(lambda start, stop: _limited_gradient(_flat(gy), _flat(y), low, high, _flat(gx), start, stop), y.size, PIECE)
    return gx


def _flat(x: Array) -> Array:
    """The elements in memory order."""
    return x.ravel(order="K")


@compiled(numba.void(READ, INTEGERS, numba.uint32, numba.float32, FLAT, INTEGER, INTEGER))
def _dropped_out(x: Any, drawn: Any, threshold: Any, scale: Any, y: Any, start: Any, stop: Any) -> None:
    x, drawn, y = x[start:stop], drawn[start:stop], y[start:stop]
    for i in range(len(y)):
        scaled = x[i] * scale  # Unconditional: with a branch, LLVM would generate no vector instructions.
        y[i] = scaled if drawn[i] >= threshold else np.float32(0)


@compiled(numba.void(READ, numba.float32, numba.float32, FLAT, INTEGER, INTEGER))
def _limited(x: Any, low: Any, high: Any, y: Any, start: Any, stop: Any) -> None:
    x, y = x[start:stop], y[start:stop]
    for i in range(len(x)):
        limit = low if x[i] < low else x[i]
        y[i] = high if limit > high else limit


@compiled(numba.void(READ, READ, numba.float32, numba.float32, FLAT, INTEGER, INTEGER))
def _limited_sum(x0: Any, x1: Any, low: Any, high: Any, y: Any, start: Any, stop: Any) -> None:
    x0, x1, y = x0[start:stop], x1[start:stop], y[start:stop]
    for i in range(len(y)):
        x = x0[i] + x1[i]
        limit = low if x < low else x
        y[i] = high if limit > high else limit


@compiled(numba.void(READ, READ, numba.float32, numba.float32, FLAT, INTEGER, INTEGER))
def _limited_gradient(gy: Any, y: Any, low: Any, high: Any, gx: Any, start: Any, stop: Any) -> None:
    gy, y, gx = gy[start:stop], y[start:stop], gx[start:stop]
    for i in range(len(y)):
        g = gy[i]  # An unconditional read: with a branch, LLVM would generate no vector instructions.
        gx[i] = g if (low < y[i]) & (not y[i] >= high) else np.float32(0)
