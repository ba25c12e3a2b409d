"""What optimizers do to a parameter and what they remember of it, in place.

All numbers, in the order they are used in, are the same in kernel and reference: the two agree in every bit.
``scratch(x, i)`` is an array like ``x`` for intermediate results; only the references need it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from passus import config
from passus.backend import Array
from passus.kernels.dispatch import enough, kernel, native_module, plain

__all__ = [
    "Buffers",
    "adagrad",
    "adam",
    "amsgrad",
    "average",
    "average_square",
    "compiled_for",
    "lion",
    "momentum_sgd",
    "nesterov",
    "ordered",
    "rmsprop",
    "sgd",
]

Buffers: TypeAlias = Callable[..., Array]
"""Where intermediate results go: ``scratch(x)``, and ``scratch(x, 1)`` for a second one at the same time."""

THRESHOLDS = 1 << 10, 1 << 18
"""From how many elements on a kernel is worth it, and from how many on the first one is."""
WORTH_ORDERING = 1 << 16
"""From how many elements on NumPy's copy into another order meets each line of the cache more than once."""


def _suit(*arrays: Any) -> bool:
    """For a parameter, its gradient, and its slots."""
    if not enough(arrays[0].size, *THRESHOLDS) or not plain(*arrays) or not _lie_alike(arrays):
        return False
    return all(x.flags.writeable for i, x in enumerate(arrays) if i != 1)  # The gradient may be read-only.


def _with_slots(count: int) -> Callable[..., bool]:
    """For arguments that begin with such arrays."""
    return lambda *arguments: _suit(*arguments[: 2 + count])


def _lie_alike(arrays: Sequence[Array]) -> bool:
    """Whether they are of one shape, fill pieces of memory, and have their elements in one order there."""
    shape = arrays[0].shape
    if any(x.shape != shape for x in arrays):
        return False
    if all(x.flags.c_contiguous for x in arrays):
        return True
    p = arrays[0]
    axes = sorted(range(p.ndim), key=lambda axis: -p.strides[axis])
    return p.transpose(axes).flags.c_contiguous and all(x.strides == p.strides for x in arrays)


def compiled_for(*arrays: Array) -> bool:
    """Whether these arrays, a parameter and all that belongs to it, will be given to a compiled kernel.

    >>> compiled_for(np.zeros(3))
    False
    """
    return _suit(*arrays) and config.native.get() and native_module("updates") is not None


def _is_turned(g: Array) -> bool:
    """Whether the first axis is the last one in memory, as a convolution leaves the gradient of its weights."""
    return (
        g.size >= WORTH_ORDERING
        and g.strides[0] == g.itemsize
        and not g.flags.c_contiguous
        and plain(g)
        and _lie_alike([g])  # So it fills a piece of memory.
    )


@kernel(_is_turned)
def ordered(g: Array) -> Array:
    """The array with its elements side by side in memory in the order of its axes; the array itself if they are.

    >>> ordered(np.ones((2, 3)).T).strides
    (16, 8)
    """
    return g if g.flags.c_contiguous else np.ascontiguousarray(g)


@kernel(_with_slots(0))
def sgd(p: Array, g: Array, lr: float, scratch: Buffers) -> None:
    """``p <- p - lr * g``.

    >>> p = np.ones(2)
    >>> sgd(p, np.array([1.0, 2.0]), 0.5, np.empty_like)
    >>> p
    array([0.5, 0. ])
    """
    p -= np.multiply(g, lr, out=scratch(p))


@kernel(_with_slots(1))
def momentum_sgd(p: Array, g: Array, v: Array, lr: float, momentum: float, scratch: Buffers) -> None:
    """``v <- momentum * v + g``, ``p <- p - lr * v``."""
    v *= momentum
    v += g
    p -= np.multiply(v, lr, out=scratch(p))


@kernel(_with_slots(1))
def nesterov(p: Array, g: Array, v: Array, lr: float, momentum: float, scratch: Buffers) -> None:
    """``v <- momentum * v + g``, ``p <- p - lr * (g + momentum * v)``."""
    v *= momentum
    v += g
    t = np.multiply(v, momentum, out=scratch(p))
    t += g
    t *= lr
    p -= t


@kernel(_with_slots(2))
def adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    kept: float,
    scratch: Buffers,
) -> None:
    """``m`` and ``v`` follow ``g`` and ``g**2``; ``p <- kept * p - lr * m / (sqrt(v) + eps)``."""
    t = scratch(p)
    average(m, g, betas[0], t)
    average_square(v, g, betas[1], t)
    if kept != 1:
        p *= kept
    _descend(p, m, v, lr, eps, t)


@kernel(_with_slots(3))
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
    """`adam` with ``v_max <- max(v_max, v)`` in the place of ``v``."""
    t = scratch(p)
    average(m, g, betas[0], t)
    average_square(v, g, betas[1], t)
    np.maximum(v_max, v, out=v_max)
    _descend(p, m, v_max, lr, eps, t)


@kernel(_with_slots(1))
def rmsprop(p: Array, g: Array, h: Array, lr: float, rho: float, eps: float, scratch: Buffers) -> None:
    """``h <- rho * h + (1 - rho) * g**2``, ``p <- p - lr * g / (sqrt(h) + eps)``."""
    t = scratch(p)
    average_square(h, g, rho, t)
    _descend(p, g, h, lr, eps, t)


@kernel(_with_slots(1))
def adagrad(p: Array, g: Array, h: Array, lr: float, eps: float, scratch: Buffers) -> None:
    """``h <- h + g**2``, ``p <- p - lr * g / (sqrt(h) + eps)``."""
    t = scratch(p)
    h += np.multiply(g, g, out=t)
    _descend(p, g, h, lr, eps, t)


@kernel(_with_slots(1))
def lion(p: Array, g: Array, m: Array, lr: float, betas: tuple[float, float], kept: float, scratch: Buffers) -> None:
    """``p <- kept * p - lr * sign(beta1 * m + (1 - beta1) * g)``, then ``m <- beta2 * m + (1 - beta2) * g``."""
    t, u = scratch(p), scratch(p, 1)
    np.multiply(m, betas[0], out=u)
    u += np.multiply(g, 1 - betas[0], out=t)
    np.sign(u, out=u)
    u *= lr
    p *= kept
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
