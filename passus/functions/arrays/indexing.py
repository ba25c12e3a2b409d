"""Indexing: elements by index, and along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_integer
from passus.backend import Array, backend_of, invalid, is_array
from passus.backend.trace import is_numpy
from passus.core import HALF, Operand, Result, Unary, Variable
from passus.errors import DTypeError, LabelError, ShapeError, named_in_errors
from passus.functions.arrays.shapes import ravel
from passus.kernels.scatter import scatter_add

__all__ = ["GetItem", "GetItemGrad", "get_item", "take_along_axis"]


class GetItem(Unary):
    def __init__(self, index: Any) -> None:
        self.index = index

    def forward(self, x: Array) -> Array:
        if not is_numpy(x):
            _check_bounds(x.shape, self.index)  # NumPy does it itself.
        return x[self.index]

    def backward(self, gy: Any) -> Any:
        return GetItemGrad(self.index, self.operands[0].shape)(gy)


class GetItemGrad(Unary):
    """The gradient added at ``index`` to zeros of ``shape``; repeated indices accumulate."""

    public_name = "get_item"
    upcast_dtypes = HALF

    def __init__(self, index: Any, shape: tuple[int, ...]) -> None:
        self.index, self.shape = index, shape

    def forward(self, gy: Array) -> Array:
        return scatter_add(self.shape, self.index, gy)

    def backward(self, ggx: Any) -> Any:
        return ggx[self.index]


def get_item(x: Operand, index: Any) -> Result:
    """The elements at an index, ``x[index]``: integers, slices, None, ..., arrays of integers or booleans.

    The gradients of repeated indices are summed.

    Raises `LabelError` (an IndexError) for an index out of range or of another type.

    >>> import numpy as np
    >>> get_item(np.array([1.0, 2.0, 3.0]), [0, 0, -1])
    array([1., 1., 3.])
    """
    return GetItem(_index(index))(x)


def _index(index: Any) -> Any:
    """Convert Variables and lists in an index to arrays, so that later changes of them have no effect."""
    if isinstance(index, tuple):
        return tuple([_index(element) for element in index])
    if isinstance(index, Variable):
        index = index.data
    if is_numpy(index) and index.dtype.kind in "iu":
        return index.astype(np.intp, copy=False)  # Narrow integers cannot represent all indices.
    if not isinstance(index, list):
        return index
    try:
        return np.asarray(index, dtype=None if index else np.intp)
    except ValueError:
        raise LabelError(f"get_item: the rows of the index {index} have unequal lengths") from None


def _check_bounds(shape: tuple[int, ...], index: Any) -> None:
    """Raise IndexError for integers out of range, which JAX would replace by the nearest in range."""
    keys = index if isinstance(index, tuple) else (index,)
    axes = [_axes_of(key) for key in keys]
    at = 0
    for i, (key, count) in enumerate(zip(keys, axes)):
        if key is ...:
            at = len(shape) - sum(axes[i:])
        elif count and not isinstance(key, slice) and getattr(key, "dtype", int) != np.bool_ and at < len(shape):
            n, numbers = shape[at], key if is_array(key) else np.asarray(key)
            message = f"an index is out of bounds for axis {at} with size {n}"
            if numbers.size and invalid((numbers.min() < -n) | (numbers.max() >= n), IndexError, message):
                raise IndexError(
                    f"index {numbers.min()} or {numbers.max()} is out of bounds for axis {at} with size {n}"
                )
        at += count


def _axes_of(key: Any) -> int:
    """The number of axes of which a part of an index selects elements."""
    if key is None or key is ...:
        return 0
    return int(key.ndim) if getattr(key, "dtype", int) == np.bool_ else 1


@named_in_errors
def take_along_axis(x: Operand, indices: Operand, axis: int | None = -1) -> Result:
    """The elements at ``indices`` along an axis, as returned by `argsort`; of flattened ``x`` if ``axis`` is None.

    ``x`` (..., M, ...) and integers ``indices`` (..., J, ...) give (..., J, ...); their other axes broadcast.

    Raises `ShapeError` if the numbers of axes differ, `DTypeError` if ``indices`` are no integers, `LabelError` for an
    index out of range.

    >>> import numpy as np
    >>> take_along_axis(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0]]))
    array([[2.],
           [3.]])
    """
    if axis is None:
        return take_along_axis(ravel(x), indices, 0)
    index: Any = indices.data if isinstance(indices, Variable) else backend_of(indices).xp.asarray(indices)
    if index.dtype.kind not in "iu":
        raise DTypeError(f"take_along_axis: indices must be integers, not {index.dtype}")
    shape: tuple[int, ...] = np.shape(x)
    axis = checked_integer("take_along_axis", "axis", axis)
    if not -len(shape) <= axis < len(shape) == index.ndim:
        raise ShapeError(
            f"take_along_axis: x {shape} and indices {index.shape} must have the same number of axes, and axis {axis} "
            "must be one of them"
        )
    mesh = [np.arange(n).reshape(-1, *(1,) * (len(shape) - i - 1)) for i, n in enumerate(shape)]
    mesh[axis] = index
    return get_item(x, tuple(mesh))
