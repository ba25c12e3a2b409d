"""Elementwise functions that are worth a separate pass over large arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from passus.backend import Array, backend_of
from passus.backend.trace import operation
from passus.kernels.dispatch import kernel, plain_float32, worth_kernel

__all__ = ["dropped_out", "exp_below_zero", "is_dense", "limited", "limited_gradient", "limited_sum", "masked", "where"]

THRESHOLDS = 1 << 16, 1 << 18
"""Number of elements from which a kernel is worth its call: after the first use of a kernel, and before."""


def _suits(x: Array, low: float, high: float) -> bool:
    return plain_float32(x) and worth_kernel(x.size, *THRESHOLDS) and is_dense(x)


def _both_suit(x0: Array, x1: Array, low: float, high: float) -> bool:
    return bool(plain_float32(x0) and _suits(x1, low, high) and x0.shape == x1.shape and x0.strides == x1.strides)


def _suits_drawn(x: Array, drawn: Array, threshold: int, scale: float) -> bool:
    if not _suits(x, 0.0, 0.0) or type(drawn) is not np.ndarray or drawn.dtype != np.uint32 or not drawn.flags.aligned:
        return False
    return bool(drawn.shape == x.shape and drawn.strides == x.strides and 0 <= threshold < 1 << 32)


@kernel(_suits_drawn)
def dropped_out(x: Array, drawn: Array, threshold: int, scale: float) -> Array:
    """``x * scale`` where ``drawn``, integers of 32 bits, is not below ``threshold``, and 0 elsewhere.

    The shapes broadcast; given a Variable, the result is one.

    >>> dropped_out(np.array([1.0, 2.0, 3.0]), np.array([7, 1, 4], np.uint32), 4, 2.0)
    array([2., 0., 6.])
    """
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(float)
    return masked(x, drawn >= drawn.dtype.type(threshold)) * dtype.type(scale)


@kernel(_both_suit)
def limited_sum(x0: Array, x1: Array, low: float, high: float) -> Array:
    """``min(max(x0 + x1, low), high)``; the shapes broadcast.

    >>> limited_sum(np.array([-1.0, 2.0, 9.0]), np.array([1.0, 1.0, 1.0]), 0.0, 6.0)
    array([0., 3., 6.])
    """
    return limited(x0 + x1, low, high)


@kernel(_suits)
def limited(x: Array, low: float, high: float) -> Array:
    """``min(max(x, low), high)``; NaN is unchanged.

    >>> limited(np.array([-1.0, 2.0, 9.0]), 0.0, 6.0)
    array([0., 2., 6.])
    """
    return x.clip(low, high) if high < math.inf else backend_of(x).xp.maximum(x, low)


@kernel(_both_suit)
def limited_gradient(gy: Array, y: Array, low: float, high: float) -> Array:
    """``gy`` where ``low < y < high``, and 0 elsewhere; given Variables, the result is one.

    >>> limited_gradient(np.ones(3), np.array([0.0, 2.0, 6.0]), 0.0, 6.0)
    array([0., 1., 0.])
    """
    return masked(gy, (y > low) & (y < high) if high < math.inf else y > low)


BITS = {np.dtype(f"f{size}"): np.dtype(f"i{size}") for size in (2, 4, 8)}
"""The integers that have as many bits as a floating-point number."""


@operation
def masked(x: Array, mask: Array) -> Array:
    """``x`` where the mask holds, and 0 elsewhere, even if ``x`` is infinite or NaN there; a product would be NaN.

    The shapes broadcast; given a Variable, the result is one.

    >>> masked(np.array([1.0, np.inf, np.nan]), np.array([True, False, False]))
    array([1., 0., 0.])
    """
    if isinstance(x, (np.ndarray, np.generic)):
        dtype = x.dtype
        bits = BITS.get(dtype)
        if bits is not None:  # Many times faster than np.where, which branches for each element.
            return (x.view(bits) * mask).view(dtype)
    return backend_of(x).xp.where(mask, x, 0)


BRANCHES = 1 << 13
"""Number of elements from which np.where, which branches for each element, is slower than two products of integers."""


@operation
def where(mask: Array, x: Any, y: Any) -> Any:
    """``x`` where the mask holds, else ``y``; one of them may be a number. Given a Variable, the result is one.

    >>> where(np.array([True, False]), np.array([1.0, 2.0]), 0.5)
    array([1. , 0.5])
    """
    if isinstance(mask, np.ndarray) and mask.size >= BRANCHES:
        dtype = next((v.dtype for v in (x, y) if type(v) is np.ndarray), None)
        if dtype in BITS and all(type(v) is float or (type(v) is np.ndarray and v.dtype == dtype) for v in (x, y)):
            of_x, of_y = (np.asarray(v, dtype).view(BITS[dtype]) for v in (x, y))
            return (of_x * mask + of_y * ~mask).view(dtype)
    xp = np if isinstance(x, np.ndarray) or isinstance(y, np.ndarray) else backend_of(x, y).xp
    return xp.where(mask, x, y)


def exp_below_zero(x: Any) -> Any:
    """``exp(x)`` of numbers that are not above 0, for which a kernel needs no bound. Given a Variable, the result is one.

    >>> exp_below_zero(np.array([0.0, -np.inf]))
    array([1., 0.])
    """
    return backend_of(x).xp.exp(x)


def is_dense(x: Array) -> bool:
    """Whether an array has no gaps in memory, in any order of the axes."""
    axes = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    dense: bool = x.transpose(axes).flags.c_contiguous
    return dense
