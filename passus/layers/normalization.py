"""Layers that normalize each example, most of them with trained scales and shifts."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_number
from passus.core import Operand, Result
from passus.errors import DTypeError, ShapeError
from passus.initializers import ones, zeros
from passus.layers.base import Layer
from passus.layers.inputs import check_channels_second, in_dtype_of_parameter
from passus.layers.lazy import LazyParameter, resolve_from

__all__ = ["GroupNorm", "InstanceNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm", "scale_and_shift"]


def scale_and_shift(layer: str, size: int | None, dtype: DTypeLike) -> tuple[LazyParameter, LazyParameter]:
    """The parameters gamma (ones) and beta (zeros). Raises `ArgumentError` for a size below 1."""
    if isinstance(size, (tuple, list)):
        raise DTypeError(
            f"{layer}: in_size is {size!r}; give the length of the last axis, such as {size[-1] if size else 16}"
        )
    shape = (None if size is None else checked_count(layer, "in_size", size),)
    return LazyParameter(shape, ones, dtype, name="gamma"), LazyParameter(shape, zeros, dtype, name="beta")


class LayerNorm(Layer):
    """Normalization of each example over its last axis: (..., D) to the same shape.

    ``in_size``: D; inferred on the first call by default. Raises `ShapeError` for an input of another size.
    Source: Ba, Kiros and Hinton, 2016, "Layer normalization".

    >>> x = np.array([[1.0, 3.0]], np.float32)
    >>> print(LayerNorm()(x).data.round(3).tolist())
    [[-1.0, 1.0]]
    """

    def __init__(self, in_size: int | None = None, eps: float = 1e-5, dtype: DTypeLike = np.float32) -> None:
        self.eps = checked_number("LayerNorm", "eps", eps)
        self.gamma, self.beta = scale_and_shift("LayerNorm", in_size, dtype)

    def forward(self, x: Operand) -> Result:
        if self.gamma._data is None or self.beta._data is None:
            resolve_from("layer_norm", x, -1, self.gamma, self.beta)
        x = in_dtype_of_parameter(self, x, self.gamma)
        return F.layer_norm(x, self.gamma, self.beta, self.eps)


class RMSNorm(Layer):
    """Scaling of each example to root mean square 1 over its last axis: (..., D) to the same shape.

    ``in_size``: D; inferred on the first call by default. Raises `ShapeError` for an input of another size.
    Source: Zhang and Sennrich, 2019, "Root mean square layer normalization".

    >>> x = np.array([[1.0, 7.0]], np.float32)
    >>> print(RMSNorm()(x).data.round(3))
    [[0.2 1.4]]
    """

    def __init__(self, in_size: int | None = None, eps: float = 1e-6, dtype: DTypeLike = np.float32) -> None:
        self.eps = checked_number("RMSNorm", "eps", eps)
        self.gamma, _ = scale_and_shift("RMSNorm", in_size, dtype)

    def forward(self, x: Operand) -> Result:
        if self.gamma._data is None:
            resolve_from("rms_norm", x, -1, self.gamma)
        x = in_dtype_of_parameter(self, x, self.gamma)
        return F.rms_norm(x, self.gamma, self.eps)


class GroupNorm(Layer):
    """Normalization of each group of channels of each example: (N, C, ...) to the same shape.

    ``groups``: a divisor of C. ``in_size``: C; inferred on the first call by default.

    Raises `ShapeError` for another number of channels or one that ``groups`` does not divide, `ArgumentError` for
    groups of fewer than two numbers. Source: Wu and He, 2018, "Group normalization".

    >>> x = np.array([[1.0, 3.0, 5.0, 9.0]], np.float32)
    >>> print(GroupNorm(2)(x).data.round(3).tolist())
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    def __init__(
        self, groups: int, in_size: int | None = None, eps: float = 1e-5, dtype: DTypeLike = np.float32
    ) -> None:
        self.groups = checked_count("GroupNorm", "groups", groups)
        self.eps = checked_number("GroupNorm", "eps", eps)
        self.gamma, self.beta = scale_and_shift("GroupNorm", in_size, dtype)
        if in_size is not None and in_size % self.groups:
            raise ShapeError(f"GroupNorm: in_size={in_size} must be a multiple of groups={groups}")

    def forward(self, x: Operand) -> Result:
        if self.gamma._data is None or self.beta._data is None:
            check_channels_second("GroupNorm", x)
            resolve_from("group_norm", x, 1, self.gamma, self.beta)
        x = in_dtype_of_parameter(self, x, self.gamma)
        return F.group_norm(x, self.gamma, self.beta, self.groups, self.eps)


class InstanceNorm(Layer):
    """Normalization of each channel of each example over its pixels: (N, C, ...) to the same shape.

    ``in_size``: C; inferred on the first call by default.

    Raises `ShapeError` for another number of channels, `ArgumentError` for fewer than two pixels.
    Source: Ulyanov, Vedaldi and Lempitsky, 2016, "Instance normalization".

    >>> x = np.array([[[1.0, 3.0], [5.0, 9.0]]], np.float32)
    >>> print(InstanceNorm()(x).data.round(3).tolist())
    [[[-1.0, 1.0], [-1.0, 1.0]]]
    """

    def __init__(self, in_size: int | None = None, eps: float = 1e-5, dtype: DTypeLike = np.float32) -> None:
        self.eps = checked_number("InstanceNorm", "eps", eps)
        self.gamma, self.beta = scale_and_shift("InstanceNorm", in_size, dtype)

    def forward(self, x: Operand) -> Result:
        if self.gamma._data is None or self.beta._data is None:
            check_channels_second("InstanceNorm", x)
            resolve_from("instance_norm", x, 1, self.gamma, self.beta)
        x = in_dtype_of_parameter(self, x, self.gamma)
        return F.instance_norm(x, self.gamma, self.beta, self.eps)


class LocalResponseNorm(Layer):
    """Applies `passus.functions.local_response_norm`: ``x / (k + alpha * sum of squares of n channels) ** beta``. It
    has no parameters.

    Raises `ArgumentError` for options out of range, `ShapeError` for an input without channels.
    Source: Krizhevsky, Sutskever and Hinton, 2012, "ImageNet classification with deep convolutional neural networks".

    >>> print(LocalResponseNorm(n=3, k=1.0, alpha=1.0, beta=0.5)(np.array([[3.0, 4.0, 0.0, 5.0]])).round(2))
    [[0.59 0.78 0.   0.98]]
    """

    def __init__(self, n: int = 5, *, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> None:
        self.n = checked_count("LocalResponseNorm", "n", n)
        self.k = checked_number("LocalResponseNorm", "k", k, open_low=True)
        self.alpha = checked_number("LocalResponseNorm", "alpha", alpha)
        self.beta = checked_number("LocalResponseNorm", "beta", beta)

    def forward(self, x: Operand) -> Result:
        return F.local_response_norm(x, self.n, self.k, self.alpha, self.beta)
