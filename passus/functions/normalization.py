"""Normalisation of each example by itself: over its features, or over groups of its channels."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from passus.arguments import checked_count, checked_number
from passus.backend import Array
from passus.core import Function, Operand, Result
from passus.errors import ArgumentError, ShapeError
from passus.functions.checks import array_of
from passus.functions.shapes import reshape
from passus.kernels.normalization import (
    inv_root_mean_square,
    mean_and_inv_std,
    normalized,
    normalized_gradients,
    rms_normalized,
    rms_normalized_gradients,
)

__all__ = ["LayerNorm", "RMSNorm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]


class LayerNorm(Function):
    constants: ClassVar[tuple[str, ...]] = ("mean", "inv_std")  # A recorded pass computes them anew, from x.

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        self.axes, self.eps = axes, eps

    def forward(self, x: Array, gamma: Array, beta: Array) -> Array:
        y, self.mean, self.inv_std = normalized(x, gamma, beta, self.axes, self.eps)
        return y

    def backward(self, gy: Any) -> Any:
        x, gamma, _ = (self.saved(v) for v in self.inputs)
        statistics = mean_and_inv_std(x, self.axes, self.eps) if self.twice else (self.mean, self.inv_std)
        return normalized_gradients(gy, x, gamma, *statistics, self.axes, self.needs[0])


def layer_norm(x: Operand, gamma: Operand, beta: Operand, eps: float = 1e-5) -> Result:
    """Give each example mean 0 and variance 1 over its last axes: ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    ``x``: (..., D); ``gamma``, ``beta``: (D,). With more axes, (D1, D2, ...), it is over as many last axes of ``x``.

    Raises `ShapeError` for shapes that do not fit. Source: Ba, Kiros and Hinton, 2016, "Layer normalization".

    >>> import numpy as np
    >>> layer_norm(np.array([1.0, 3.0]), np.ones(2), np.zeros(2), eps=0.0)
    array([-1.,  1.])
    """
    shape, features = array_of("layer_norm", x).shape, array_of("layer_norm", gamma).shape
    beta_shape = array_of("layer_norm", beta).shape
    if not features or shape[-len(features) :] != features or beta_shape != features:
        raise ShapeError(
            f"layer_norm: gamma {features} and beta {beta_shape} must both have the shape of the last axes of x {shape}"
        )
    return LayerNorm(tuple(range(-len(features), 0)), checked_number("layer_norm", "eps", eps))(x, gamma, beta)


class RMSNorm(Function):
    constants: ClassVar[tuple[str, ...]] = ("inv_rms",)  # A recorded pass computes it anew, from x.

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        self.axes, self.eps = axes, eps

    def forward(self, x: Array, gamma: Array) -> Array:
        y, self.inv_rms = rms_normalized(x, gamma, self.axes, self.eps)
        return y

    def backward(self, gy: Any) -> Any:
        x, gamma = (self.saved(v) for v in self.inputs)
        inv_rms = inv_root_mean_square(x, self.axes, self.eps) if self.twice else self.inv_rms
        return rms_normalized_gradients(gy, x, gamma, inv_rms, self.axes, self.needs[0])


def rms_norm(x: Operand, gamma: Operand, eps: float = 1e-6) -> Result:
    """Give each example root mean square 1 over its last axes: ``gamma * x / sqrt(mean(x**2) + eps)``.

    ``x``: (..., D); ``gamma``: (D,). With more axes, (D1, D2, ...), it is over as many last axes of ``x``. Nothing is
    subtracted, unlike in `layer_norm`.

    Raises `ShapeError` for shapes that do not fit. Source: Zhang and Sennrich, 2019, "Root mean square layer
    normalization".

    >>> import numpy as np
    >>> rms_norm(np.array([1.0, 7.0]), np.ones(2), eps=0.0)
    array([0.2, 1.4])
    """
    shape, features = array_of("rms_norm", x).shape, array_of("rms_norm", gamma).shape
    if not features or shape[-len(features) :] != features:
        raise ShapeError(f"rms_norm: gamma {features} must have the shape of the last axes of x {shape}")
    return RMSNorm(tuple(range(-len(features), 0)), checked_number("rms_norm", "eps", eps))(x, gamma)


def group_norm(x: Operand, gamma: Operand, beta: Operand, groups: int, eps: float = 1e-5) -> Result:
    """Give each group of channels of each example mean 0 and variance 1, then scale and shift its channels:
    ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    ``x``: (N, C, ...); ``gamma``, ``beta``: (C,); ``groups``: from 1 to C, a divisor of C; a group is C / groups
    neighbours. What comes out does not depend on the batch.

    Raises `ShapeError` for shapes that do not fit, `ArgumentError` for groups of fewer than two numbers: their variance
    means nothing. Source: Wu and He, 2018, "Group normalization".

    >>> import numpy as np
    >>> group_norm(np.array([[1.0, 3.0, 5.0, 9.0]]), np.ones(4), np.zeros(4), groups=2, eps=0.0)
    array([[-1.,  1., -1.,  1.]])
    """
    groups = checked_count("group_norm", "groups", groups)
    shape = _checked_shape("group_norm", x, gamma, beta)
    if shape[1] % groups:
        raise ShapeError(f"group_norm: the channels, axis 1 of x {shape}, must be a multiple of groups={groups}")
    return _normalized_in_groups("group_norm", x, gamma, beta, groups, eps)


def instance_norm(x: Operand, gamma: Operand, beta: Operand, eps: float = 1e-5) -> Result:
    """Give each channel of each example mean 0 and variance 1: ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    ``x``: (N, C, ...), with one axis of space at least; ``gamma``, ``beta``: (C,). It is `group_norm` with a group for
    each channel: the contrast of an image is gone, and its style with it.

    Raises `ShapeError` for shapes that do not fit, `ArgumentError` for channels of fewer than two pixels: their variance
    means nothing. Source: Ulyanov, Vedaldi and Lempitsky, 2016, "Instance normalization".

    >>> import numpy as np
    >>> instance_norm(np.array([[[1.0, 3.0], [5.0, 9.0]]]), np.ones(2), np.zeros(2), eps=0.0)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    channels = _checked_shape("instance_norm", x, gamma, beta)[1]
    return _normalized_in_groups("instance_norm", x, gamma, beta, channels, eps)


def _checked_shape(name: str, x: Operand, gamma: Operand, beta: Operand) -> tuple[int, ...]:
    shape: tuple[int, ...] = array_of(name, x).shape
    if len(shape) < 2:
        raise ShapeError(f"{name}: x {shape} needs the axes (N, C) or more; write x[None] for one example")
    for called, v in (("gamma", gamma), ("beta", beta)):
        if array_of(name, v).shape != shape[1:2]:
            raise ShapeError(
                f"{name}: {called} {array_of(name, v).shape} must hold one number for each channel, axis 1 of x {shape}"
            )
    return shape


def _normalized_in_groups(name: str, x: Operand, gamma: Operand, beta: Operand, groups: int, eps: float) -> Result:
    n, c, *size = shape = array_of(name, x).shape
    each = c // groups if groups else 0
    if each * math.prod(size) < 2:
        raise ArgumentError(
            f"{name}: x {shape} has {each * math.prod(size)} numbers in each group, and a variance needs two or more; "
            "give larger images, or fewer groups"
        )
    of_channels = (groups, each, *[1] * len(size))
    function = LayerNorm(tuple(range(2, 3 + len(size))), checked_number(name, "eps", eps))
    y = function(reshape(x, (n, groups, each, *size)), reshape(gamma, of_channels), reshape(beta, of_channels))
    return reshape(y, shape)
