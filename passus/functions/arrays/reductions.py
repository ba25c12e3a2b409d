"""Sums and products along axes: sum, mean, prod, cumsum."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from passus.backend import Array
from passus.core import HALF, Operand, Result, Unary
from passus.core.basic import SumTo as SumTo
from passus.core.basic import sum_to as sum_to
from passus.kernels.sums import running, total

__all__ = [
    "Cumsum",
    "Mean",
    "Prod",
    "Reduction",
    "Sum",
    "SumTo",
    "average",
    "cumsum",
    "mean",
    "prod",
    "sum",
    "sum_to",
]

Axis: TypeAlias = int | tuple[int, ...] | None
"""The axes to reduce: one, several, or all (None)."""


class Reduction(Unary):
    """The base of functions that reduce axes."""

    def __init__(self, axis: Axis = None, keepdims: bool = False) -> None:
        self.axis, self.keepdims = axis, keepdims

    def with_reduced_axes(self, reduced: Any) -> Any:
        """Reshape an array of the shape of the output so that it broadcasts to the shape of the input."""
        if self.keepdims or self.axis is None:
            return reduced
        shape = self.operands[0].shape
        axes = _normalized_axes(self.axis, len(shape))
        return reduced.reshape([1 if i in axes else n for i, n in enumerate(shape)])

    def broadcast(self, reduced: Any) -> Any:
        """Broadcast an array of the shape of the output to the shape of the input."""
        return self.xp.broadcast_to(self.with_reduced_axes(reduced), self.operands[0].shape)


class Sum(Reduction):
    def forward(self, x: Array) -> Array:
        return total(x, self.axis, self.keepdims)

    def backward(self, gy: Any) -> Any:
        return self.broadcast(gy)


def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Result:
    """The sum of the elements along axes; 0 for an empty axis.

    Raises `ShapeError` for an axis that ``x`` does not have, or for a repeated axis.

    >>> import numpy as np
    >>> sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([4., 6.])
    """
    return Sum(axis, keepdims)(x)


class Mean(Reduction):
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        y = total(x, self.axis, self.keepdims)  # x.mean() takes twice as long for a small array.
        self.n = elements_per_output(x, y)
        if not self.n:
            raise ValueError(f"the mean of no elements, along axis {self.axis}, is undefined; leave out what is empty")
        return y / self.n

    def backward(self, gy: Any) -> Any:
        return self.broadcast(gy / self.n)


def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Result:
    """The mean of the elements along axes.

    Raises `ShapeError` if there are none, or for an axis that ``x`` does not have, or for a repeated axis.

    >>> import numpy as np
    >>> mean(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([2., 3.])
    """
    return Mean(axis, keepdims)(x)


average = mean
"""DeZero's name for `mean`."""


class Prod(Reduction):
    upcast_dtypes = HALF

    def forward(self, x: Array) -> Array:
        return x.prod(axis=self.axis, keepdims=self.keepdims)

    def backward(self, gy: Any) -> Any:
        x = self.x
        axes = _normalized_axes(self.axis, x.ndim)
        order = (*axes, *[a for a in range(x.ndim) if a not in axes])
        front = x.transpose(order)
        n = math.prod(front.shape[: len(axes)])
        others = self._exclusive_products(front.reshape(n, *front.shape[len(axes) :]))
        back = tuple(order.index(a) for a in range(x.ndim))
        return self.with_reduced_axes(gy) * others.reshape(front.shape).transpose(back)

    def _exclusive_products(self, x: Any) -> Any:
        """For each element along the first axis, the product of all others.

        Computed by halves instead of as ``y / x``, so that it is right for zeros, to any order.
        """
        n = len(x)
        if n < 2:
            return self.xp.ones(x.shape, x.dtype)
        half = n // 2
        left, right, odd = x[:half], x[half : 2 * half], x[2 * half :]
        others = self._exclusive_products(self.xp.concatenate([left * right, odd]))
        return self.xp.concatenate([others[:half] * right, others[:half] * left, others[half:]])


def prod(x: Operand, axis: Axis = None, keepdims: bool = False) -> Result:
    """The product of the elements along axes; 1 for an empty axis. The gradient is right at zeros, too.

    Raises `ShapeError` for an axis that ``x`` does not have, or for a repeated axis.

    >>> import numpy as np
    >>> prod(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([3., 8.])
    """
    return Prod(axis, keepdims)(x)


class Cumsum(Unary):
    upcast_dtypes = HALF

    def __init__(self, axis: int | None) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        return running(x, self.axis)

    def backward(self, gy: Any) -> Any:
        flip = self.xp.flip
        axis = 0 if self.axis is None else self.axis  # Without an axis, the output has one axis.
        return flip(running(flip(gy, axis), axis), axis).reshape(self.operands[0].shape)


def cumsum(x: Operand, axis: int | None = None) -> Result:
    """The cumulative sum along an axis, ``y[i] = x[0] + ... + x[i]``; of flattened ``x`` if ``axis`` is None.

    Raises `ShapeError` for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> cumsum(np.array([1.0, 2.0, 3.0]))
    array([1., 3., 6.])
    """
    return Cumsum(axis)(x)


def elements_per_output(x: Array, y: Array) -> int:
    """The number of elements of ``x`` per element of ``y``; for empty ``y``, by the axes that differ."""
    if y.size:
        return int(x.size // y.size)
    return math.prod([n for n, m in zip(x.shape, y.shape) if n != m])


def _normalized_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes to reduce, as non-negative numbers. NumPy accepts axis 0 for an array without axes."""
    if axis is None:
        return tuple(range(ndim))
    return tuple([a % ndim for a in ((axis,) if isinstance(axis, int) else axis) if ndim])
