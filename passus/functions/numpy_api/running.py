"""Running maxima and minima."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from passus.core import Result
from passus.functions.arrays import indexing
from passus.functions.numpy_api.operands import array_in

__all__: list[str] = []


def maxima(x: Any, axis: int = 0) -> Result:
    return _running(np.maximum, x, axis)


def minima(x: Any, axis: int = 0) -> Result:
    return _running(np.minimum, x, axis)


def _running(extreme: Any, x: Any, axis: int) -> Result:
    """The most recent element that equals the running extreme, or NaN."""
    numbers = array_in(x)
    matches = (extreme.accumulate(numbers, axis=axis) == numbers) | np.isnan(numbers)
    indices = np.arange(numbers.shape[axis]).reshape(
        [-1 if i == normalize_axis_index(axis, numbers.ndim) else 1 for i in range(numbers.ndim)]
    )
    return indexing.take_along_axis(x, np.maximum.accumulate(np.where(matches, indices, 0), axis=axis), axis)
