"""Activations of biased channels and their gradients in one pass, in float32: channels last, a vector of them at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.formulas import FORMULAS
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.formulas import gradient, value
from passus.kernels.native.simd import LANES, all_lanes, first_lanes, load, splat, store
from passus.kernels.threads import collected, split

__all__ = ["biased_activation", "biased_gradient", "prepare"]

BLOCK = 4096
"""How many numbers a block has: 16 KiB, half of the first-level cache."""

PIECE = 1 << 15
"""How many numbers are worth a thread of their own."""

NUMBER = numba.float32
SUMS = numba.float64[::1]


def prepare() -> None:
    """Compile all of them."""
    for name in FORMULAS:
        _biased_activation(name)
        _biased_gradient(name)


def biased_activation(rows: Array, b: Array, name: str, option: float) -> Array:
    """The activation of ``rows + b``, from rows (R, C) and b (C,)."""
    y, kernel, b = np.empty_like(rows), _biased_activation(name), np.ascontiguousarray(b)

    def work(start: int, stop: int) -> None:
        kernel(rows.reshape(-1), b, option, y.reshape(-1), start, stop)

    split(work, len(rows), -(-PIECE // rows.shape[1]))
    return y


def biased_gradient(gy: Array, rows: Array, b: Array, name: str, option: float) -> tuple[Array, Array]:
    """The gradients for the rows and for b."""
    gx, kernel, b = np.empty_like(rows), _biased_gradient(name), np.ascontiguousarray(b)

    def work(start: int, stop: int) -> Array:
        sums = np.zeros(len(b))
        kernel(gy.reshape(-1), rows.reshape(-1), b, option, gx.reshape(-1), sums, start, stop)
        return sums

    parts = collected(work, len(rows), -(-PIECE // rows.shape[1]))
    return gx, np.sum(parts, axis=0).astype(np.float32)


@inlined
def _block(name: Any, x: Any, b: Any, option: Any, y: Any, C: Any, c: Any, first: Any, last: Any, lanes: Any) -> None:
    bias = load(b, c, lanes)
    for p in range(first, last):
        store(y, p * C + c, value(name, load(x, p * C + c, lanes) + bias, option), lanes)


@cache
def _biased_activation(name: str) -> Callable[..., None]:
    @compiled(numba.void(READ, READ, NUMBER, FLAT, INTEGER, INTEGER))
    def kernel(x: Any, b: Any, option: Any, y: Any, start: Any, stop: Any) -> None:
        C = len(b)
        block, whole = max(1, BLOCK // C), C - C % LANES
        for p in range(start, stop, block):
            q = min(p + block, stop)
            for c in range(0, whole, LANES):
                _block(name, x, b, option, y, C, c, p, q, all_lanes())
            if whole < C:
                _block(name, x, b, option, y, C, whole, p, q, first_lanes(C - whole))

    return kernel


@inlined
def _gradient_of_block(
    name: Any,
    gy: Any,
    x: Any,
    b: Any,
    option: Any,
    gx: Any,
    sums: Any,
    C: Any,
    c: Any,
    first: Any,
    last: Any,
    lanes: Any,
) -> None:
    bias, total = load(b, c, lanes), splat(0.0)
    for p in range(first, last):
        v = load(x, p * C + c, lanes) + bias
        g = gradient(name, load(gy, p * C + c, lanes), v, value(name, v, option), option)
        store(gx, p * C + c, g, lanes)
        total += g
    store(sums, c, total, lanes)


@cache
def _biased_gradient(name: str) -> Callable[..., None]:
    @compiled(numba.void(READ, READ, READ, NUMBER, FLAT, SUMS, INTEGER, INTEGER))
    def kernel(gy: Any, x: Any, b: Any, option: Any, gx: Any, sums: Any, start: Any, stop: Any) -> None:
        C = len(b)
        block, whole, part = max(1, BLOCK // C), C - C % LANES, np.empty(C, np.float32)
        for p in range(start, stop, block):
            q = min(p + block, stop)
            for c in range(0, whole, LANES):
                _gradient_of_block(name, gy, x, b, option, gx, part, C, c, p, q, all_lanes())
            if whole < C:
                rest = first_lanes(C - whole)
                _gradient_of_block(name, gy, x, b, option, gx, part, C, whole, p, q, rest)
            for c in range(C):
                sums[c] += part[c]

    return kernel
