"""Activations of biased channels and their gradients in one pass, in float32: channels last, a vector of them at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.formulas import FORMULAS
from passus.kernels.layout import axis_last, last_axis_at
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.formulas import gradient, value
from passus.kernels.native.loops import for_vectors
from passus.kernels.native.simd import load, splat, store
from passus.kernels.threads import collected, split

__all__ = ["biased_activation", "biased_gradient", "prepare"]

BLOCK = 4096
"""Numbers in a block: 16 KiB, half of the first-level cache."""

PIECE = 1 << 15
"""Numbers that are worth a thread."""

NUMBER = numba.float32
SUMS = numba.float64[::1]


def prepare() -> None:
    """Compile the kernels of all formulas."""
    for name in FORMULAS:
        _biased_activation(name)
        _biased_gradient(name)


def biased_activation(x: Array, b: Array, name: str, axis: int, xp: Any) -> Array:
    rows, kernel = rows_of(x, axis), _biased_activation(name)
    y = np.empty_like(rows)
    arrays = rows.reshape(-1), b, *(FORMULAS[name].default or (0.0,)), y.reshape(-1)
    split(lambda start, stop: kernel(*arrays, start, stop), len(rows), -(-PIECE // rows.shape[1]))
    return _like(y, x, axis)


def biased_gradient(gy: Array, x: Array, b: Array, name: str, axis: int, xp: Any) -> tuple[Array, Array]:
    rows, kernel = rows_of(x, axis), _biased_gradient(name)
    gx = np.empty_like(rows)
    arrays = rows_of(gy, axis).reshape(-1), rows.reshape(-1), b, *(FORMULAS[name].default or (0.0,)), gx.reshape(-1)

    def work(start: int, stop: int) -> Array:
        sums, block = np.zeros(len(b)), np.empty(len(b), np.float32)
        kernel(*arrays, sums, block, start, stop)
        return sums

    sums = collected(work, len(rows), -(-PIECE // rows.shape[1]))
    return _like(gx, x, axis), np.sum(sums, axis=0).astype(np.float32)


def rows_of(x: Array, axis: int) -> Array:
    """An array with its channels last in memory, as (R, C)."""
    return axis_last(x, axis).reshape(-1, x.shape[axis])


def _like(rows: Array, x: Array, axis: int) -> Array:
    return last_axis_at(rows.reshape(*x.shape[:axis], *x.shape[axis + 1 :], -1), axis)


class Rows(NamedTuple):
    """Rows ``first`` to ``last`` of an array of ``channels`` columns."""

    first: Any
    last: Any
    channels: Any


@inlined
def _activate(arguments: Any, c: Any, lanes: Any) -> None:
    name, x, b, option, y, rows = arguments
    bias = load(b, c, lanes)
    for row in range(rows.first, rows.last):
        i = row * rows.channels + c
        store(y, i, value(name, load(x, i, lanes) + bias, option), lanes)


@cache
def _biased_activation(name: str) -> Callable[..., None]:
    @compiled(numba.void(READ, READ, NUMBER, FLAT, INTEGER, INTEGER), allocates=False)
    def kernel(x: Any, b: Any, option: Any, y: Any, start: Any, stop: Any) -> None:
        C = len(b)
        size = max(1, BLOCK // C)
        for first in range(start, stop, size):
            for_vectors(_activate, (name, x, b, option, y, Rows(first, min(first + size, stop), C)), C)

    return kernel


@inlined
def _differentiate(arguments: Any, c: Any, lanes: Any) -> None:
    name, gy, x, b, option, gx, block, rows = arguments
    bias, total = load(b, c, lanes), splat(np.float32(0))
    for row in range(rows.first, rows.last):
        i = row * rows.channels + c
        v = load(x, i, lanes) + bias
        g = gradient(name, load(gy, i, lanes), v, value(name, v, option), option)
        store(gx, i, g, lanes)
        total += g
    store(block, c, total, lanes)


@cache
def _biased_gradient(name: str) -> Callable[..., None]:
    @compiled(numba.void(READ, READ, READ, NUMBER, FLAT, SUMS, FLAT, INTEGER, INTEGER), allocates=False)
    def kernel(gy: Any, x: Any, b: Any, option: Any, gx: Any, sums: Any, block: Any, start: Any, stop: Any) -> None:
        """``block``: scratch memory for the sums over a block of rows, which are taken in float32."""
        C = len(b)
        size = max(1, BLOCK // C)
        for first in range(start, stop, size):
            rows = Rows(first, min(first + size, stop), C)
            for_vectors(_differentiate, (name, gy, x, b, option, gx, block, rows), C)
            for c in range(C):
                sums[c] += block[c]

    return kernel
