"""Functions of sampled data: interpolation, convolution, differences, integrals, polynomials, ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from passus.core import Result
from passus.functions.arrays import indexing, joining, running, shapes
from passus.functions.arrays.arithmetic import add, div, mul, pow, sub
from passus.functions.arrays.arrangement import flip
from passus.functions.arrays.arrangement import pad as padded
from passus.functions.arrays.products import matmul
from passus.functions.arrays.reductions import sum
from passus.functions.arrays.selection import where
from passus.functions.numpy_api.operands import array_in, cast, number_or_array, operand, without_gradient

__all__: list[str] = []


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Result:
    a = operand(a)
    before, after = [[] if x is None else [_edge(operand(x), a.shape, axis)] for x in (prepend, append)]
    return running.diff(joining.concatenate([*before, a, *after], axis) if before or after else a, n, axis)


def _edge(x: Any, shape: tuple[int, ...], axis: int) -> Any:
    """The elements to prepend or append; a number is broadcast along the edge."""
    axis = normalize_axis_index(axis, len(shape))
    return x if x.ndim else shapes.broadcast_to(x, tuple([1 if i == axis else n for i, n in enumerate(shape)]))


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Result:
    ends = [[] if x is None else [shapes.ravel(cast(x, operand(ary).dtype))] for x in (to_begin, to_end)]
    return joining.concatenate([*ends[0], running.diff(shapes.ravel(ary)), *ends[1]])


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = operand(f)
    axes = (
        tuple(range(f.ndim))
        if axis is None
        else tuple([normalize_axis_index(a, f.ndim) for a in np.atleast_1d(axis).tolist()])
    )
    steps = list(varargs or [1.0])
    if len(steps) == 1 and not np.ndim(steps[0]):
        steps *= len(axes)
    if len(steps) != len(axes):
        raise TypeError(
            f"np.gradient: {len(steps)} spacings for {len(axes)} axes; give one number, or one for each axis"
        )
    slopes = tuple([_slope(f, number_or_array(h), a, edge_order) for h, a in zip(steps, axes)])
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(f: Any, h: Any, axis: int, edge_order: int) -> Result:
    """The derivative along an axis: of a parabola through three neighbours, and of a line or a parabola at the ends."""
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError(f"np.gradient: axis {axis} of f {f.shape} needs {edge_order + 1} elements or more")
    x = mul(h, np.arange(n, dtype=f.dtype if f.dtype.kind == "f" else np.float64)) if not np.ndim(h) else h
    rows = shapes.moveaxis(f, axis, -1)
    widths = running.diff(x)  # Between neighbours.
    lines = div(running.diff(rows), widths)
    left, right = widths[:-1], widths[1:]
    between = div(add(mul(lines[..., :-1], right), mul(lines[..., 1:], left)), add(left, right))
    first, last = lines[..., :1], lines[..., -1:]
    if edge_order == 2:
        curvature = div(running.diff(lines), add(left, right))
        first, last = sub(first, mul(curvature[..., :1], widths[:1])), add(last, mul(curvature[..., -1:], widths[-1:]))
    return shapes.moveaxis(joining.concatenate([first, between, last], -1), -1, axis)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Result:
    rows = shapes.moveaxis(operand(y), axis, -1)
    if x is not None:
        x = operand(x)
        dx = running.diff(x if x.ndim == 1 else shapes.moveaxis(x, axis, -1))
    return sum(mul(dx, mul(add(rows[..., 1:], rows[..., :-1]), 0.5)), -1)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Result:
    x, xp, fp = operand(x), operand(xp), operand(fp)
    if period is not None:
        periods = np.floor(array_in(xp) / period) * abs(period)
        order = np.argsort(array_in(xp) - periods, stable=True)
        xp, fp = sub(xp, periods)[order], fp[order]
        xp = joining.concatenate([sub(xp[-1:], abs(period)), xp, add(xp[:1], abs(period))])
        fp = joining.concatenate([fp[-1:], fp, fp[:1]])
        x = sub(x, np.floor(array_in(x) / period) * abs(period))
    numbers, points = array_in(x), array_in(xp)
    i = np.clip(np.searchsorted(points, numbers, side="right") - 1, 0, max(len(points) - 2, 0))
    j = np.minimum(i + 1, len(points) - 1)
    f, x0 = indexing.get_item(fp, i), indexing.get_item(xp, i)
    if len(points) > 1:
        slope = div(sub(indexing.get_item(fp, j), f), sub(indexing.get_item(xp, j), x0))
        f = add(f, mul(slope, sub(x, x0)))
    y = where(numbers < points[0], fp[0] if left is None else left, f)
    return where(numbers > points[-1], fp[-1] if right is None else right, y)


def convolve(a: Any, v: Any, mode: str = "full") -> Result:
    a, v = operand(a), operand(v)
    if v.size > a.size:
        a, v = v, a
    return _sliding_products(a, flip(v), mode)


def correlate(a: Any, v: Any, mode: str = "valid") -> Result:
    a, v = operand(a), operand(v)
    if v.size > a.size:
        return flip(_sliding_products(v, a, mode))
    return _sliding_products(a, v, mode)


def _sliding_products(a: Any, v: Any, mode: str) -> Result:
    """The products of ``v`` with ``a`` at all offsets; ``v`` is not longer than ``a``."""
    a, v = [x if x.ndim else shapes.reshape(x, (1,)) for x in (a, v)]
    n, m = a.size, v.size
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"np.convolve, np.correlate: mode must be full, same or valid, not {mode!r}")
    before, after = {"full": (m - 1, m - 1), "same": (m // 2, (m - 1) // 2), "valid": (0, 0)}[mode]
    extended = padded(a, (before, after))
    count = n + before + after - m + 1
    return matmul(indexing.get_item(extended, np.arange(count)[:, None] + np.arange(m)), v)


def polyval(p: Any, x: Any) -> Result:
    x = operand(x)
    y: Any = mul(x, 0.0)
    for c in operand(p):
        y = add(mul(y, x), c)
    return y


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    start, stop = number_or_array(start), number_or_array(stop)
    step = div(sub(stop, start), max(num - 1 if endpoint else num, 1))
    steps = np.arange(num).reshape(-1, *(1,) * step.ndim).astype(step.dtype)
    y = add(mul(steps, step), start)
    if axis and y.ndim > 1:
        y = shapes.moveaxis(y, 0, axis)
    return (cast(y, dtype), step) if retstep else cast(y, dtype)


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Result:
    return cast(pow(base, linspace(start, stop, num, endpoint, axis=axis)), dtype)


def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> tuple[Any, Any]:
    weights = None if weights is None else without_gradient("np.histogram", "weights", weights)
    edges = bins if isinstance(bins, (int, str)) else array_in(bins)
    return np.histogram(array_in(a), edges, range, density, weights)


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Result:
    indices = array_in(x)
    indices = indices.astype(np.intp) if indices.dtype.kind == "b" else indices
    if weights is None:
        return np.bincount(indices, minlength=minlength)
    n = max(int(indices.max(initial=-1)) + 1, minlength)
    return indexing.GetItemGrad((indices,), (n,))(operand(weights))
