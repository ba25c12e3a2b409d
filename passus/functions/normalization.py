"""Normalisation to mean 0 and variance 1: of each channel over the batch, or of each example over its features."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from passus.arguments import checked_number, checked_share
from passus.backend import Array
from passus.config import train
from passus.core import Function, Operand, Result
from passus.errors import ArgumentError, ShapeError
from passus.functions.arithmetic import add, mul, sub
from passus.functions.checks import array_of
from passus.functions.parts import in_dtype_of
from passus.functions.shapes import reshape
from passus.kernels.channels import channel_moments, channel_products, scaled_channels, scaled_gradient

__all__ = ["BatchNorm", "LayerNorm", "Normalization", "batch_norm", "layer_norm"]


class Normalization(Function):
    """The base: ``x_hat * gamma + beta`` with ``x_hat = (x - mean) / sqrt(var + eps)`` over ``axes``."""

    # The first two are read in an ordinary backward pass, to save computing them again; a recorded one starts from x.
    constants: ClassVar[tuple[str, ...]] = ("x_hat", "inv_std", "moments")

    moments: tuple[Array, Array]
    """Mean and variance of ``x``, with the axes kept."""

    def __init__(self, axes: tuple[int, ...], count: int, shape: tuple[int, ...], eps: float) -> None:
        self.axes, self.count, self.eps = axes, count, eps
        self.shape = shape  # In which gamma and beta broadcast with x.

    def mean(self, x: Any) -> Any:
        """The mean over the axes, which are kept."""
        return x.sum(axis=self.axes, keepdims=True) / self.count

    def standardized(self, x: Any) -> tuple[Any, Any, Any]:
        """``x_hat``, one over the standard deviation, and the moments."""
        mean = self.mean(x)
        d = x - mean
        var = self.mean(d * d)
        inv_std = (var + self.eps) ** -0.5
        return d * inv_std, inv_std, (mean, var)

    def forward(self, x: Array, gamma: Array, beta: Array) -> Array:
        self.x_hat, self.inv_std, self.moments = self.standardized(x)
        return self.x_hat * gamma.reshape(self.shape) + beta.reshape(self.shape)

    def saved_parts(self) -> tuple[Any, Any, Any]:
        """``x_hat``, ``inv_std`` and ``gamma`` in the form in which gradients are given now."""
        x, gamma, _ = (self.saved(v) for v in self.inputs)
        x_hat, inv_std = self.standardized(x)[:2] if self.twice else (self.x_hat, self.inv_std)
        return x_hat, inv_std, gamma.reshape(self.shape)


class BatchNorm(Normalization):
    constants: ClassVar[tuple[str, ...]] = ("inv_std", "moments")

    def forward(self, x: Array, gamma: Array, beta: Array) -> Array:
        self.moments = mean, var = channel_moments(x)
        self.inv_std = (var + self.eps) ** -0.5
        return scaled_channels(x, mean, gamma * self.inv_std, beta)

    def backward(self, gy: Any) -> Any:
        x, gamma, _ = (self.saved(v) for v in self.inputs)
        return self.recorded_gradients(gy, x, gamma) if self.twice else self.gradients(gy, x, gamma)

    def gradients(self, gy: Array, x: Array, gamma: Array) -> tuple[Any, Any, Any]:
        """The gradients of x, gamma and beta as arrays, with two passes over gy and x."""
        mean, inv_std = self.moments[0], self.inv_std
        gbeta, product = channel_products(gy, x, mean)
        gx = None
        if self.needs[0]:
            slope = product * inv_std**2 / self.count
            gx = scaled_gradient(gy, x, mean, gbeta / self.count, slope, gamma * inv_std)
        return gx, product * inv_std, gbeta

    def recorded_gradients(self, gy: Any, x: Any, gamma: Any) -> tuple[Any, Any, Any]:
        """The same as Variables, which can be differentiated again."""
        x_hat, inv_std, _ = self.standardized(x)
        ggamma, gbeta = self.mean(gy * x_hat), self.mean(gy)
        gx = (gy - (x_hat * ggamma + gbeta)) * (gamma.reshape(self.shape) * inv_std) if self.needs[0] else None
        return gx, (ggamma * self.count).reshape(gamma.shape), (gbeta * self.count).reshape(gamma.shape)


def batch_norm(
    x: Operand,
    gamma: Operand,
    beta: Operand,
    mean: Array | None,
    var: Array | None,
    decay: float = 0.9,
    eps: float = 2e-5,
) -> Result:
    """Give each channel mean ``beta`` and standard deviation ``gamma``: ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    ``x``: (N, C, ...); ``gamma``, ``beta``, ``mean``, ``var``: (C,). In training, mean and variance are those of the
    batch, and the arrays ``mean`` and ``var`` follow them in place: ``mean = decay * mean + (1 - decay) * batch mean``,
    likewise for the unbiased variance. In test mode they are used instead, as constants. None: always the batch's own.

    Raises `ShapeError` for shapes that do not fit, `ArgumentError` for a training batch with fewer than two numbers
    in a channel: their variance means nothing. Source: Ioffe and Szegedy, 2015, "Batch normalization".

    >>> import numpy as np
    >>> x = np.array([[1.0], [3.0]])
    >>> batch_norm(x, np.ones(1), np.zeros(1), None, None, eps=0.0)
    array([[-1.],
           [ 1.]])
    """
    decay, eps = checked_share("batch_norm", "decay", decay), checked_number("batch_norm", "eps", eps)
    array = array_of("batch_norm", x)
    _check_channels(array, gamma=gamma, beta=beta, mean=mean, var=var)
    shape = array.shape[1:2] + (1,) * (array.ndim - 2)
    if not train.get() and mean is not None and var is not None:
        return _with_statistics(x, gamma, beta, mean, var, shape, eps)
    axes = (0, *range(2, array.ndim))
    count = math.prod(array.shape[a] for a in axes)
    if count < 2:
        raise ArgumentError(
            f"batch_norm: x {array.shape} has {count} numbers in each channel, and a variance needs two or more; train "
            "with larger batches, or call it in test_mode()"
        )
    function = BatchNorm(axes, count, shape, eps)
    y = function(x, gamma, beta)
    if mean is not None and var is not None:
        batch_mean, batch_var = function.moments
        _follow(array_of("batch_norm", mean), batch_mean, decay)
        _follow(array_of("batch_norm", var), batch_var * (count / (count - 1)), decay)
    return y


def _with_statistics(
    x: Operand, gamma: Operand, beta: Operand, mean: Array, var: Array, shape: tuple[int, ...], eps: float
) -> Result:
    mean, var = (in_dtype_of(x, array_of("batch_norm", v)).reshape(shape) for v in (mean, var))
    scale = mul(reshape(gamma, shape), (var + eps) ** -0.5)
    return add(mul(sub(x, mean), scale), reshape(beta, shape))


def _follow(running: Array, batch: Array, decay: float) -> None:
    running *= decay
    running += (1 - decay) * batch.reshape(running.shape)


def _check_channels(x: Array, **of_channels: Any) -> None:
    if x.ndim < 2:
        raise ShapeError(
            f"batch_norm: x {x.shape} needs the axes (N, C) or more; write x.reshape(1, -1) for one example"
        )
    for name, v in of_channels.items():
        shape = x.shape[1:2] if v is None else array_of("batch_norm", v).shape
        if shape != x.shape[1:2]:
            raise ShapeError(f"batch_norm: {name} {shape} must hold one number for each channel, axis 1 of x {x.shape}")


class LayerNorm(Normalization):
    def backward(self, gy: Any) -> Any:
        x_hat, inv_std, gamma = self.saved_parts()
        g = gy * gamma
        gx = (g - (x_hat * self.mean(g * x_hat) + self.mean(g))) * inv_std if self.needs[0] else None
        return gx, gy * x_hat, gy


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
    axes = tuple(range(-len(features), 0))
    return LayerNorm(axes, math.prod(features), features, checked_number("layer_norm", "eps", eps))(x, gamma, beta)
