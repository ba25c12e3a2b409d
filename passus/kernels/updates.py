"""Update rules of optimizers, in place.

A reference and its compiled kernel compute in the same order, so they agree in every bit. ``scratch(x, i)`` returns an
array like ``x`` for intermediate results; only the references use it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, ParamSpec, TypeAlias

import numpy as np

from passus.backend import Array, Writable
from passus.kernels.blocks import BLOCK, blocks
from passus.kernels.dispatch import Kernel, kernel, plain_float32, worth_kernel

__all__ = [
    "Buffers",
    "adagrad",
    "adam",
    "amsgrad",
    "average",
    "average_square",
    "lion",
    "momentum_sgd",
    "nesterov",
    "ordered",
    "rmsprop",
    "sgd",
]

P = ParamSpec("P")

Buffers: TypeAlias = Callable[..., Array]
"""Provides scratch arrays: ``scratch(x)``, and ``scratch(x, 1)`` for a second one at the same time."""

THRESHOLDS = 1 << 10, 1 << 18
"""Number of elements from which a kernel is worth its call: after the first use of a kernel, and before."""
WORTH_REORDERING = 1 << 16
"""Number of elements from which NumPy's copy into another order reads each cache line more than once."""


def update_rule(slots: int) -> Callable[[Callable[P, None]], Kernel[P, None]]:
    """Declare the reference of a kernel that takes a parameter, its gradient and ``slots`` arrays of state first.

    The reference computes large arrays block by block.
    """
    count = 2 + slots

    def declared(rule: Callable[P, None]) -> Kernel[P, None]:
        step: Callable[..., None] = rule

        @wraps(rule)
        def by_blocks(*args: Any) -> None:
            if args[0].size <= BLOCK or isinstance(args[0], Writable):
                return step(*args)
            for arrays in blocks(*args[:count]):
                step(*arrays, *args[count:])

        reference: Any = by_blocks
        return kernel(partial(_suits, count))(reference)

    return declared


def _suits(count: int, *args: Any) -> bool:
    """Whether the compiled kernel takes the first ``count`` arguments: a parameter, its gradient, and its slots."""
    if not worth_kernel(args[0].size, *THRESHOLDS):
        return False
    arrays = args[:count]
    if not plain_float32(*arrays) or not _same_layout(arrays):
        return False
    return all(x.flags.writeable for i, x in enumerate(arrays) if i != 1)  # The gradient may be read-only.


def _same_layout(arrays: Sequence[Array]) -> bool:
    """Whether arrays have one shape, no gaps in memory, and their elements in the same order there."""
    shape = arrays[0].shape
    if any(x.shape != shape for x in arrays):
        return False
    if all(x.flags.c_contiguous for x in arrays):
        return True
    p = arrays[0]
    axes = sorted(range(p.ndim), key=lambda axis: -p.strides[axis])
    return p.transpose(axes).flags.c_contiguous and all(x.strides == p.strides for x in arrays)


def _first_axis_is_innermost(g: Array) -> bool:
    """Whether the first axis is the last one in memory, as in the gradient of the weights of a convolution."""
    return (
        g.size >= WORTH_REORDERING
        and g.strides[0] == g.itemsize
        and not g.flags.c_contiguous
        and plain_float32(g)
        and _same_layout([g])  # No gaps in memory.
    )


@kernel(_first_axis_is_innermost)
def ordered(g: Array) -> Array:
    """Return a C-contiguous array of the same elements: the array itself if it is one.

    >>> ordered(np.ones((2, 3)).T).strides
    (16, 8)
    """
    return g if g.flags.c_contiguous else np.ascontiguousarray(g)


@update_rule(slots=0)
def sgd(p: Array, g: Array, lr: float, scratch: Buffers) -> None:
    """``p <- p - lr * g``.

    >>> p = np.ones(2)
    >>> sgd(p, np.array([1.0, 2.0]), 0.5, np.empty_like)
    >>> p
    array([0.5, 0. ])
    """
    p -= np.multiply(g, lr, out=scratch(p))


@update_rule(slots=1)
def momentum_sgd(p: Array, g: Array, v: Array, lr: float, momentum: float, scratch: Buffers) -> None:
    """``v <- momentum * v + g``, ``p <- p - lr * v``."""
    v *= momentum
    v += g
    p -= np.multiply(v, lr, out=scratch(p))


@update_rule(slots=1)
def nesterov(p: Array, g: Array, v: Array, lr: float, momentum: float, scratch: Buffers) -> None:
    """``v <- momentum * v + g``, ``p <- p - lr * (g + momentum * v)``."""
    v *= momentum
    v += g
    t = np.multiply(v, momentum, out=scratch(p))
    t += g
    t *= lr
    p -= t


@update_rule(slots=2)
def adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    decay: float,
    scratch: Buffers,
) -> None:
    """``m`` and ``v`` follow ``g`` and ``g**2``; ``p <- decay * p - lr * m / (sqrt(v) + eps)``."""
    t = scratch(p)
    average(m, g, betas[0], t)
    average_square(v, g, betas[1], t)
    if decay != 1:
        p *= decay
    _descend(p, m, v, lr, eps, t)


@update_rule(slots=3)
def amsgrad(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    v_max: Array,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    scratch: Buffers,
) -> None:
    """`adam` with ``v_max <- max(v_max, v)`` instead of ``v`` in the denominator."""
    t = scratch(p)
    average(m, g, betas[0], t)
    average_square(v, g, betas[1], t)
    np.maximum(v_max, v, out=v_max)
    _descend(p, m, v_max, lr, eps, t)


@update_rule(slots=1)
def rmsprop(p: Array, g: Array, h: Array, lr: float, rho: float, eps: float, scratch: Buffers) -> None:
    """``h <- rho * h + (1 - rho) * g**2``, ``p <- p - lr * g / (sqrt(h) + eps)``."""
    t = scratch(p)
    average_square(h, g, rho, t)
    _descend(p, g, h, lr, eps, t)


@update_rule(slots=1)
def adagrad(p: Array, g: Array, h: Array, lr: float, eps: float, scratch: Buffers) -> None:
    """``h <- h + g**2``, ``p <- p - lr * g / (sqrt(h) + eps)``."""
    t = scratch(p)
    h += np.multiply(g, g, out=t)
    _descend(p, g, h, lr, eps, t)


@update_rule(slots=1)
def lion(p: Array, g: Array, m: Array, lr: float, betas: tuple[float, float], decay: float, scratch: Buffers) -> None:
    """``p <- decay * p - lr * sign(beta1 * m + (1 - beta1) * g)``, then ``m <- beta2 * m + (1 - beta2) * g``."""
    t, u = scratch(p), scratch(p, 1)
    np.multiply(m, betas[0], out=u)
    u += np.multiply(g, 1 - betas[0], out=t)
    np.sign(u, out=u)
    u *= lr
    p *= decay
    p -= u
    average(m, g, betas[1], t)


def average(m: Array, x: Array, beta: float, t: Array) -> None:
    """``m <- beta * m + (1 - beta) * x``, with ``t`` as scratch.

    >>> m = np.array([1.0])
    >>> average(m, np.array([3.0]), 0.5, np.empty(1))
    >>> m
    array([2.])
    """
    m *= beta
    m += np.multiply(x, 1 - beta, out=t)


def average_square(v: Array, x: Array, beta: float, t: Array) -> None:
    """``v <- beta * v + (1 - beta) * x**2``, with ``t`` as scratch.

    >>> v = np.array([1.0])
    >>> average_square(v, np.array([3.0]), 0.5, np.empty(1))
    >>> v
    array([5.])
    """
    v *= beta
    np.multiply(x, x, out=t)
    t *= 1 - beta
    v += t


def _descend(p: Array, x: Array, v: Array, lr: float, eps: float, t: Array) -> None:
    """``p <- p - lr * x / (sqrt(v) + eps)``."""
    np.sqrt(v, out=t)
    t += eps
    np.divide(x, t, out=t)
    t *= lr
    p -= t
