"""Sums along axes that stay accurate over millions of numbers, and in float16.

NumPy adds contiguous numbers in pairs. Along every other axis it adds sequentially, and a sum of a million float32 numbers loses
its third digit. Here long sums are computed in float32 over a hundred numbers, and in float64 over these sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from passus.backend import Array, Writable, backend_of
from passus.backend.trace import is_numpy

FLOAT16, FLOAT32 = np.dtype(np.float16), np.dtype(np.float32)

__all__ = ["MAX_SEQUENTIAL", "Axes", "at_least_float32", "deviations", "length", "running", "total", "total_like"]

Axes: TypeAlias = int | Sequence[int] | None
"""The axes to add up: one, several, or all (None)."""

MAX_SEQUENTIAL = 1 << 10
"""Maximum number of float32 numbers that are added sequentially: the error stays below 3e-5."""

PIECE = 1 << 15
"""Number of squares that one call of BLAS adds up."""

BLOCK = 1 << 7
"""Number of float32 numbers that are added sequentially in longer sums."""


def total(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """``x.sum(axis, keepdims=keepdims)``, accurate for long sums too. Given a Variable, the result is one.

    float16 is added up in float32, and the sum is rounded once.

    >>> total(np.full((1000000, 2), 0.1, np.float32), axis=0).round()
    array([100000., 100000.], dtype=float32)
    """
    if not is_numpy(x):
        return x.sum(axis=axis, keepdims=keepdims)
    dtype = x.dtype
    if dtype == FLOAT16:
        return total(x.astype(np.float32), axis, keepdims).astype(np.float16)
    if x.size <= MAX_SEQUENTIAL or dtype != FLOAT32 or _sequential_terms(x, axis) <= MAX_SEQUENTIAL:
        return x.sum(axis=axis, keepdims=keepdims)
    axes = [a % x.ndim for a in (range(x.ndim) if axis is None else axis if isinstance(axis, Sequence) else (axis,))]
    y = _float64_sum(x, axes).astype(np.float32)
    return y if keepdims else y.reshape([n for a, n in enumerate(x.shape) if a not in axes])[()]


def total_like(x: Any, g: Any) -> Any:
    """The sum of g over the axes along which x was broadcast to its shape. Given Variables, the result is one.

    >>> total_like(np.zeros((2, 1)), np.ones((3, 2, 4)))
    array([[12.],
           [12.]])
    """
    lead = g.ndim - x.ndim
    stretched = [lead + axis for axis, n in enumerate(x.shape) if n == 1 != g.shape[lead + axis]]
    return total(g, (*range(lead), *stretched)).reshape(x.shape)


def deviations(x: Any, axis: Axes = None) -> tuple[Any, Any]:
    """The mean along axes, which are retained, and the deviations from it; Variables for a Variable.

    >>> deviations(np.array([1.0, 5.0]))
    (array([3.]), array([-2.,  2.]))
    """
    y = total(x, axis, True)
    count = x.size // y.size if y.size else 1
    mean = y / (count or 1)  # The mean of no numbers is 0, as their sum.
    d = x - mean
    if is_numpy(x) and count > BLOCK and _sequential_terms(x, axis) > BLOCK:
        # The mean of many large numbers has a small error, which is relevant where the numbers hardly differ.
        shift = total(d, axis, True) / count
        mean, d = mean + shift, d - shift
    return mean, d


def length(arrays: Iterable[Array]) -> Any:
    """The Euclidean norm of some arrays as one vector; the squares may overflow or underflow their dtypes.

    A number, or for arrays of JAX an array without axes, which is not read.

    >>> round(length([np.array([3e30, 0.0], np.float32), np.array(4e30, np.float32)]) / 1e30, 6)
    5.0
    """
    arrays = [x.array if isinstance(x, Writable) else x for x in arrays]
    if backend_of(*arrays).name == "jax":
        return _length_on_device(arrays)
    flat = [x.ravel(order="K") for x in arrays]
    squares = sum(map(_squares, flat))
    if 1e-30 < squares < math.inf:
        return math.sqrt(squares)
    largest = float(np.max([np.abs(x).max(initial=0) for x in flat], initial=0))
    if not 0 < largest < math.inf:
        return largest
    return largest * math.sqrt(sum(_squares(x.astype(np.float64) / largest) for x in flat))


def _length_on_device(arrays: Iterable[Array]) -> Array:
    flat = [at_least_float32(x).ravel() for x in arrays if x.size]
    xp = backend_of(*arrays).xp
    largest = xp.max(xp.stack([abs(x).max() for x in flat]))
    scale = xp.where((largest > 0) & (largest < math.inf), largest, 1)
    norm: Array = scale * xp.sqrt(sum(xp.square(x / scale).sum() for x in flat))
    return norm


def _squares(x: Array) -> float:
    """The sum of the squares of a flat array."""
    pieces = [x[i : i + PIECE] for i in range(0, x.size, PIECE)]
    with np.errstate(over="ignore", under="ignore"):
        return math.fsum(float(np.dot(v, v)) for v in (at_least_float32(piece) for piece in pieces))


def at_least_float32(x: Array) -> Array:
    """The array itself, or a float16 array in float32."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def running(x: Any, axis: int | None = None) -> Any:
    """``x.cumsum(axis)``, accurate for long sums too. Given a Variable, the result is one.

    >>> running(np.full(1000000, 0.1, np.float32))[-1]
    np.float32(100000.0)
    """
    if is_numpy(x) and x.dtype == np.float32 and x.size > MAX_SEQUENTIAL:
        return x.cumsum(axis=axis, dtype=np.float64).astype(np.float32)
    return x.cumsum(axis=axis)


def _sequential_terms(x: Array, axis: Axes) -> int:
    """Number of terms that NumPy adds sequentially. Contiguous numbers are added in pairs."""
    if axis is None and x.flags.c_contiguous:
        return 1
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, Sequence) else (axis,)
    if any(not -x.ndim <= a < x.ndim for a in axes) or len({a % x.ndim for a in axes}) < len(axes):
        return 1  # NumPy raises for these axes.
    count, side_by_side = 1, x.itemsize
    for a in sorted(axes, key=lambda a: abs(x.strides[a])):
        if x.strides[a] == side_by_side:
            side_by_side *= x.shape[a]
        else:
            count *= x.shape[a]
    return count


def _float64_sum(x: Array, axes: Sequence[int]) -> Array:
    """The sum in float64, with the axes retained."""
    first: set[int] = set()
    remaining = BLOCK
    for axis in sorted(axes, key=lambda a: -abs(x.strides[a])):
        n = x.shape[axis]
        if n > remaining:
            return _split(x, axes, axis, remaining, first) if remaining > 1 else _two_step_sum(x, axes, first)
        first.add(axis)
        remaining //= n
    return _two_step_sum(x, axes, first)


def _split(x: Array, axes: Sequence[int], axis: int, remaining: int, first: set[int]) -> Array:
    """Split one axis into ``remaining`` pieces. They are far apart, so that long runs of memory are added."""
    apart = x.shape[axis] // remaining
    before = (slice(None),) * axis
    whole, rest = x[(*before, slice(apart * remaining))], x[(*before, slice(apart * remaining, None))]
    pieces = whole.reshape(*x.shape[:axis], remaining, apart, *x.shape[axis + 1 :])
    added = pieces.sum(axis=(axis, *[a + (a > axis) for a in first]), keepdims=True).squeeze(axis)
    y: Array = added.sum(axis=tuple(axes), keepdims=True, dtype=np.float64)
    return y + _float64_sum(rest, axes) if rest.size else y


def _two_step_sum(x: Array, axes: Sequence[int], first: set[int]) -> Array:
    added = x.sum(axis=tuple(first), keepdims=True)
    y: Array = added.sum(axis=tuple(axes), keepdims=True, dtype=np.float64)
    return y
