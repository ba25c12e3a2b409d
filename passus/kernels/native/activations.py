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
from passus.kernels.native.loops import for_vectors
from passus.kernels.native.simd import load, store
from passus.kernels.threads import split

__all__ = ["activation", "activation_gradient", "prepare"]

PIECE = 1 << 16
"""Number of elements that are worth a thread."""

NUMBER = numba.float32


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
    saved, kernel = [array for array in (x, y) if array is not None], _activation_gradient(name)
    gx = np.empty_like(saved[0])
    first, last = saved[0].ravel(order="K"), saved[-1].ravel(order="K")
    arrays = gy.ravel(order="K"), first, last, *(options or (0.0,)), gx.ravel(order="K")
    split(lambda start, stop: kernel(*arrays, start, stop), gx.size, PIECE)
    return gx


@inlined
def _value(arguments: Any, j: Any, lanes: Any) -> None:
    name, x, option, y, start = arguments
    store(y, start + j, value(name, load(x, start + j, lanes), option), lanes)


@cache
def _activation(name: str) -> Callable[..., None]:
    @compiled(numba.void(READ, NUMBER, FLAT, INTEGER, INTEGER), allocates=False)
    def kernel(x: Any, option: Any, y: Any, start: Any, stop: Any) -> None:
        for_vectors(_value, (name, x, option, y, start), stop - start)

    return kernel


@inlined
def _gradient(arguments: Any, j: Any, lanes: Any) -> None:
    name, gy, x, y, option, gx, start = arguments
    i = start + j
    g = gradient(name, load(gy, i, lanes), load(x, i, lanes), load(y, i, lanes), option)
    store(gx, i, g, lanes)


@cache
def _activation_gradient(name: str) -> Callable[..., None]:
    @compiled(numba.void(READ, READ, READ, NUMBER, FLAT, INTEGER, INTEGER), allocates=False)
    def kernel(gy: Any, x: Any, y: Any, option: Any, gx: Any, start: Any, stop: Any) -> None:
        """Any array will do for x or y if the formula does not read it: the compiler drops the load."""
        for_vectors(_gradient, (name, gy, x, y, option, gx, start), stop - start)

    return kernel
