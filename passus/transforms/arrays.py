"""Transforms of arrays that do not depend on their meaning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final

import numpy as np

from passus.arguments import checked_dtype
from passus.backend import Array
from passus.display import ShowsOptions
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of

__all__ = ["AsType", "Flatten", "Normalize", "ToFloat", "ToInt"]


@final
class Normalize(ShowsOptions):
    """``(x - mean) / std``, with one mean and std for all elements or one per channel (C, ...).

    Integers become float32. Pixels are 0 to 255 as bytes and 0 to 1 as floating-point numbers, as `ToArray` returns them;
    mean and std must refer to the same range.

    Raises `ArgumentError` if an std is 0, and if the range of the pixels is not that of mean and std; `ShapeError` if the
    numbers of means and channels differ.

    >>> Normalize([1.0, 2.0], 2.0)(np.ones((2, 1, 1), np.float32)).ravel()
    array([ 0. , -0.5], dtype=float32)
    """

    is_random = False

    def __init__(self, mean: float | Sequence[float] = 0.0, std: float | Sequence[float] = 1.0) -> None:
        self.mean, self.std = _numbers("mean", mean), _numbers("std", std)
        if not (self.std > 0).all():
            raise ArgumentError(f"Normalize: std is {std}; it must be greater than 0")

    def __call__(self, x: Array) -> Array:
        return self._normalized(x, np.shape(x))

    def batch(self, x: Array) -> Array:
        """Transform many examples at once."""
        return self._normalized(x, np.shape(x)[1:])

    def _normalized(self, x: Array, shape: tuple[int, ...]) -> Array:
        if not isinstance(x, (np.ndarray, np.generic)) or x.dtype.kind not in "fiub":
            raise DTypeError(f"Normalize: {kind_of(x)} is not an array; put ToArray() first")
        self._check_range(x, shape)
        dtype = np.result_type(x.dtype if x.dtype.kind == "f" else np.float32, np.float32)
        y = np.subtract(x, self._along_channels(self.mean, shape, dtype), dtype=dtype)
        y /= self._along_channels(self.std, shape, dtype)
        return y.astype(x.dtype, copy=False) if x.dtype.kind == "f" else y

    def _check_range(self, x: Array, shape: tuple[int, ...]) -> None:
        """Raise `ArgumentError` if mean and std refer to 0 to 1 and x holds bytes, or vice versa."""
        mean, std = float(abs(self.mean).max()), float(self.std.max())
        if len(shape) < 2 or not x.size:
            return
        if 0 < mean <= 1 and std <= 1 and (x.dtype == np.uint8 or x.max() > 16):
            raise ArgumentError(
                f"Normalize: mean {self.mean} and std {self.std} are for pixels from 0 to 1, but the pixels go up to "
                f"{'255' if x.dtype == np.uint8 else float(x.max())}; put ToArray() first, or Normalize(0, 255)"
            )
        if max(mean, std) > 10 and x.dtype.kind == "f" and x.min() >= 0 and x.max() <= 1 and (x % 1).any():
            raise ArgumentError(
                f"Normalize: mean {self.mean} and std {self.std} are for pixels from 0 to 255, but the pixels lie between 0 and 1, as "
                "ToArray() returns them; remove Normalize(0, 255), or divide mean and std by 255"
            )

    @staticmethod
    def _along_channels(values: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        values = values.astype(dtype)
        if len(values) == 1:
            return values[0]
        if not shape or len(values) != shape[0]:
            raise ShapeError(
                f"Normalize: {len(values)} values for an example of shape {shape}; give 1, or 1 per channel"
            )
        return values.reshape(-1, *[1] * (len(shape) - 1))


@final
class Flatten(ShowsOptions):
    """Flatten an example to one axis."""

    is_random = False

    def __call__(self, x: Array) -> Array:
        return np.reshape(x, -1)

    def batch(self, x: Array) -> Array:
        """Transform many examples at once."""
        return x.reshape(len(x), math.prod(x.shape[1:]))


@final
class AsType(ShowsOptions):
    """Convert an array or a single number to a dtype."""

    is_random = False

    def __init__(self, dtype: Any = np.float32) -> None:
        self.dtype = checked_dtype("AsType", dtype)

    def __call__(self, x: Any) -> Any:
        return self.batch(np.asarray(x))[()]

    def batch(self, x: Array) -> Array:
        """Transform many examples at once."""
        return x.astype(self.dtype, copy=False)


def ToFloat(dtype: Any = np.float32) -> AsType:
    """Convert to float32.

    >>> ToFloat()(np.array([1, 2]))
    array([1., 2.], dtype=float32)
    """
    return AsType(dtype)


def ToInt(dtype: Any = np.int64) -> AsType:
    """Convert to integers, truncating towards zero.

    >>> ToInt()(np.array([1.9]))
    array([1])
    """
    return AsType(dtype)


def _numbers(name: str, values: Any) -> Array:
    try:
        numbers = np.array(values, np.float64, ndmin=1)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.ndim > 1 or not numbers.size:
        raise DTypeError(f"Normalize: {name} is {values!r}; give a number, or one per channel")
    return numbers
