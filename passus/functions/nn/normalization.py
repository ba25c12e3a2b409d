"""Layer normalization and RMS normalization."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from passus.arguments import checked_number
from passus.backend import Array, truth
from passus.core import HALF, INTEGERS, Function, Operand, Result, astype
from passus.errors import ShapeError
from passus.functions.checks import array_of
from passus.kernels.normalization import (
    inv_root_mean_square,
    mean_and_inv_std,
    normalized,
    normalized_gradients,
    rms_normalized,
    rms_normalized_gradients,
)

__all__ = ["LayerNorm", "RMSNorm", "layer_norm", "rms_norm"]


class LayerNorm(Function):
    upcast_dtypes = HALF + INTEGERS

    inv_std: Array
    constants: ClassVar[tuple[str, ...]] = ("mean", "inv_std")  # Recorded passes recompute them from x.

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        self.axes, self.eps = axes, eps

    def forward(self, x: Array, gamma: Array, beta: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            y, self.mean, self.inv_std = normalized(x, gamma, beta, self.axes, self.eps)
        return y

    def backward(self, gy: Any) -> Any:
        x, gamma, _ = (self.saved(v) for v in self.operands)
        statistics = mean_and_inv_std(x, self.axes, self.eps) if self.recording else (self.mean, self.inv_std)
        return normalized_gradients(gy, x, gamma, *statistics, self.axes, self.needs[0])


def layer_norm(x: Operand, gamma: Operand, beta: Operand, eps: float = 1e-5) -> Result:
    """Normalize each example to mean 0 and variance 1 over the last axes:
    ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    ``x``: (..., D); ``gamma``, ``beta``: (D,). Parameters (D1, D2, ...) normalize over as many last axes of ``x``.

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
    axes, eps = tuple(range(-len(features), 0)), checked_number("layer_norm", "eps", eps)
    return layer_normalized(axes, eps, x, gamma, beta)


def layer_normalized(axes: tuple[int, ...], eps: float, x: Operand, gamma: Operand, beta: Operand) -> Result:
    """Apply `LayerNorm`, in float64 if squares exceed the range of float32.

    >>> x = np.array([1e25, 3e25], np.float32)
    >>> layer_normalized((-1,), 1e-5, x, np.ones_like(x), np.zeros_like(x))
    array([-1.,  1.], dtype=float32)
    """
    function = LayerNorm(axes, eps)
    y = function(x, gamma, beta)
    return y if _in_range(function.inv_std, x) else _in_float64(LayerNorm(axes, eps), y, x, gamma, beta)


def _in_range(factor: Array, x: Operand) -> bool:
    """Whether the factor of a normalization is positive and finite, or float64 would not help."""
    if truth(((factor > 0) & (factor < np.inf)).all(), True):
        return True
    array = array_of("normalization", x)
    return array.dtype != np.float32 or not np.isfinite(array).all()


def _in_float64(function: Function, y: Result, x: Operand, *parameters: Operand) -> Result:
    return astype(function(astype(x, np.float64), *parameters), y.dtype)


class RMSNorm(Function):
    public_name = "rms_norm"
    upcast_dtypes = HALF + INTEGERS

    constants: ClassVar[tuple[str, ...]] = ("inv_rms",)  # Recorded passes recompute it from x.

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        self.axes, self.eps = axes, eps

    def forward(self, x: Array, gamma: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            y, self.inv_rms = rms_normalized(x, gamma, self.axes, self.eps)
        return y

    def backward(self, gy: Any) -> Any:
        x, gamma = (self.saved(v) for v in self.operands)
        inv_rms = inv_root_mean_square(x, self.axes, self.eps) if self.recording else self.inv_rms
        return rms_normalized_gradients(gy, x, gamma, inv_rms, self.axes, self.needs[0])


def rms_norm(x: Operand, gamma: Operand, eps: float = 1e-6) -> Result:
    """Normalize each example to root mean square 1 over the last axes: ``gamma * x / sqrt(mean(x**2) + eps)``.

    ``x``: (..., D); ``gamma``: (D,). Parameters (D1, D2, ...) normalize over as many last axes of ``x``. The mean is
    not subtracted.

    Raises `ShapeError` for shapes that do not fit. Source: Zhang and Sennrich, 2019, "Root mean square layer
    normalization".

    >>> import numpy as np
    >>> rms_norm(np.array([1.0, 7.0]), np.ones(2), eps=0.0)
    array([0.2, 1.4])
    """
    shape, features = array_of("rms_norm", x).shape, array_of("rms_norm", gamma).shape
    if not features or shape[-len(features) :] != features:
        raise ShapeError(f"rms_norm: gamma {features} must have the shape of the last axes of x {shape}")
    axes, eps = tuple(range(-len(features), 0)), checked_number("rms_norm", "eps", eps)
    function = RMSNorm(axes, eps)
    y = function(x, gamma)
    return y if _in_range(function.inv_rms, x) else _in_float64(RMSNorm(axes, eps), y, x, gamma)
