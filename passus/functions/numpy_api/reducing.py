"""Reductions with NumPy's options dtype, initial and where, and those that ignore NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from passus.core import Result
from passus.functions.arrays import comparison, extremes, quantiles, running, statistics
from passus.functions.arrays import reductions as r
from passus.functions.arrays.arithmetic import add, div, mul, sub
from passus.functions.arrays.elementwise import sqrt, square
from passus.functions.arrays.selection import where as choice
from passus.functions.numpy_api.operands import array_in, cast, masked, operand, refuse, without_gradient

__all__: list[str] = []


def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 0,
    where: Any = True,
) -> Result:
    refuse("np.sum", out=out)
    y = r.sum(masked(cast(a, dtype), where, 0), axis, keepdims)
    return y if _is(initial, 0) else add(y, initial)


def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 1,
    where: Any = True,
) -> Result:
    refuse("np.prod", out=out)
    y = r.prod(masked(cast(a, dtype), where, 1), axis, keepdims)
    return y if _is(initial, 1) else mul(y, initial)


def _is(given: Any, default: int) -> bool:
    return given is None or (isinstance(given, (int, float)) and given == default)


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True
) -> Result:
    refuse("np.mean", out=out)
    x = cast(a, dtype)
    if where is True:
        return r.mean(x, axis, keepdims)
    return div(r.sum(masked(x, where, 0), axis, keepdims), _count(x, where, axis, keepdims))


def _count(x: Any, mask: Any, axis: Any, keepdims: bool) -> Any:
    """The number of elements with a True mask, in the dtype of the sum."""
    n = np.broadcast_to(array_in(mask), x.shape).sum(axis=axis, keepdims=keepdims)
    return np.asarray(n, x.dtype if x.dtype.kind == "f" else np.float64)


def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> Result:
    refuse("np.var", out=out)
    x, ddof = cast(a, dtype), ddof if correction is None else correction
    if where is True and mean is None:
        return statistics.var(x, axis, ddof, keepdims)
    x = masked(x, where, 0)
    centre = div(r.sum(x, axis, True), _count(x, where, axis, True)) if mean is None else mean
    squares = masked(square(sub(x, centre)), where, 0)
    return div(r.sum(squares, axis, keepdims), _count(x, where, axis, keepdims) - ddof)


def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> Result:
    refuse("np.std", out=out)
    if where is True and mean is None:
        return statistics.std(cast(a, dtype), axis, ddof if correction is None else correction, keepdims)
    y = var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction)
    zero = array_in(y) == 0
    return choice(zero, 0.0, sqrt(choice(zero, 1.0, y)))


def max(
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Result:
    refuse("np.max", out=out)
    return _extreme(extremes.max, comparison.maximum, a, axis, keepdims, initial, where)


def min(
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Result:
    refuse("np.min", out=out)
    return _extreme(extremes.min, comparison.minimum, a, axis, keepdims, initial, where)


def _extreme(
    reduced: Any, pairwise_function: Any, a: Any, axis: Any, keepdims: bool, initial: Any, mask: Any
) -> Result:
    x = operand(a)
    if initial is None:
        if mask is not True:
            raise ValueError("a reduction with where needs initial, the result where no element is left")
        return reduced(x, axis, keepdims)
    if not x.size:
        return add(r.sum(x, axis, keepdims), initial)
    return pairwise_function(reduced(masked(x, mask, initial), axis, keepdims), initial)


def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Result:
    refuse("np.ptp", out=out)
    return sub(extremes.max(a, axis, keepdims), extremes.min(a, axis, keepdims))


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    x = operand(a)
    if weights is None:
        y, total = r.mean(x, axis, keepdims), None
    else:
        w = operand(weights)
        if w.shape != x.shape:
            w = w.reshape([w.shape[0] if i == normalize_axis_index(axis, x.ndim) else 1 for i in range(x.ndim)])
        total = r.sum(mul(w, np.ones(x.shape, x.dtype)), axis, keepdims)
        y = div(r.sum(mul(x, w), axis, keepdims), total)
    if not returned:
        return y
    return y, np.full(y.shape, x.size / y.size, y.dtype) if total is None else total


def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Result:
    refuse("np.cumsum", out=out)
    return r.cumsum(cast(a, dtype), axis)


def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Result:
    refuse("np.cumprod", out=out)
    return running.cumprod(cast(a, dtype), axis)


def cumulative_sum(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Result:
    refuse("np.cumulative_sum", out=out)
    return _with_start(cumsum(x, axis, dtype), axis, 0, include_initial)


def cumulative_prod(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Result:
    refuse("np.cumulative_prod", out=out)
    return _with_start(cumprod(x, axis, dtype), axis, 1, include_initial)


def _with_start(y: Any, axis: Any, start: int, include: bool) -> Result:
    axis = normalize_axis_index(axis or 0, y.ndim)
    return np.pad(y, [(int(include and i == axis), 0) for i in range(y.ndim)], constant_values=start)


# Reductions that ignore NaN.


def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 0,
    where: Any = True,
) -> Result:
    return sum(a, axis, dtype, out, keepdims, initial, _not_nan(a, where))


def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 1,
    where: Any = True,
) -> Result:
    return prod(a, axis, dtype, out, keepdims, initial, _not_nan(a, where))


def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True
) -> Result:
    return mean(a, axis, dtype, out, keepdims, where=_not_nan(a, where))


def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> Result:
    return var(a, axis, dtype, out, ddof, keepdims, where=_not_nan(a, where), mean=mean, correction=correction)


def nanstd(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> Result:
    return std(a, axis, dtype, out, ddof, keepdims, where=_not_nan(a, where), mean=mean, correction=correction)


def nanmax(
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = -np.inf, where: Any = True
) -> Result:
    return _nan_if_all(max(a, axis, out, keepdims, initial, _not_nan(a, where)), a, axis, keepdims)


def nanmin(
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = np.inf, where: Any = True
) -> Result:
    return _nan_if_all(min(a, axis, out, keepdims, initial, _not_nan(a, where)), a, axis, keepdims)


def _nan_if_all(y: Any, a: Any, axis: Any, keepdims: bool) -> Result:
    """Replace results by NaN where all elements are NaN."""
    none = array_in(np.isnan(array_in(operand(a))).all(axis=axis, keepdims=keepdims))
    return choice(none, np.nan, y) if none.any() else y


def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Result:
    return cumsum(masked(a, _not_nan(a, True), 0), axis, dtype, out)


def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Result:
    return cumprod(masked(a, _not_nan(a, True), 1), axis, dtype, out)


def _not_nan(a: Any, mask: Any) -> Any:
    return ~np.isnan(array_in(operand(a))) & array_in(mask)


# Order statistics.


def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Result:
    refuse("np.median", out=out)
    return quantiles.median(operand(a), axis, keepdims)


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Result:
    refuse("np.quantile", out=out, weights=weights)
    return quantiles.quantile(operand(a), without_gradient("np.quantile", "q", q), axis, method, keepdims)


def percentile(a: Any, q: Any, *args: Any, **options: Any) -> Result:
    return quantile(a, without_gradient("np.percentile", "q", q) / 100, *args, **options)


def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Result:
    refuse("np.nanmedian", out=out)
    return quantiles.quantile(operand(a), 0.5, axis, "midpoint", keepdims, skip_nan=True)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Result:
    refuse("np.nanquantile", out=out, weights=weights)
    return quantiles.quantile(
        operand(a), without_gradient("np.nanquantile", "q", q), axis, method, keepdims, skip_nan=True
    )


def nanpercentile(a: Any, q: Any, *args: Any, **options: Any) -> Result:
    return nanquantile(a, without_gradient("np.nanpercentile", "q", q) / 100, *args, **options)
