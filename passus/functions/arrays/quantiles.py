"""Median and quantiles along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array, backend_of, truth
from passus.core import HALF, Operand, Result, Variable, upcast_inputs
from passus.core.basic import astype
from passus.errors import ArgumentError, DTypeError, ShapeError, named_in_errors
from passus.functions.arrays.arithmetic import add, mul, sub
from passus.functions.arrays.indexing import take_along_axis
from passus.functions.arrays.reductions import Axis
from passus.functions.arrays.selection import where
from passus.functions.arrays.shapes import moveaxis, reshape
from passus.functions.arrays.sorting import sort
from passus.functions.checks import array_of

__all__ = ["median", "quantile"]

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


@upcast_inputs(1, HALF)
def quantile(
    x: Operand, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False, skip_nan: bool = False
) -> Result:
    """The quantiles of the elements along axes: the values below which a fraction ``q`` of the elements lies.

    ``q``: a number from 0 to 1, or an array, whose axes come first in the result. ``method``: the value between two
    elements: ``"linear"`` interpolates, ``"lower"``, ``"higher"`` and ``"nearest"`` select one, ``"midpoint"`` is their
    mean. NaN if any element is; with ``skip_nan``, if all are. The gradient flows to the selected elements.

    Raises `ArgumentError` for an unknown method or ``q`` out of range, `DTypeError` if ``q`` requires a gradient,
    `ShapeError` if there are no elements, or for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> quantile(np.array([1.0, 2.0, 4.0]), [0.5, 0.75])
    array([2., 3.])
    """
    if isinstance(q, Variable) and q.requires_grad:
        raise DTypeError("quantile: q is a Variable, and has no gradient here; pass q.data")
    q_array = np.asarray(array_of("quantile", np.asarray(q) if isinstance(q, (list, tuple)) else q), np.float64)
    if not ((q_array >= 0) & (q_array <= 1)).all():
        raise ArgumentError(f"quantile: q must be from 0 to 1, not {q}")
    if method not in METHODS:
        raise ArgumentError(f"quantile: method must be one of {', '.join(METHODS)}, not {method!r}")
    shape = array_of("quantile", x).shape
    x, keepdims_shape = _along_last(x, shape, axis)
    ordered = sort(x)
    numbers = array_of("quantile", ordered)
    xp = backend_of(numbers).xp
    missing = xp.isnan(numbers)
    n = numbers.shape[-1] - (missing.sum(-1) if skip_nan else 0)
    q_array = xp.asarray(q_array)
    positions = _positions(xp, q_array.reshape(-1, *(1,) * (numbers.ndim - 1)), xp.maximum(n, 1), method)
    low = xp.floor(positions).astype(backend_of(numbers).intp)
    weight = (positions - low).astype(numbers.dtype if numbers.dtype.kind == "f" else np.float64)
    interpolates = truth(weight.any(), True)
    if interpolates and numbers.dtype.kind != "f":
        ordered = astype(ordered, weight.dtype)  # The difference of small integers may overflow.
    y = _elements(ordered, low)
    if interpolates:
        y = add(y, mul(weight, sub(_elements(ordered, xp.minimum(low + 1, xp.maximum(n, 1) - 1)), y)))
    if not skip_nan and truth(missing.any(), True):
        y = where(xp.broadcast_to(missing[..., -1], array_of("quantile", y).shape), np.nan, y)
    return reshape(y, (*q_array.shape, *(keepdims_shape if keepdims else numbers.shape[:-1])))


@named_in_errors
def median(x: Operand, axis: Axis = None, keepdims: bool = False) -> Result:
    """The median along axes: the middle element, or the mean of the two middle elements; NaN if any element is.

    Raises `ShapeError` if there are no elements, or for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> median(np.array([3.0, 1.0, 2.0, 10.0]))
    array(2.5)
    """
    return quantile(x, 0.5, axis, "midpoint", keepdims)


def _along_last(x: Operand, shape: tuple[int, ...], axis: Axis) -> tuple[Operand, tuple[int, ...]]:
    """The elements with the reduced axes merged into the last, and the shape of the result with ``keepdims``."""
    axes = tuple(range(len(shape))) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    try:
        axes = tuple([range(len(shape))[a] for a in axes])
    except IndexError:
        raise ShapeError(f"quantile: axis {axis} is not one of x {shape}") from None
    if len(set(axes)) < len(axes):
        raise ShapeError(f"quantile: axis {axis} names an axis twice")
    rest = tuple([n for a, n in enumerate(shape) if a not in axes])
    count = int(np.prod([shape[a] for a in axes]))
    if not count:
        raise ShapeError(f"quantile: x {shape} has no elements along axis {axis}")
    moved = moveaxis(x, axes, tuple(range(-len(axes), 0))) if axes else x
    return reshape(moved, (*rest, count)), tuple([1 if a in axes else n for a, n in enumerate(shape)])


def _positions(xp: Any, q: Array, n: Any, method: str) -> Array:
    """The positions of quantiles among ``n`` sorted elements; a fraction is the weight of the upper neighbour."""
    positions = q * (n - 1)
    if method == "midpoint":
        midpoints: Array = xp.where(positions == xp.floor(positions), positions, xp.floor(positions) + 0.5)
        return midpoints
    rounded: dict[str, Any] = {"lower": xp.floor, "higher": xp.ceil, "nearest": xp.round}
    return rounded[method](positions) if method in rounded else positions


def _elements(ordered: Operand, indices: Array) -> Result:
    """The elements at indices of the last axis; the first axis of ``indices`` is that of the quantiles."""
    shape = array_of("quantile", ordered).shape
    xp = backend_of(indices).xp
    indices = xp.broadcast_to(indices, (len(indices), *shape[:-1]))
    return moveaxis(take_along_axis(ordered, xp.moveaxis(indices, 0, -1), -1), -1, 0)
