"""Selection of elements by index, condition or order, with NumPy's arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from passus.core import Result
from passus.errors import ShapeError
from passus.functions.arrays import comparison, indexing, joining, selection, shapes, sorting
from passus.functions.numpy_api.operands import array_in, cast, number_or_array, operand, refuse
from passus.functions.numpy_api.shaping import broadcast_arrays

__all__: list[str] = []


def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    chosen = array_in(condition)
    if x is None and y is None:
        return np.nonzero(chosen)
    return selection.where(chosen if chosen.dtype.kind == "b" else chosen != 0, x, y)


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Result:
    y: Any = default
    for condition, chosen in zip(condlist[::-1], choicelist[::-1], strict=True):
        y = selection.where(array_in(condition), number_or_array(chosen), y)
    return y


def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Result:
    refuse("np.choose", out=out)
    indices, *given = broadcast_arrays(array_in(a), *[operand(c) for c in choices])
    table = joining.stack(given)
    return indexing.take_along_axis(table, _in_range(indices, len(given), mode)[None], 0)[0]


def _in_range(indices: Any, n: int, mode: str) -> Any:
    """Indices of an axis of length ``n``; ``mode`` says how those out of range are handled."""
    indices = array_in(indices)
    indices = indices.astype(np.intp) if indices.dtype.kind == "b" else indices
    if mode == "raise":
        return indices
    return indices % n if mode == "wrap" else np.clip(indices, 0, n - 1)


def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Result:
    refuse("np.take", out=out)
    a = operand(a)
    if axis is None:
        a, axis = shapes.ravel(a), 0
    axis = normalize_axis_index(axis, a.ndim)
    return indexing.get_item(a, (*(slice(None),) * axis, _in_range(indices, a.shape[axis], mode)))


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Result:
    return indexing.take_along_axis(operand(arr), indices, axis)


def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Result:
    return take(a, np.flatnonzero(array_in(condition)), axis, out)


def extract(condition: Any, arr: Any) -> Result:
    return take(arr, np.flatnonzero(array_in(condition)))


def delete(arr: Any, obj: Any, axis: int | None = None) -> Result:
    n = arr.size if axis is None else arr.shape[axis]
    return take(arr, np.delete(np.arange(n), _index(obj)), axis)


def _index(obj: Any) -> Any:
    return obj if isinstance(obj, slice) else array_in(obj)


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Result:
    arr = operand(arr)
    values = cast(values, arr.dtype)
    if axis is None:
        arr, axis = shapes.ravel(arr), 0
    axis = normalize_axis_index(axis, arr.ndim)
    n = arr.shape[axis]
    obj = _index(obj)
    indices = np.arange(n)[obj] if isinstance(obj, slice) else obj
    count = indices.size
    if count == 1:  # Any number of values at one index.
        values = shapes.reshape(values, (1,) * (arr.ndim - values.ndim) + values.shape)
        values = values if indices.ndim else shapes.moveaxis(values, 0, axis)
        count = values.shape[axis]
    rows = shapes.broadcast_to(values, tuple([count if i == axis else m for i, m in enumerate(arr.shape)]))
    # Append the values to the elements, then take both in NumPy's order.
    order = np.insert(np.arange(n), obj, np.arange(n, n + count))
    return take(joining.concatenate([arr, rows], axis), order, axis)


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Result:
    x = operand(x)
    numbers = array_in(x)
    finite = np.isfinite(numbers)
    return selection.where(finite, x, np.nan_to_num(numbers, nan=nan, posinf=posinf, neginf=neginf))


def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None) -> Result:
    refuse("np.clip", out=out)
    low, high = a_min if min is None else min, a_max if max is None else max
    if low is None and high is None:
        return a
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low > high:
        low = high  # In NumPy, the upper bound wins.
    low, high = [bound if bound is None or np.isscalar(bound) else operand(bound) for bound in (low, high)]
    return comparison.clip(operand(a), low, high)


def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Result:
    return sorting.sort(a, axis)


def argsort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    return sorting.argsort(a, axis)


def argmax(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
    refuse("np.argmax", out=out)
    return sorting.argmax(a, axis, keepdims)


def argmin(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
    refuse("np.argmin", out=out)
    return sorting.argmin(a, axis, keepdims)


def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Result:
    if axis is None:
        a, axis = shapes.ravel(a), -1
    return indexing.take_along_axis(a, np.argpartition(array_in(a), kth, axis), axis)


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    unique_of: Any = np.unique  # Typed by overloads for each combination of options.
    _, first, *others = unique_of(array_in(ar), True, return_inverse, return_counts, axis, equal_nan=equal_nan)
    values = take(ar, first, axis)
    chosen = (values, *([first] if return_index else []), *others)
    return chosen if len(chosen) > 1 else values


def unique_values(x: Any, /) -> Result:
    return unique(x, equal_nan=False)


def trim_zeros(filt: Any, trim: str = "fb") -> Result:
    if filt.ndim != 1:
        raise ShapeError(f"np.trim_zeros: filt {filt.shape} must have one axis")
    nonzero = np.flatnonzero(array_in(filt))
    if not nonzero.size:
        return filt[:0]
    start = nonzero[0] if "f" in trim.lower() else 0
    return filt[start : nonzero[-1] + 1 if "b" in trim.lower() else None]
