"""The largest and the smallest element so far."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from passus.core import Result
from passus.functions.arrays import indexing
from passus.functions.numpy_api.operands import array_in

__all__: list[str] = []


def maxima(x: Any, axis: int = 0) -> Result:
    return _last_of(np.maximum, x, axis)


def minima(x: Any, axis: int = 0) -> Result:
    return _last_of(np.minimum, x, axis)


def _last_of(extreme: Any, x: Any, axis: int) -> Result:
    """The element at the last place so far where the extreme was met, or NaN."""
    numbers = array_in(x)
    met = (extreme.accumulate(numbers, axis=axis) == numbers) | np.isnan(numbers)
    places = np.arange(numbers.shape[axis]).reshape(
        [-1 if i == normalize_axis_index(axis, numbers.ndim) else 1 for i in range(numbers.ndim)]
    )
    return indexing.take_along_axis(x, np.maximum.accumulate(np.where(met, places, 0), axis=axis), axis)
