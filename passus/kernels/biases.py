"""When the activation of biased channels is computed in one pass; the reference are sum and activation one after the other."""

from __future__ import annotations

from typing import Any

from passus import config
from passus.backend import Array
from passus.kernels.activations import THRESHOLDS
from passus.kernels.dispatch import native_module, plain_float32, worth_kernel
from passus.kernels.layout import axis_last

__all__ = ["compiled_biases", "rows_of"]


def compiled_biases(x: Any, b: Any, axis: int, gy: Any = None) -> Any:
    """The module of compiled functions, if it suits x with its channels, ``axis`` from 0 on, last in memory, and b (C,); or None."""
    suits = (
        plain_float32(x, b)
        and worth_kernel(x.size, *THRESHOLDS)
        and config.native.get()
        and b.flags.c_contiguous
        and b.shape == x.shape[axis : axis + 1]
        and axis_last(x, axis).flags.c_contiguous
        and (gy is None or (plain_float32(gy) and gy.shape == x.shape and gy.strides == x.strides))
    )
    return native_module("biases") if suits else None


def rows_of(x: Array, axis: int) -> Array:
    """An array with its channels last in memory, as (R, C)."""
    return axis_last(x, axis).reshape(-1, x.shape[axis])
