"""Activations and their gradients in one pass, in float32, for arrays that fill a piece of memory."""

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
from passus.kernels.native.simd import LANES, all_lanes, first_lanes, load, store
from passus.kernels.threads import split

__all__ = ["activation", "activation_gradient", "prepare"]

PIECE = 1 << 16
"""Number of elements that are worth a thread."""


def prepare() -> None:
    """Compile the kernels of all formulas."""
    for name in FORMULAS:
        _activation(name)
        _activation_gradient(name)


def activation(x: Array, name: str, options: tuple[float, ...], xp: Any) -> Array:
    y, kernel = np.empty_like(x), _activation(name)
    arrays = x.ravel(order="K"), *(options or (0.0,)), y.ravel(order="K")
    split(lambda start, stop: kernel(*arrays, start, stop), x.size, PIECE)
    return y


def activation_gradient(
    gy: Array, x: Array | None, y: Array | None, name: str, options: tuple[float, ...], xp: Any
) -> Array:
    saved, kernel = y if x is None else x, _activation_gradient(name)
    assert saved is not None
    gx = np.empty_like(saved)
    arrays = gy.ravel(order="K"), saved.ravel(order="K"), *(options or (0.0,)), gx.ravel(order="K")
    split(lambda start, stop: kernel(*arrays, start, stop), gx.size, PIECE)
    return gx


@cache
def _activation(name: str) -> Callable[..., None]:
    @compiled(numba.void(READ, numba.float32, FLAT, INTEGER, INTEGER))
    def kernel(x: Any, option: Any, y: Any, start: Any, stop: Any) -> None:
        whole = stop - (stop - start) % LANES
        for i in range(start, whole, LANES):
            store(y, i, value(name, load(x, i, all_lanes()), option), all_lanes())
        if whole < stop:
            rest = first_lanes(stop - whole)
            store(y, whole, value(name, load(x, whole, rest), option), rest)

    return kernel


@inlined
def _gradient(name: Any, by_result: Any, g: Any, saved: Any, option: Any) -> Any:
    if by_result:
        return gradient(name, g, None, saved, option)
    return gradient(name, g, saved, value(name, saved, option), option)


@cache
def _activation_gradient(name: str) -> Callable[..., None]:
    by_result = FORMULAS[name].reads == "y"

    @compiled(numba.void(READ, READ, numba.float32, FLAT, INTEGER, INTEGER))
    def kernel(gy: Any, saved: Any, option: Any, gx: Any, start: Any, stop: Any) -> None:
        whole = stop - (stop - start) % LANES
        for i in range(start, whole, LANES):
            g = _gradient(name, by_result, load(gy, i, all_lanes()), load(saved, i, all_lanes()), option)
            store(gx, i, g, all_lanes())
        if whole < stop:
            rest = first_lanes(stop - whole)
            g = _gradient(name, by_result, load(gy, whole, rest), load(saved, whole, rest), option)
            store(gx, whole, g, rest)

    return kernel
