"""Sorting and searching. Indices are arrays without gradient."""

from __future__ import annotations

from typing import Any

from numpy.lib.array_utils import normalize_axis_index

from passus.arguments import checked_integer
from passus.backend import Array
from passus.core import Operand, Result, Unary
from passus.errors import ArgumentError
from passus.functions.arrays.indexing import take_along_axis
from passus.functions.arrays.shapes import ravel
from passus.functions.checks import array_of

__all__ = ["Argmax", "Argmin", "Argsort", "Sort", "Topk", "argmax", "argmin", "argsort", "sort", "topk"]


class Sort(Unary):
    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        self.order = self.xp.argsort(x, axis=self.axis, stable=True)
        return self.xp.take_along_axis(x, self.order, axis=self.axis)

    def backward(self, gy: Any) -> Any:
        return self.xp.take_along_axis(gy, self.xp.argsort(self.order, axis=self.axis), axis=self.axis)


def sort(x: Operand, axis: int | None = -1) -> Result:
    """Sort the elements along an axis in ascending order; flattened ``x`` if ``axis`` is None. NaN is last, and the
    sort is stable.

    Raises `ShapeError` for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> sort(np.array([3.0, 1.0, 2.0]))
    array([1., 2., 3.])
    """
    return Sort(0)(ravel(x)) if axis is None else Sort(axis)(x)


class Argsort(Unary):
    def __init__(self, axis: int | None) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        return self.xp.argsort(x, axis=self.axis, stable=True)


def argsort(x: Operand, axis: int | None = -1) -> Array:
    """The indices that sort an array along an axis, or flattened ``x`` if ``axis`` is None. The sort is stable.

    Raises `ShapeError` for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> argsort(np.array([3.0, 1.0, 2.0]))
    array([1, 2, 0])
    """
    return Argsort(axis)(array_of("argsort", x))


class Argmax(Unary):
    def __init__(self, axis: int | None, keepdims: bool) -> None:
        self.axis, self.keepdims = axis, keepdims

    def forward(self, x: Array) -> Array:
        return self.xp.argmax(x, axis=self.axis, keepdims=self.keepdims)


def argmax(x: Operand, axis: int | None = None, keepdims: bool = False) -> Array:
    """The index of the first maximum along an axis, or of flattened ``x``.

    Raises `ShapeError` if there are no elements, or for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> argmax(np.array([[1.0, 3.0], [4.0, 2.0]]), axis=-1)
    array([1, 0])
    """
    return Argmax(axis, keepdims)(array_of("argmax", x))


class Argmin(Unary):
    def __init__(self, axis: int | None, keepdims: bool) -> None:
        self.axis, self.keepdims = axis, keepdims

    def forward(self, x: Array) -> Array:
        return self.xp.argmin(x, axis=self.axis, keepdims=self.keepdims)


def argmin(x: Operand, axis: int | None = None, keepdims: bool = False) -> Array:
    """The index of the first minimum along an axis, or of flattened ``x``.

    Raises `ShapeError` if there are no elements, or for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> argmin(np.array([[1.0, 3.0], [4.0, 2.0]]), axis=-1)
    array([0, 1])
    """
    return Argmin(axis, keepdims)(array_of("argmin", x))


class Topk(Unary):
    """The indices of the k largest elements, in descending order."""

    def __init__(self, k: int, axis: int) -> None:
        self.k, self.axis = k, axis

    def forward(self, x: Array) -> Array:
        xp, n = self.xp, x.shape[normalize_axis_index(self.axis, x.ndim)]
        if not 1 <= self.k <= n:
            raise ArgumentError(
                f"topk: k is {self.k}; it must be from 1 to {n}, the length of axis {self.axis} of x {x.shape}"
            )
        # Partition in linear time, then sort only the k largest.
        indices = xp.moveaxis(xp.argpartition(x, n - self.k, axis=self.axis), self.axis, -1)[..., n - self.k :]
        largest = xp.take_along_axis(xp.moveaxis(x, self.axis, -1), indices, axis=-1)
        order = xp.flip(xp.argsort(largest, axis=-1), -1)
        return xp.moveaxis(xp.take_along_axis(indices, order, axis=-1), -1, self.axis)


def topk(x: Operand, k: int, axis: int = -1) -> tuple[Result, Array]:
    """The ``k`` largest elements along an axis, in descending order, and their indices; NaN counts as the largest.

    Raises `ArgumentError` unless ``k`` is from 1 to the length of the axis, `ShapeError` for an axis that ``x`` does
    not have.

    >>> import numpy as np
    >>> topk(np.array([3.0, 1.0, 2.0]), 2)
    (array([3., 2.]), array([0, 2]))
    """
    indices = Topk(checked_integer("topk", "k", k), axis)(array_of("topk", x))
    return take_along_axis(x, indices, axis), indices
