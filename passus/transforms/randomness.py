"""The base class of random image transforms, and helpers that they share."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from passus.arguments import checked_real
from passus.backend import Array
from passus.constructors import CheckedOptions
from passus.display import ShowsOptions
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.random import RNG, get_rng
from passus.transforms.ranges import check_channels_first

__all__ = [
    "RandomTransform",
    "checked_images",
    "checked_range",
    "fill_value",
    "in_dtype",
    "scaled_to",
    "working_dtype",
]


class RandomTransform(ShowsOptions, CheckedOptions, ABC):
    """The base of random image transforms; subclasses define `change`, for a batch of images.

    A single image is a batch of one. Each image draws the same number of random numbers, so a batch gives the same results
    as its images one by one.
    """

    is_random: ClassVar[bool] = True
    draws: ClassVar[int]
    """Number of random numbers per image."""

    def __init__(self, rng: RNG = None) -> None:
        self.rng = None if rng is None else get_rng(rng)

    @abstractmethod
    def change(self, x: Array, u: Array) -> Array:
        """Transform images (N, C, H, W) to (N, C, OH, OW), given random numbers ``u`` (draws, N), uniform in [0, 1)."""

    def __call__(self, x: Array) -> Array:
        name = type(self).__name__
        return self.batch(checked_images(name, x, "(..., H, W)", 2)[None])[0]

    def batch(self, x: Array) -> Array:
        """Transform many images at once, each with separate random numbers."""
        *outer, H, W = checked_images(type(self).__name__, x, "(N, ..., H, W)", 3).shape
        check_channels_first(type(self).__name__, x.shape)
        u = get_rng(self.rng).random((len(x), self.draws)).T
        y = self.change(x.reshape(len(x), math.prod(outer[1:]), H, W), u)
        return y.reshape(*outer, *y.shape[2:])


def checked_images(name: str, x: Any, form: str, ndim: int) -> Array:
    """Return ``x``, a numeric array with at least ``ndim`` axes and non-empty images.

    Raises `DTypeError` or `ShapeError` otherwise.

    >>> checked_images("RandomCrop", np.zeros((28, 28)), "(..., H, W)", 2).shape
    (28, 28)
    """
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiu":
        what = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else kind_of(x)
        raise DTypeError(
            f"{name}: {what} is not an array of numbers; put ToArray() before it, or give NumPy arrays (x.data for a Variable)"
        )
    if x.ndim < ndim or 0 in x.shape[-2:]:
        raise ShapeError(f"{name}: expected images {form} with H and W above 0, not an array of shape {x.shape}")
    return x


def checked_range(
    name: str, argument: str, value: Any, low: float = -math.inf, high: float = sys.float_info.max
) -> Any:
    """A pair (least, greatest) of numbers above ``low`` and up to ``high``.

    Raises `ArgumentError` for other values, `DTypeError` for elements that are not numbers.

    >>> checked_range("RandomErasing", "scale", (0.1, 1), low=0.0, high=1.0)
    (0.1, 1.0)
    """
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ArgumentError(f"{name}: {argument} is {value!r}; give a pair (least, greatest)")
    least, greatest = (checked_real(name, argument, number) for number in value)
    if not low < least <= greatest <= high:
        raise ArgumentError(f"{name}: {argument} is {value!r}; it must be {low:g} < least <= greatest <= {high:g}")
    return least, greatest


def scaled_to(u: Array, low: float, high: float) -> Array:
    """Scale numbers from [0, 1) to [low, high).

    >>> scaled_to(np.array([0.0, 0.5]), 10.0, 20.0)
    array([10., 15.])
    """
    return low + (high - low) * u


def working_dtype(x: Array) -> np.dtype[Any]:
    """The floating-point dtype of computations on ``x``: float32, or the dtype of ``x`` if it is more precise.

    >>> working_dtype(np.zeros(1, np.uint8))
    dtype('float32')
    """
    return np.result_type(x.dtype, np.float32)


def in_dtype(y: Array, dtype: np.dtype[Any]) -> Array:
    """Convert to a dtype; for integers, values are rounded and clipped to the range of the dtype.

    >>> in_dtype(np.array([-1.0, 1.6, 300.0]), np.dtype(np.uint8))
    array([  0,   2, 255], dtype=uint8)
    """
    if dtype.kind == "f":
        return y.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.rint(y).clip(limits.min, limits.max).astype(dtype)


def fill_value(name: str, fill: float, x: Array) -> Array:
    """The fill value in the dtype of the images.

    Raises `ArgumentError` if the dtype cannot represent it, and for a value above 10 if the pixels lie between 0 and 1.

    >>> fill_value("RandomRotation", 255, np.zeros(1, np.uint8))
    array(255, dtype=uint8)
    """
    if x.dtype.kind != "f" and in_dtype(np.float64(fill), x.dtype) != fill:
        raise ArgumentError(f"{name}: pixels of {x.dtype} cannot be {fill!r}; give another fill")
    if x.dtype.kind == "f" and fill > 10 and x.size and x.min() >= 0 and x.max() <= 1:
        raise ArgumentError(f"{name}: pixels lie between 0 and 1, but fill is {fill!r}; write fill={fill:g}/255")
    return np.array(fill, x.dtype)
