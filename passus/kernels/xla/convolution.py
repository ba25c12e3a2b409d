"""Convolution by XLA, and its gradients as transposes of the linear functions x -> y and W -> y."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from passus.backend import Array
from passus.kernels.layout import Padding, Sizes

__all__ = ["convolve", "convolve_input_gradient", "convolve_weight_gradient"]


def convolve(
    x: Array, W: Array, b: Array | None, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """See `passus.kernels.convolution.convolve`."""
    y = _convolved(x, W, stride, padding, dilation, groups)
    return y if b is None else y + b.reshape(-1, *[1] * len(stride))


def convolve_input_gradient(
    gy: Array, W: Array, size: Sizes, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """See `passus.kernels.convolution.convolve_input_gradient`."""
    shape = (len(gy), groups * W.shape[1], *size)
    return _transposed(lambda x: _convolved(x, W, stride, padding, dilation, groups), shape, gy)


def convolve_weight_gradient(
    x: Array, gy: Array, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> Array:
    """See `passus.kernels.convolution.convolve_weight_gradient`."""
    shape = (gy.shape[1], x.shape[1] // groups, *kernel)
    return _transposed(lambda W: _convolved(x, W, stride, padding, dilation, groups), shape, gy)


def _transposed(function: Any, shape: Sizes, gy: Array) -> Any:
    """The gradient for the argument, an array of this shape, of a linear function."""
    if 0 in gy.shape or 0 in shape:
        return jnp.zeros(shape, gy.dtype)
    x: Any = jax.ShapeDtypeStruct(shape, gy.dtype)  # type: ignore[no-untyped-call]
    (gx,) = jax.linear_transpose(function, x)(gy)
    return gx


def _convolved(x: Any, W: Any, stride: Sizes, padding: Padding, dilation: Sizes, groups: int) -> Any:
    return lax.conv_general_dilated(x, W, stride, padding, rhs_dilation=dilation, feature_group_count=groups)
