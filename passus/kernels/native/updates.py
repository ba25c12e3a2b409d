"""Updates of parameters in one pass, in the order of operations of the references."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.native.buffers import LINE
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.threads import split

__all__ = ["adagrad", "adam", "amsgrad", "lion", "momentum_sgd", "nesterov", "ordered", "prepare", "rmsprop", "sgd"]

PIECE = 1 << 16
"""How many elements are worth a thread of their own."""

PLACES = numba.types.Array(numba.types.intp, 1, "C", readonly=True)


def prepare() -> None:
    """All kernels here are compiled when the module is imported."""


def _signature(slots: int, numbers: int) -> Any:
    """A parameter, its gradient, slots, numbers, and which elements."""
    return numba.void(FLAT, READ, *[FLAT] * slots, *[numba.float32] * numbers, INTEGER, INTEGER)


def _run(kernel: Callable[..., None], arrays: tuple[Array, ...], *numbers: float) -> None:
    """Update all elements, as they lie in memory."""
    flat = [x.ravel(order="K") for x in arrays]
    split(lambda start, stop: kernel(*flat, *numbers, start, stop), flat[0].size, PIECE)


def ordered(g: Array) -> Array:
    y = np.empty(g.shape, np.float32)
    n, places = len(g), _places(g[0])
    flat, out = g.ravel(order="K"), y.reshape(-1)
    split(lambda start, stop: _ordered(flat, places, out, start, stop), n, max(LINE, PIECE // len(places)))
    return y


def _places(x: Array) -> Array:
    """Where in memory each element is, in the order of the axes, counted from the first one."""
    places = np.zeros((), np.intp)
    for n, stride in zip(x.shape, x.strides):
        places = np.add.outer(places, np.arange(n) * (stride // x.itemsize))
    return places.reshape(-1)


def sgd(p: Array, g: Array, lr: float, scratch: Any) -> None:
    _run(_sgd, (p, g), lr)


def momentum_sgd(p: Array, g: Array, v: Array, lr: float, momentum: float, scratch: Any) -> None:
    _run(_momentum_sgd, (p, g, v), lr, momentum)


def nesterov(p: Array, g: Array, v: Array, lr: float, momentum: float, scratch: Any) -> None:
    _run(_nesterov, (p, g, v), lr, momentum)


def adam(
    p: Array, g: Array, m: Array, v: Array, lr: float, betas: tuple[float, float], eps: float, kept: float, scratch: Any
) -> None:
    beta1, beta2 = betas
    _run(_adam, (p, g, m, v), lr, beta1, 1 - beta1, beta2, 1 - beta2, eps, kept)


def amsgrad(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    v_max: Array,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    scratch: Any,
) -> None:
    beta1, beta2 = betas
    _run(_amsgrad, (p, g, m, v, v_max), lr, beta1, 1 - beta1, beta2, 1 - beta2, eps)


def rmsprop(p: Array, g: Array, h: Array, lr: float, rho: float, eps: float, scratch: Any) -> None:
    _run(_rmsprop, (p, g, h), lr, rho, 1 - rho, eps)


def adagrad(p: Array, g: Array, h: Array, lr: float, eps: float, scratch: Any) -> None:
    _run(_adagrad, (p, g, h), lr, eps)


def lion(p: Array, g: Array, m: Array, lr: float, betas: tuple[float, float], kept: float, scratch: Any) -> None:
    beta1, beta2 = betas
    _run(_lion, (p, g, m), lr, beta1, 1 - beta1, beta2, 1 - beta2, kept)


@inlined
def _stepped(p: Any, x: Any, v: Any, lr: Any, eps: Any) -> Any:
    return p - x / (math.sqrt(v) + eps) * lr


@inlined
def _larger(x: Any, y: Any) -> Any:
    return x if (x >= y) | (x != x) else y  # A NaN in either stays one.


@inlined
def _sign(x: Any) -> Any:
    return numba.float32(1) if x > 0 else numba.float32(-1) if x < 0 else x + numba.float32(0)  # Of 0 or NaN.


@compiled(numba.void(READ, PLACES, FLAT, INTEGER, INTEGER))
def _ordered(x: Any, places: Any, y: Any, start: Any, stop: Any) -> None:
    n = len(places)
    for first in range(start, stop, LINE):
        last = min(first + LINE, stop)
        for left in range(0, n, LINE):  # Tile by tile, so that lines of both are met whole.
            right = min(left + LINE, n)
            for k in range(first, last):
                for i in range(left, right):
                    y[k * n + i] = x[places[i] + k]


@compiled(_signature(slots=0, numbers=1))
def _sgd(p: Any, g: Any, lr: Any, start: Any, stop: Any) -> None:
    p, g = p[start:stop], g[start:stop]
    for i in range(len(p)):
        p[i] -= g[i] * lr


@compiled(_signature(slots=1, numbers=2))
def _momentum_sgd(p: Any, g: Any, v: Any, lr: Any, momentum: Any, start: Any, stop: Any) -> None:
    p, g, v = p[start:stop], g[start:stop], v[start:stop]
    for i in range(len(p)):
        v[i] = v[i] * momentum + g[i]
        p[i] -= v[i] * lr


@compiled(_signature(slots=1, numbers=2))
def _nesterov(p: Any, g: Any, v: Any, lr: Any, momentum: Any, start: Any, stop: Any) -> None:
    p, g, v = p[start:stop], g[start:stop], v[start:stop]
    for i in range(len(p)):
        v[i] = v[i] * momentum + g[i]
        p[i] -= (v[i] * momentum + g[i]) * lr


@compiled(_signature(slots=2, numbers=7))
def _adam(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    lr: Any,
    beta1: Any,
    rest1: Any,
    beta2: Any,
    rest2: Any,
    eps: Any,
    kept: Any,
    start: Any,
    stop: Any,
) -> None:
    p, g, m, v = p[start:stop], g[start:stop], m[start:stop], v[start:stop]
    for i in range(len(p)):
        m[i] = m[i] * beta1 + g[i] * rest1
        v[i] = v[i] * beta2 + g[i] * g[i] * rest2
        p[i] = _stepped(p[i] * kept, m[i], v[i], lr, eps)


@compiled(_signature(slots=3, numbers=6))
def _amsgrad(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    v_max: Any,
    lr: Any,
    beta1: Any,
    rest1: Any,
    beta2: Any,
    rest2: Any,
    eps: Any,
    start: Any,
    stop: Any,
) -> None:
    p, g, m, v, v_max = p[start:stop], g[start:stop], m[start:stop], v[start:stop], v_max[start:stop]
    for i in range(len(p)):
        m[i] = m[i] * beta1 + g[i] * rest1
        v[i] = v[i] * beta2 + g[i] * g[i] * rest2
        v_max[i] = _larger(v_max[i], v[i])
        p[i] = _stepped(p[i], m[i], v_max[i], lr, eps)


@compiled(_signature(slots=1, numbers=4))
def _rmsprop(p: Any, g: Any, h: Any, lr: Any, rho: Any, rest: Any, eps: Any, start: Any, stop: Any) -> None:
    p, g, h = p[start:stop], g[start:stop], h[start:stop]
    for i in range(len(p)):
        h[i] = h[i] * rho + g[i] * g[i] * rest
        p[i] = _stepped(p[i], g[i], h[i], lr, eps)


@compiled(_signature(slots=1, numbers=2))
def _adagrad(p: Any, g: Any, h: Any, lr: Any, eps: Any, start: Any, stop: Any) -> None:
    p, g, h = p[start:stop], g[start:stop], h[start:stop]
    for i in range(len(p)):
        h[i] += g[i] * g[i]
        p[i] = _stepped(p[i], g[i], h[i], lr, eps)


@compiled(_signature(slots=1, numbers=6))
def _lion(
    p: Any,
    g: Any,
    m: Any,
    lr: Any,
    beta1: Any,
    rest1: Any,
    beta2: Any,
    rest2: Any,
    kept: Any,
    start: Any,
    stop: Any,
) -> None:
    p, g, m = p[start:stop], g[start:stop], m[start:stop]
    for i in range(len(p)):
        vote = m[i] * beta1 + g[i] * rest1
        p[i] = p[i] * kept - _sign(vote) * lr
        m[i] = m[i] * beta2 + g[i] * rest2
