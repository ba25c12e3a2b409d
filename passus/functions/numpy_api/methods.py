"""Array methods of Variables, which accept the arguments of passus and of NumPy.

Usual calls go to the function of passus. Calls with NumPy's other options (``dtype``, ``where``, ``initial``,
``order``) or its order of arguments go to the functions of this package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from passus.core import Result, Variable
from passus.functions.arrays import comparison, extremes, reductions, running, shapes, sorting, statistics
from passus.functions.numpy_api import choosing, reducing, shaping

__all__ = ["LIKE_NUMPY"]

SWITCH = (bool, int, np.bool_)
"""The types of ``keepdims``. An argument of another type is one of NumPy's, such as a dtype."""


def _reduction(own: Callable[..., Result], numpy_version: Callable[..., Result]) -> Callable[..., Result]:
    def reduced(x: Variable, axis: Any = None, keepdims: Any = False, *more: Any, **options: Any) -> Result:
        if not more and not options and isinstance(keepdims, SWITCH):
            return own(x, axis, keepdims)
        if more or not isinstance(keepdims, SWITCH):
            return numpy_version(x, axis, keepdims, *more, **options)
        return numpy_version(x, axis, keepdims=keepdims, **options)

    return _named(reduced, own)


def _deviation(own: Callable[..., Result], numpy_version: Callable[..., Result]) -> Callable[..., Result]:
    def deviation(
        x: Variable, axis: Any = None, ddof: Any = 0, keepdims: Any = False, *more: Any, **options: Any
    ) -> Result:
        if not more and not options and isinstance(ddof, (int, float, np.number)) and isinstance(keepdims, SWITCH):
            return own(x, axis, ddof, keepdims)
        if more or not isinstance(keepdims, SWITCH):
            return numpy_version(x, axis, ddof, keepdims, *more, **options)
        if not isinstance(ddof, (int, float, np.number)):
            return numpy_version(x, axis, ddof, keepdims=keepdims, **options)
        return numpy_version(x, axis, ddof=ddof, keepdims=keepdims, **options)

    return _named(deviation, own)


def _with_numpy_options(
    own: Callable[..., Result], numpy_version: Callable[..., Result], count: int
) -> Callable[..., Result]:
    """``own`` for up to ``count`` positional arguments or ``axis``, and ``numpy_version`` for all other calls."""

    def method(x: Variable, *given: Any, **options: Any) -> Result:
        if len(given) <= count and (not options or options.keys() == {"axis"}):
            return own(x, *given, **options)
        return numpy_version(x, *given, **options)

    return _named(method, own)


def _named(method: Callable[..., Result], own: Callable[..., Result]) -> Callable[..., Result]:
    method.__name__, method.__doc__ = own.__name__, own.__doc__
    return method


def clip(x: Variable, x_min: Any = None, x_max: Any = None, **options: Any) -> Result:
    """Clip each element to at least ``x_min`` (or ``min``) and at most ``x_max`` (or ``max``)."""
    if options:
        return choosing.clip(x, x_min, x_max, **options)
    return comparison.clip(x, x_min, x_max)


def flatten(x: Variable, order: str = "C") -> Result:
    """Flatten to one axis, as NumPy's method does; `passus.functions.flatten` preserves the batch axis."""
    return shaping.ravel(x, order)


def astype(
    x: Variable, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
) -> Result:
    """Convert to another dtype; the other arguments of NumPy have no effect."""
    return shapes.astype(x, dtype)


def compress(x: Variable, condition: Any, axis: int | None = None, out: Any = None) -> Result:
    """The elements, or slices along an axis, where ``condition`` is True."""
    return choosing.compress(condition, x, axis, out)


LIKE_NUMPY: dict[str, Callable[..., Any]] = {
    "sum": _reduction(reductions.sum, reducing.sum),
    "mean": _reduction(reductions.mean, reducing.mean),
    "prod": _reduction(reductions.prod, reducing.prod),
    "max": _reduction(extremes.max, reducing.max),
    "min": _reduction(extremes.min, reducing.min),
    "var": _deviation(statistics.var, reducing.var),
    "std": _deviation(statistics.std, reducing.std),
    "cumsum": _with_numpy_options(reductions.cumsum, reducing.cumsum, 1),
    "cumprod": _with_numpy_options(running.cumprod, reducing.cumprod, 1),
    "argsort": _with_numpy_options(sorting.argsort, choosing.argsort, 1),
    "clip": clip,
    "flatten": flatten,
    "astype": astype,
    "compress": compress,
}
