"""Normalization of each channel over the batch: with the statistics of the batch, or with known ones."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from passus.arguments import checked_fraction, checked_number
from passus.attributes import snapshot
from passus.backend import Array, Writable, backend_of, unwrapped
from passus.backend.trace import is_numpy
from passus.config import train
from passus.core import HALF, INTEGERS, Function, Operand, Result
from passus.errors import ArgumentError
from passus.functions.checks import array_of, check_channels, limits_of
from passus.kernels.channels import Limits, channel_moments, channel_products, scaled_channels, scaled_gradient
from passus.kernels.elementwise import limited_gradient
from passus.notices import notice

__all__ = ["BatchNorm", "FixedBatchNorm", "batch_norm", "batch_nrom", "fixed_batch_norm"]


ONE_NUMBER = (
    "batch_norm: a training batch has one number in each channel, which equals its mean: the result is beta for any x. "
    "Train with larger batches, or call the model in test_mode()"
)


class BatchNorm(Function):
    upcast_dtypes = HALF + INTEGERS

    constants: ClassVar[tuple[str, ...]] = ("mean", "var", "inv_std")  # A recorded pass recomputes them from x.

    mean: Array
    var: Array

    def __init__(self, eps: float, limits: Limits | None = None) -> None:
        self.eps, self.limits = eps, limits

    def forward(self, x: Array, gamma: Array, beta: Array) -> Array:
        self.mean, self.var = channel_moments(x)
        self.inv_std = (self.var + self.eps) ** -0.5
        return scaled_channels(x, self.mean, gamma * self.inv_std, beta, self.limits)

    def backward(self, gy: Any) -> Any:
        x, gamma, beta = (self.saved(v) for v in self.operands)
        mean, inv_std = self.mean, self.inv_std
        if self.recording:
            mean, var = channel_moments(x)
            inv_std = (var + self.eps) ** -0.5
        scaled = (mean, gamma * inv_std, beta)
        gbeta, product = channel_products(gy, x, *scaled, self.limits)
        gx = None
        if self.needs[0]:
            count = _elements_per_channel(x)
            gx = scaled_gradient(gy, x, *scaled, gbeta / count, product * inv_std**2 / count, self.limits)
        return gx, product * inv_std, gbeta


def batch_norm(
    x: Operand,
    gamma: Operand,
    beta: Operand,
    mean: Array | None,
    var: Array | None,
    decay: float = 0.9,
    eps: float = 2e-5,
    activation: str | None = None,
) -> Result:
    """Give each channel mean ``beta`` and standard deviation ``gamma``: ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    ``x``: (N, C, ...); ``gamma``, ``beta``, ``mean``, ``var``: (C,). In training, mean and variance are those of the
    batch, and the arrays ``mean`` and ``var`` are updated in place: ``mean = decay * mean + (1 - decay) * batch mean``,
    likewise for the unbiased variance. In test mode they are used instead, as constants. None: always the batch's own.
    ``activation``: "relu" or "relu6", applied in the same pass through memory. A training batch with one number in a
    channel gives ``beta`` and no gradient for ``x``; it warns (`PassusWarning`), and ``var`` does not follow it.

    Raises `ShapeError` for shapes that do not fit, `ArgumentError` for another activation, for an empty training batch,
    and for averages that cannot follow.
    Source: Ioffe and Szegedy, 2015, "Batch normalization".

    >>> import numpy as np
    >>> x = np.array([[1.0], [3.0]])
    >>> batch_norm(x, np.ones(1), np.zeros(1), None, None, eps=0.0)
    array([[-1.],
           [ 1.]])
    """
    decay, eps = checked_fraction("batch_norm", "decay", decay), checked_number("batch_norm", "eps", eps)
    array, limits = array_of("batch_norm", x), limits_of("batch_norm", activation)
    statistics = {argument: v for argument, v in (("mean", mean), ("var", var)) if v is not None}
    check_channels("batch_norm", x, gamma=gamma, beta=beta, **unwrapped(statistics))
    if not train.get() and mean is not None and var is not None:
        return _with_statistics(x, gamma, beta, unwrapped(mean), unwrapped(var), eps, limits)
    count = _elements_per_channel(array)
    if not count:
        raise ArgumentError(
            f"batch_norm: x {array.shape} has no numbers to take the mean and variance of; leave it out"
        )
    if count == 1:
        notice(ONE_NUMBER)
    function = BatchNorm(eps, limits)
    if mean is None or var is None:
        return function(x, gamma, beta)
    averages = [
        _writable(argument, v if isinstance(v, Writable) else array_of("batch_norm", v))
        for argument, v in statistics.items()
    ]
    if any(backend_of(average).name == "jax" for average in averages):
        raise ArgumentError(
            "batch_norm: mean and var are arrays of JAX, which cannot follow the batches in training; use layers.BatchNorm"
        )
    y = function(x, gamma, beta)
    _update_running(averages[0], function.mean, decay)
    if count > 1:  # The variance of one number is 0 and means nothing.
        _update_running(averages[1], function.var * (count / (count - 1)), decay)
    return y


batch_nrom = batch_norm  # As DeZero spells it.


class FixedBatchNorm(Function):
    upcast_dtypes = HALF + INTEGERS

    constants: ClassVar[tuple[str, ...]] = ("mean", "inv_std")

    def __init__(self, mean: Array, inv_std: Array, limits: Limits | None = None) -> None:
        self.mean, self.inv_std, self.limits = mean, inv_std, limits

    def forward(self, x: Array, gamma: Array, beta: Array) -> Array:
        return scaled_channels(x, self.mean, gamma * self.inv_std, beta, self.limits)

    def backward(self, gy: Any) -> Any:
        x, gamma, beta = (self.saved(v) for v in self.operands)
        if self.limits is not None:
            gy = limited_gradient(gy, self.saved(self.output), *self.limits)
        scale = gamma * self.inv_std
        gx = gy * scale.reshape(-1, *[1] * (gy.ndim - 2)) if self.needs[0] else None
        if not any(self.needs[1:]):
            return gx, None, None
        gbeta, product = channel_products(gy, x, self.mean, scale, beta)
        return gx, product * self.inv_std, gbeta


def fixed_batch_norm(
    x: Operand,
    gamma: Operand,
    beta: Operand,
    mean: Array,
    var: Array,
    eps: float = 2e-5,
    activation: str | None = None,
) -> Result:
    """`batch_norm` with known statistics, in training too: ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    ``x``: (N, C, ...); ``gamma``, ``beta``, ``mean``, ``var``: (C,). The statistics are constants: they do not follow
    the batch, and no gradient flows to them. So a trained network is tuned with batches too small for statistics.
    ``activation``: as there.

    Raises `ShapeError` for shapes that do not fit, `ArgumentError` for another activation.
    Source: Ioffe and Szegedy, 2015, "Batch normalization".

    >>> import numpy as np
    >>> fixed_batch_norm(np.array([[5.0]]), np.ones(1), np.zeros(1), np.array([1.0]), np.array([4.0]), eps=0.0)
    array([[2.]])
    """
    eps, limits = checked_number("fixed_batch_norm", "eps", eps), limits_of("fixed_batch_norm", activation)
    check_channels("fixed_batch_norm", x, gamma=gamma, beta=beta, mean=mean, var=var)
    return _with_statistics(x, gamma, beta, mean, var, eps, limits)


def _with_statistics(
    x: Operand, gamma: Operand, beta: Operand, mean: Array, var: Array, eps: float, limits: Limits | None
) -> Result:
    dtype = array_of("fixed_batch_norm", x).dtype
    wider = np.result_type(dtype, np.float32) if dtype.kind == "f" else np.dtype(float)
    # A copy: later batches in training write into the array.
    mean, var = (array_of("fixed_batch_norm", v).astype(wider) for v in (mean, var))
    return FixedBatchNorm(mean, (var + eps) ** -0.5, limits)(x, gamma, beta)


def _writable(argument: str, running: Any) -> Any:
    array = unwrapped(running)
    if array.dtype.kind != "f" or (is_numpy(array) and not array.flags.writeable):
        raise ArgumentError(
            f"batch_norm: {argument} {array.dtype}{list(array.shape)} must follow the batches in training, and holds no "
            f"floating-point numbers that can be written to; give a copy, {argument}.astype(np.float32)"
        )
    return running


def _update_running(running: Array, batch: Array, decay: float) -> None:
    snapshot(running, None)
    running[...] = decay * running.astype(batch.dtype) + (1 - decay) * batch


def _elements_per_channel(x: Any) -> int:
    return math.prod([x.shape[0], *x.shape[2:]])
