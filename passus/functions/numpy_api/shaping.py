"""Shapes, order, joining and splitting, with NumPy's arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from passus.core import Result, Variable
from passus.functions.arrays import arrangement, indexing, joining, linalg, shapes
from passus.functions.arrays.arithmetic import add
from passus.functions.arrays.selection import where
from passus.functions.numpy_api.operands import cast, operand, refuse, without_gradient

__all__: list[str] = []


def reshape(a: Any, shape: Any = None, order: str = "C", *, newshape: Any = None) -> Result:
    shape = newshape if shape is None else shape
    if order != "F" or isinstance(shape, int):
        return shapes.reshape(ravel(a, order) if order == "F" else a, shape)
    return shapes.transpose(shapes.reshape(shapes.transpose(a), tuple(shape)[::-1]))


def ravel(a: Any, order: str = "C") -> Result:
    return shapes.ravel(shapes.transpose(a) if order == "F" else a)


def copy(a: Any, order: str = "K", subok: bool = False) -> Result:
    return add(a, 0) if a.dtype.kind == "f" else a


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Result:
    return cast(x, dtype)


def rollaxis(a: Any, axis: int, start: int = 0) -> Result:
    axis, start = normalize_axis_index(axis, a.ndim), start + a.ndim if start < 0 else start
    return shapes.moveaxis(a, axis, start - 1 if axis < start else start)


def matrix_transpose(x: Any, /) -> Result:
    return shapes.swapaxes(x, -1, -2)


def atleast_1d(*arys: Any) -> Any:
    return _on_each(arys, lambda x: x if x.ndim else shapes.reshape(x, (1,)))


def atleast_2d(*arys: Any) -> Any:
    return _on_each(arys, lambda x: x if x.ndim > 1 else shapes.reshape(x, (1, x.size)))


def atleast_3d(*arys: Any) -> Any:
    return _on_each(arys, _in_3d)


def _in_3d(x: Any) -> Any:
    if x.ndim > 2:
        return x
    return shapes.reshape(x, (*x.shape, 1) if x.ndim == 2 else (1, x.size, 1))


def _on_each(arys: Any, change: Any) -> Any:
    """Apply a function to each array; the result is a tuple for several arrays, as in NumPy."""
    changed = tuple([change(operand(x)) for x in arys])
    return changed[0] if len(changed) == 1 else changed


def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    xs = [operand(x) for x in args]
    shape = np.broadcast_shapes(*[x.shape for x in xs])
    return tuple([shapes.broadcast_to(x, shape) for x in xs])


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    n = len(xi)
    xs = [shapes.reshape(operand(x), [-1 if i == j else 1 for j in range(n)]) for i, x in enumerate(xi)]
    if indexing == "xy" and n > 1:
        xs = [shapes.swapaxes(x, 0, 1) for x in xs]
    return tuple(xs) if sparse else broadcast_arrays(*xs)


def fliplr(m: Any) -> Result:
    return arrangement.flip(m, 1)


def flipud(m: Any) -> Result:
    return arrangement.flip(m, 0)


def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Result:
    first, second = axes
    rotated = arrangement.flip(m, axes) if k % 4 >= 2 else m
    return arrangement.flip(shapes.swapaxes(rotated, first, second), first) if k % 2 else rotated


def pad(array: Any, pad_width: Any, mode: str = "constant", **options: Any) -> Result:
    values = options.get("constant_values", 0)
    if mode != "constant" or np.isscalar(values):
        return arrangement.pad(array, pad_width, mode, **options)
    if isinstance(values, Variable) and not values.ndim:
        interior = np.pad(np.ones(array.shape, bool), pad_width)
        return where(interior, arrangement.pad(array, pad_width), values)
    # Different values per side: pad with zeros, and add an array that contains only the padding.
    border = np.pad(
        np.zeros(array.shape, array.dtype),
        pad_width,
        constant_values=without_gradient("np.pad", "constant_values", values),
    )
    return add(arrangement.pad(array, pad_width), border)


def diag(v: Any, k: int = 0) -> Result:
    if v.ndim == 2:
        return linalg.diagonal(v, k)
    n = v.shape[0] + abs(k)
    index = np.arange(v.shape[0])
    return indexing.GetItemGrad((index + max(-k, 0), index + max(k, 0)), (n, n))(v)


def diagflat(v: Any, k: int = 0) -> Result:
    return diag(shapes.ravel(v), k)


def resize(a: Any, new_shape: Any) -> Result:
    x, count = shapes.ravel(a), int(np.prod(new_shape))
    return shapes.reshape(indexing.get_item(x, np.arange(count) % max(x.size, 1)), new_shape)


def hstack(tup: Any, *, dtype: Any = None) -> Result:
    xs = _at_least(tup, atleast_1d)
    return cast(joining.concatenate(xs, 0 if xs and xs[0].ndim == 1 else 1), dtype)


def vstack(tup: Any, *, dtype: Any = None) -> Result:
    return cast(joining.concatenate(_at_least(tup, atleast_2d), 0), dtype)


def dstack(tup: Any) -> Result:
    return joining.concatenate(_at_least(tup, atleast_3d), 2)


def column_stack(tup: Any) -> Result:
    xs = [operand(x) for x in tup]
    return joining.concatenate([x if x.ndim > 1 else shapes.reshape(x, (x.size, 1)) for x in xs], 1)


def _at_least(tup: Any, change: Any) -> list[Any]:
    return [change(x) for x in tup]


def concatenate(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None) -> Result:
    refuse("np.concatenate", out=out)
    y = joining.concatenate([operand(x) for x in arrays], axis)
    return y if dtype is None else cast(y, dtype)


def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None) -> Result:
    refuse("np.stack", out=out)
    y = joining.stack([operand(x) for x in arrays], axis)
    return y if dtype is None else cast(y, dtype)


def append(arr: Any, values: Any, axis: Any = None) -> Result:
    return joining.concatenate([operand(arr), operand(values)], axis)


def block(arrays: Any) -> Result:
    depth = _depth(arrays)
    return _blocks(arrays, depth, max(depth, _axes(arrays)))


def _depth(arrays: Any) -> int:
    return 1 + _depth(arrays[0]) if isinstance(arrays, list) else 0


def _axes(arrays: Any) -> int:
    return max([_axes(element) for element in arrays]) if isinstance(arrays, list) else operand(arrays).ndim


def _blocks(arrays: Any, depth: int, ndim: int) -> Any:
    if isinstance(arrays, list):
        return joining.concatenate([_blocks(element, depth - 1, ndim) for element in arrays], -depth)
    x = operand(arrays)
    return shapes.reshape(x, (1,) * (ndim - x.ndim) + x.shape)


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    return list(joining.split(ary, indices_or_sections, axis))


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    if not np.ndim(indices_or_sections):
        n, sections = ary.shape[axis], int(indices_or_sections)
        indices_or_sections = [(n // sections) * i + min(i, n % sections) for i in range(1, sections)]
    return split(ary, indices_or_sections, axis)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(ary, indices_or_sections, 1 if ary.ndim > 1 else 0)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(ary, indices_or_sections, 0)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(ary, indices_or_sections, 2)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    return tuple(shapes.moveaxis(x, axis, 0))
