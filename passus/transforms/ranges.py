"""Ranges of pixels: 0 to 255 as bytes, 0 to 1 as floating-point numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array
from passus.errors import ArgumentError, ShapeError
from passus.functions.checks import channels_last

__all__ = ["as_bytes", "as_unit_range", "check_channels_first", "check_unit_range"]

TOLERANCE = 1e-3
"""Tolerance of the range 0 to 1, for rounding errors of computed pixels."""


def check_unit_range(name: str, x: Array) -> None:
    """Raise `ArgumentError` for floating-point pixels outside 0 to 1.

    >>> check_unit_range("ColorJitter", np.array([0.0, 1.0]))
    """
    if x.dtype.kind == "f" and x.size and not (x.min() >= -TOLERANCE and x.max() <= 1 + TOLERANCE):
        low, high = float(x.min()), float(x.max())
        fix = "divide them by 255, or use ToArray()" if low >= 0 else "put Normalize() after it"
        raise ArgumentError(
            f"{name}: floating-point pixels must lie between 0 and 1, but range from {low:g} to {high:g}; {fix}"
        )


def as_unit_range(x: Array, dtype: Any) -> Array:
    """Pixels as floating-point numbers: bytes and other unsigned integers are divided by their greatest value.

    >>> as_unit_range(np.array([0, 51, 255], np.uint8), np.float32)
    array([0. , 0.2, 1. ], dtype=float32)
    """
    if x.dtype.kind != "u":
        return x.astype(dtype)
    y = x.astype(np.result_type(dtype, np.float32))  # float16 cannot hold 65535.
    y /= np.iinfo(x.dtype).max
    return y.astype(dtype, copy=False)


def as_bytes(name: str, x: Array) -> Array:
    """Pixels as bytes. Raises `ArgumentError` for floating-point numbers outside 0 to 1.

    >>> as_bytes("ToPIL", np.array([0.0, 0.2, 1.0]))
    array([  0,  51, 255], dtype=uint8)
    """
    if x.dtype == np.uint8:
        return x
    check_unit_range(name, x)
    return np.rint(x.clip(0, 1) * 255).astype(np.uint8)


def check_channels_first(name: str, shape: tuple[int, ...]) -> None:
    """Raise `ShapeError` for a batch of images with their channels last.

    >>> check_channels_first("RandomCrop", (5, 3, 32, 32))
    """
    if len(shape) == 4 and channels_last(shape):
        raise ShapeError(
            f"{name}: an image of shape {shape[1:]} has its channels last; expected (C, H, W). Use ToArray() for a "
            "Pillow image, and x.transpose(2, 0, 1) for an array"
        )
