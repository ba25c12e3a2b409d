"""Softmax along an axis, its logarithm, and the cross entropy with labels: functions of whole rows.

The gradients of the softmax and of its logarithm are written with operators: given Variables, they are Variables.
"""

from __future__ import annotations

import numpy as np

from passus.backend import Array, backend_of
from passus.kernels.dispatch import kernel, plain_float32, worth_kernel
from passus.kernels.elementwise import exp_below_zero, masked
from passus.kernels.formulas import centred, exponential, log_gradient
from passus.kernels.sums import total

__all__ = [
    "cross_entropy",
    "cross_entropy_gradient",
    "label_index",
    "log_softmax",
    "log_softmax_gradient",
    "softmax",
    "softmax_gradient",
]

THRESHOLDS = 1 << 11, 1 << 14
"""Numbers from which on a kernel is worth it, and those from which on the first kernel is."""


def _suits(x: Array, axis: int) -> bool:
    return (
        worth_kernel(x.size, *THRESHOLDS)
        and plain_float32(x)
        and -x.ndim <= axis < x.ndim
        and np.moveaxis(x, axis, -1).flags.c_contiguous  # The axis is last in memory, wherever it is in the shape.
    )


def _gradient_suits(gy: Array, y: Array, axis: int) -> bool:
    return _suits(y, axis) and plain_float32(gy) and gy.shape == y.shape


def _labels_suit(x: Array, t: Array, smoothing: float = 0.0) -> bool:
    return _suits(x, 1) and type(t) is np.ndarray and t.dtype.kind in "iu" and t.shape == x.shape[:1] + x.shape[2:]


def _label_gradient_suits(
    gy: Array, x: Array, t: Array, top: Array, z: Array, e: Array | None = None, smoothing: float = 0.0
) -> bool:
    suits = _labels_suit(x, t) and plain_float32(top, z) and top.shape == z.shape == t.shape
    return suits and ((plain_float32(gy) and gy.shape in ((), t.shape)) or type(gy) is np.float32)


@kernel(_suits)
def softmax(x: Array, axis: int) -> Array:
    """``exp(x) / sum(exp(x))`` along an axis.

    >>> softmax(np.array([0.0, 0.0]), 0)
    array([0.5, 0.5])
    """
    if not x.size:
        return x.copy()
    e = exponential(x, x.max(axis=axis, keepdims=True))
    return e * (1 / total(e, axis, True))


@kernel(_gradient_suits)
def softmax_gradient(gy: Array, y: Array, axis: int) -> Array:
    """The gradient for the input of a softmax whose output was ``y``.

    >>> softmax_gradient(np.array([1.0, 0.0]), np.array([0.5, 0.5]), 0)
    array([ 0.25, -0.25])
    """
    return centred(gy, y, total(gy * y, axis, True))


@kernel(_suits)
def log_softmax(x: Array, axis: int) -> Array:
    """``x - log(sum(exp(x)))`` along an axis.

    >>> log_softmax(np.array([0.0, 1000.0]), 0)
    array([-1000.,     0.])
    """
    if not x.size:
        return x.copy()
    top = x.max(axis=axis, keepdims=True)
    return x - top - backend_of(x).xp.log(total(exponential(x, top), axis, True))


@kernel(_gradient_suits)
def log_softmax_gradient(gy: Array, y: Array, axis: int) -> Array:
    """The gradient for the input of a log-softmax whose output was ``y``.

    >>> log_softmax_gradient(np.array([1.0, 0.0]), np.array([0.0, -1000.0]), 0)
    array([0., 0.])
    """
    return log_gradient(gy, y, total(gy, axis, True))


@kernel(_labels_suit)
def cross_entropy(x: Array, t: Array, smoothing: float = 0.0) -> tuple[Array, Array, Array, Array | None]:
    """``log(sum(e)) - (x[t] - top)`` along axis 1, ``top = max(x)`` there, ``sum(e)``, and ``e = exp(x - top)``.

    ``x``, ``e``: (N, C, ...); labels ``t`` and the other results: (N, ...). The kernel returns None for ``e``.
    ``smoothing``: the share of ``x[t] - top`` that is replaced by the mean of ``x - top`` over the classes.

    >>> cross_entropy(np.array([[3.0, 3.0]]), np.array([0]))
    (array([0.69314718]), array([3.]), array([2.]), array([[1., 1.]]))
    """
    xp = backend_of(x).xp
    top = x.max(axis=1) if x.size else x.sum(axis=1)
    below = x - top[:, None]
    e = exp_below_zero(below)
    z = total(e, 1)
    score = x[label_index(t)] - top
    if smoothing:
        score = (1 - smoothing) * score + smoothing / x.shape[1] * total(below, 1)
    return xp.log(z) - score, top, z, e


@kernel(_label_gradient_suits)
def cross_entropy_gradient(
    gy: Array, x: Array, t: Array, top: Array, z: Array, e: Array | None = None, smoothing: float = 0.0
) -> Array:
    """The gradient for ``x``, from that for the losses, ``gy``: one number, or one for each loss, (N, ...).

    Where gy is 0, so is the gradient of the whole row, even if x is not finite there.

    >>> cross_entropy_gradient(np.array(2.0), np.array([[3.0, 3.0]]), np.array([0]), np.array([3.0]), np.array([2.0]))
    array([[-1.,  1.]])
    """
    backend = backend_of(x)
    if e is None:
        e = exponential(x, top[:, None])
    gx = e * (gy / z)[:, None]
    if smoothing:
        gx = gx - smoothing / x.shape[1] * (gy[:, None] if np.ndim(gy) else gy)
    if np.ndim(gy):
        gx = masked(gx, (gy != 0)[:, None])
    return backend.add_at(gx, label_index(t), -(1 - smoothing) * gy if smoothing else -gy)


def label_index(t: Array) -> tuple[Array, ...]:
    """The index that picks from an array (N, C, ...) the element of each label of ``t`` (N, ...).

    >>> np.array([[1.0, 2.0], [3.0, 4.0]])[label_index(np.array([1, 0]))]
    array([2., 3.])
    """
    arange = backend_of(t).xp.arange
    if t.ndim == 1:  # The usual case, in less time.
        return arange(len(t)), t
    n, *d = [arange(count).reshape(-1, *[1] * (t.ndim - axis - 1)) for axis, count in enumerate(t.shape)]
    return (n, t, *d)
