"""NumPy's functions that create arrays; gradients flow through ``np.array([x, y], like=x)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from passus.core import Result, Variable
from passus.functions.arrays import indexing, joining, shapes
from passus.functions.arrays.arithmetic import add, div, mul, pow
from passus.functions.arrays.reductions import sum
from passus.functions.numpy_api.operands import array_in, cast, number_or_array, operand
from passus.functions.numpy_api.sampling import linspace

__all__ = ["CREATION"]


def array(object: Any, dtype: Any = None, *, copy: Any = True, ndmin: int = 0) -> Result:
    x = cast(object, dtype)
    if x.ndim < ndmin:
        x = shapes.reshape(x, (1,) * (ndmin - x.ndim) + x.shape)
    return add(x, 0) if copy and x is object and x.dtype.kind == "f" else x


def asarray(a: Any, dtype: Any = None) -> Result:
    return cast(a, dtype)


def asanyarray(a: Any, dtype: Any = None) -> Result:
    return cast(a, dtype)


def ascontiguousarray(a: Any, dtype: Any = None) -> Result:
    return cast(a, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None) -> Result:
    if not isinstance(fill_value, (Variable, list, tuple)):
        return np.full(shape, fill_value, dtype)
    return shapes.broadcast_to(cast(fill_value, dtype), shape if isinstance(shape, tuple) else (shape,))


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    if isinstance(fill_value, Variable):
        return full(a.shape if shape is None else shape, fill_value, a.dtype if dtype is None else dtype)
    return np.full_like(array_in(a), fill_value, dtype, shape=shape)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Result:
    start, stop = number_or_array(start), number_or_array(stop)
    exponents = linspace(mul(start, 0.0), add(mul(stop, 0.0), 1.0), num, endpoint)
    y = mul(start, pow(div(stop, start), exponents))
    return cast(shapes.moveaxis(y, 0, axis) if axis and y.ndim > 1 else y, dtype)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Result:
    n = x.shape[0] if N is None else N
    powers = np.arange(n) if increasing else np.arange(n)[::-1]
    return pow(shapes.reshape(x, (-1, 1)), powers.astype(x.dtype))


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Result:
    rows = shapes.moveaxis(arr, axis, -1)
    batch = rows.shape[:-1]
    ys = joining.stack([operand(func1d(rows[i], *args, **kwargs)) for i in np.ndindex(batch)])
    y = shapes.reshape(ys, (*batch, *ys.shape[1:]))
    axis = normalize_axis_index(axis, arr.ndim)
    return shapes.moveaxis(y, range(len(batch), y.ndim), range(axis, axis + y.ndim - len(batch)))


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kwargs: Any) -> Result:
    conditions = [
        array_in(c).astype(bool, copy=False) for c in (condlist if isinstance(condlist, (list, tuple)) else [condlist])
    ]
    conditions = [conditions[0]] if conditions[0].ndim < x.ndim else conditions
    if len(funclist) == len(conditions) + 1:  # The last function is the default.
        conditions = [*conditions, ~np.logical_or.reduce(conditions)]
    pieces = []
    for i, (condition, function) in enumerate(zip(conditions, funclist, strict=True)):
        mask = condition & ~np.logical_or.reduce([*conditions[i + 1 :], np.zeros(x.shape, bool)])
        given = indexing.get_item(x, mask)
        y = function(given, *args, **kwargs) if callable(function) else function
        y = shapes.broadcast_to(operand(y), given.shape)
        pieces.append(indexing.GetItemGrad(mask, x.shape)(cast(y, x.dtype)))
    return sum(joining.stack(pieces), 0)


def _of_arrays(function: Any) -> Callable[..., Any]:
    """A function applied to the arrays of Variables; the result is an array without gradient."""

    def created(*args: Any, **options: Any) -> Any:
        return function(*[array_in(a) if isinstance(a, Variable) else a for a in args], **options)

    return created


CREATION = {
    f: _of_arrays(f) for f in (np.zeros, np.ones, np.empty, np.arange, np.eye, np.identity, np.tri, np.fromiter)
}
"""NumPy's functions that create arrays without gradient, called with ``like=x``."""
