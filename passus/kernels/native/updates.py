"""Compiled update rules: one pass over all arrays, with the operations in the order of the references."""

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

__all__ = ["adagrad", "adam", "amsgrad", "lion", "momentum_sgd", "nesterov", "numbers_of", "ordered", "rmsprop", "sgd"]

PIECE = 1 << 16
"""Number of elements worth a thread."""

OFFSETS = numba.types.Array(numba.types.intp, 1, "C", readonly=True)


def _signature(slots: int, numbers: int) -> Any:
    """A parameter, its gradient, its slots, a tuple of numbers, and the range of elements."""
    return numba.void(FLAT, READ, *[FLAT] * slots, numba.types.UniTuple(numba.float32, numbers), INTEGER, INTEGER)


def _run(kernel: Callable[..., None], arrays: tuple[Array, ...], *numbers: float) -> None:
    """Update all elements, in their order in memory."""
    flat = [x.ravel(order="K") for x in arrays]
    split(lambda start, stop: kernel(*flat, numbers, start, stop), flat[0].size, PIECE)


def ordered(g: Array) -> Array:
    y = np.empty(g.shape, np.float32)
    n, offsets = len(g), _offsets(g[0])
    flat, out = g.ravel(order="K"), y.reshape(-1)
    split(lambda start, stop: _ordered(flat, offsets, out, start, stop), n, max(LINE, PIECE // len(offsets)))
    return y


def _offsets(x: Array) -> Array:
    """The offset of each element in memory, in elements, in the order of the axes."""
    offsets = np.zeros((), np.intp)
    for n, stride in zip(x.shape, x.strides):
        offsets = np.add.outer(offsets, np.arange(n) * (stride // x.itemsize))
    return offsets.reshape(-1)


def sgd(p: Array, g: Array, lr: float, scratch: Any) -> None:
    _run(_sgd, (p, g), *numbers_of("sgd", lr))


def momentum_sgd(p: Array, g: Array, v: Array, lr: float, momentum: float, scratch: Any) -> None:
    _run(_momentum_sgd, (p, g, v), *numbers_of("momentum_sgd", lr, momentum))


def nesterov(p: Array, g: Array, v: Array, lr: float, momentum: float, scratch: Any) -> None:
    _run(_nesterov, (p, g, v), *numbers_of("nesterov", lr, momentum))


def adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    decay: float,
    scratch: Any,
) -> None:
    _run(_adam, (p, g, m, v), *numbers_of("adam", lr, betas, eps, decay))


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
    _run(_amsgrad, (p, g, m, v, v_max), *numbers_of("amsgrad", lr, betas, eps))


def rmsprop(p: Array, g: Array, h: Array, lr: float, rho: float, eps: float, scratch: Any) -> None:
    _run(_rmsprop, (p, g, h), *numbers_of("rmsprop", lr, rho, eps))


def adagrad(p: Array, g: Array, h: Array, lr: float, eps: float, scratch: Any) -> None:
    _run(_adagrad, (p, g, h), *numbers_of("adagrad", lr, eps))


def lion(p: Array, g: Array, m: Array, lr: float, betas: tuple[float, float], decay: float, scratch: Any) -> None:
    _run(_lion, (p, g, m), *numbers_of("lion", lr, betas, decay))


def numbers_of(rule: str, *options: Any) -> tuple[float, ...]:
    """The numbers that the compiled rule takes: betas, and others of `COMPLEMENTED`, are followed by what is missing to 1.

    >>> numbers_of("adam", 0.5, (0.75, 0.5), 0.0, 1.0)
    (0.5, 0.75, 0.25, 0.5, 0.5, 0.0, 1.0)
    """
    numbers: list[float] = []
    for i, option in enumerate(options):
        if isinstance(option, tuple):
            numbers += [number for beta in option for number in (beta, 1 - beta)]
        else:
            numbers += [option, 1 - option] if (rule, i) in COMPLEMENTED else [option]
    return tuple(numbers)


COMPLEMENTED = frozenset({("rmsprop", 1)})
"""Options, by rule and position, that are weights of a mean."""


@inlined
def _descended(p: Any, x: Any, v: Any, lr: Any, eps: Any) -> Any:
    return p - x / (math.sqrt(v) + eps) * lr


@inlined
def _maximum(x: Any, y: Any) -> Any:
    return x if (x >= y) | (x != x) else y  # NaN if either is NaN.


@inlined
def _sign(x: Any) -> Any:
    return (
        numba.float32(1) if x > 0 else numba.float32(-1) if x < 0 else x + numba.float32(0)
    )  # 0 and NaN are unchanged.


@compiled(numba.void(READ, OFFSETS, FLAT, INTEGER, INTEGER))
def _ordered(x: Any, offsets: Any, y: Any, start: Any, stop: Any) -> None:
    n = len(offsets)
    for first in range(start, stop, LINE):
        last = min(first + LINE, stop)
        for left in range(0, n, LINE):  # Tiles use whole cache lines of both arrays.
            right = min(left + LINE, n)
            for k in range(first, last):
                for i in range(left, right):
                    y[k * n + i] = x[offsets[i] + k]


@compiled(_signature(slots=0, numbers=1))
def _sgd(p: Any, g: Any, numbers: Any, start: Any, stop: Any) -> None:
    (lr,) = numbers
    p, g = p[start:stop], g[start:stop]
    for i in range(len(p)):
        p[i] -= g[i] * lr


@compiled(_signature(slots=1, numbers=2))
def _momentum_sgd(p: Any, g: Any, v: Any, numbers: Any, start: Any, stop: Any) -> None:
    lr, momentum = numbers
    p, g, v = p[start:stop], g[start:stop], v[start:stop]
    for i in range(len(p)):
        v[i] = v[i] * momentum + g[i]
        p[i] -= v[i] * lr


@compiled(_signature(slots=1, numbers=2))
def _nesterov(p: Any, g: Any, v: Any, numbers: Any, start: Any, stop: Any) -> None:
    lr, momentum = numbers
    p, g, v = p[start:stop], g[start:stop], v[start:stop]
    for i in range(len(p)):
        v[i] = v[i] * momentum + g[i]
        p[i] -= (v[i] * momentum + g[i]) * lr


@compiled(_signature(slots=2, numbers=7))
def _adam(p: Any, g: Any, m: Any, v: Any, numbers: Any, start: Any, stop: Any) -> None:
    lr, beta1, rest1, beta2, rest2, eps, decay = numbers
    p, g, m, v = p[start:stop], g[start:stop], m[start:stop], v[start:stop]
    for i in range(len(p)):
        m[i] = m[i] * beta1 + g[i] * rest1
        v[i] = v[i] * beta2 + g[i] * g[i] * rest2
        p[i] = _descended(p[i] * decay, m[i], v[i], lr, eps)


@compiled(_signature(slots=3, numbers=6))
def _amsgrad(p: Any, g: Any, m: Any, v: Any, v_max: Any, numbers: Any, start: Any, stop: Any) -> None:
    lr, beta1, rest1, beta2, rest2, eps = numbers
    p, g, m, v, v_max = p[start:stop], g[start:stop], m[start:stop], v[start:stop], v_max[start:stop]
    for i in range(len(p)):
        m[i] = m[i] * beta1 + g[i] * rest1
        v[i] = v[i] * beta2 + g[i] * g[i] * rest2
        v_max[i] = _maximum(v_max[i], v[i])
        p[i] = _descended(p[i], m[i], v_max[i], lr, eps)


@compiled(_signature(slots=1, numbers=4))
def _rmsprop(p: Any, g: Any, h: Any, numbers: Any, start: Any, stop: Any) -> None:
    lr, rho, rest, eps = numbers
    p, g, h = p[start:stop], g[start:stop], h[start:stop]
    for i in range(len(p)):
        h[i] = h[i] * rho + g[i] * g[i] * rest
        p[i] = _descended(p[i], g[i], h[i], lr, eps)


@compiled(_signature(slots=1, numbers=2))
def _adagrad(p: Any, g: Any, h: Any, numbers: Any, start: Any, stop: Any) -> None:
    lr, eps = numbers
    p, g, h = p[start:stop], g[start:stop], h[start:stop]
    for i in range(len(p)):
        h[i] += g[i] * g[i]
        p[i] = _descended(p[i], g[i], h[i], lr, eps)


@compiled(_signature(slots=1, numbers=6))
def _lion(p: Any, g: Any, m: Any, numbers: Any, start: Any, stop: Any) -> None:
    lr, beta1, rest1, beta2, rest2, decay = numbers
    p, g, m = p[start:stop], g[start:stop], m[start:stop]
    for i in range(len(p)):
        direction = m[i] * beta1 + g[i] * rest1
        p[i] = p[i] * decay - _sign(direction) * lr
        m[i] = m[i] * beta2 + g[i] * rest2
