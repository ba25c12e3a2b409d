"""Normalization along some axes of an array, the common part of layer and group normalization.

``gamma`` and ``beta`` broadcast with ``x``. Results have the memory layout of their arguments. Everything is written with operators
and methods that arrays and Variables share: given Variables, the results are Variables.
"""

from __future__ import annotations

import math

import numpy as np

from passus.backend import Array
from passus.kernels.boundary import fit
from passus.kernels.dispatch import kernel, plain_float32, worth_kernel
from passus.kernels.sums import deviations, total, total_like

__all__ = [
    "inv_root_mean_square",
    "mean_and_inv_std",
    "normalized",
    "normalized_gradients",
    "rms_normalized",
    "rms_normalized_gradients",
]

THRESHOLDS = 1 << 8, 1 << 14
"""Numbers from which on a kernel is worth it, and those from which on the first kernel is."""


def _arrays_suit(x: Array, gamma: Array, axes: tuple[int, ...]) -> bool:
    """Whether x is contiguous and its rows share gamma, as in layer_norm; or x are images (N, G, C / G, ...) with channels last in
    memory, and gamma is (G, C / G, 1, ...).
    """
    if not worth_kernel(x.size, *THRESHOLDS) or not plain_float32(x, gamma):
        return False
    n, ndim = len(axes), x.ndim
    if gamma.ndim == n:
        return 0 < n <= ndim and gamma.shape == x.shape[ndim - n :] and _last(axes, ndim) and x.flags.c_contiguous
    groups = axes == tuple(range(2, ndim)) and n > 0 and gamma.shape == x.shape[1:3] + (1,) * (n - 1)
    return groups and np.moveaxis(x, (1, 2), (-2, -1)).flags.c_contiguous


def _last(axes: tuple[int, ...], ndim: int) -> bool:
    return axes in (tuple(range(-len(axes), 0)), tuple(range(ndim - len(axes), ndim)))


def _suits(x: Array, gamma: Array, beta: Array, axes: tuple[int, ...], eps: float) -> bool:
    return _arrays_suit(x, gamma, axes) and fit(gamma.shape, beta)


def _rms_suits(x: Array, gamma: Array, axes: tuple[int, ...], eps: float) -> bool:
    return _arrays_suit(x, gamma, axes) and gamma.ndim == len(axes)


def _statistics_suit(gy: Array, x: Array, axes: tuple[int, ...], *statistics: Array) -> bool:
    return fit(x.shape, gy) and fit(x.shape[: x.ndim - len(axes)] + (1,) * len(axes), *statistics)


def _gradients_suit(
    gy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array, axes: tuple[int, ...], needs_x: bool = True
) -> bool:
    return _arrays_suit(x, gamma, axes) and _statistics_suit(gy, x, axes, mean, inv_std)


def _rms_gradients_suit(
    gy: Array, x: Array, gamma: Array, inv_rms: Array, axes: tuple[int, ...], needs_x: bool = True
) -> bool:
    return _rms_suits(x, gamma, axes, 0.0) and _statistics_suit(gy, x, axes, inv_rms)


def mean_and_inv_std(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array]:
    """The mean along axes, which remain with size 1, and ``1 / sqrt(variance + eps)``.

    >>> import numpy as np
    >>> mean_and_inv_std(np.array([[1.0, 5.0]]), (-1,), eps=0.0)
    (array([[3.]]), array([[0.5]]))
    """
    _, mean, inv_std = _centred(x, axes, eps)
    return mean, inv_std


@kernel(_suits)
def normalized(x: Array, gamma: Array, beta: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array, Array]:
    """``(x - mean) * inv_std * gamma + beta``, and the two statistics.

    >>> import numpy as np
    >>> normalized(np.array([[1.0, 5.0]]), np.ones(2), np.zeros(2), (-1,), eps=0.0)
    (array([[-1.,  1.]]), array([[3.]]), array([[0.5]]))
    """
    d, mean, inv_std = _centred(x, axes, eps)
    return d * inv_std * gamma + beta, mean, inv_std


@kernel(_gradients_suit)
def normalized_gradients(
    gy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array, axes: tuple[int, ...], needs_x: bool = True
) -> tuple[Array | None, Array, Array]:
    """The gradients for ``x`` (None unless it is needed), ``gamma`` and ``beta``.

    >>> import numpy as np
    >>> normalized_gradients(np.array([3.0, 1.0]), np.array([1.0, 5.0]), np.ones(2), 3.0, 0.5, (-1,))
    (array([0., 0.]), array([-3.,  1.]), array([3., 1.]))
    """
    x_hat = (x - mean) * inv_std
    gx = None
    if needs_x:
        g = gy * gamma
        gx = (g - (x_hat * _mean(g * x_hat, axes) + _mean(g, axes))) * inv_std
    return gx, total_like(gamma, gy * x_hat), total_like(gamma, gy)


def inv_root_mean_square(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    """``1 / sqrt(mean of x**2 + eps)`` along axes, which remain with size 1.

    >>> import numpy as np
    >>> inv_root_mean_square(np.array([-2.0, 2.0]), (-1,), eps=0.0)
    array([0.5])
    """
    return (_mean(x * x, axes) + eps) ** -0.5


@kernel(_rms_suits)
def rms_normalized(x: Array, gamma: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array]:
    """``x * inv_rms * gamma``, and the statistic ``inv_rms``.

    >>> import numpy as np
    >>> rms_normalized(np.array([-2.0, 2.0]), np.ones(2), (-1,), eps=0.0)
    (array([-1.,  1.]), array([0.5]))
    """
    inv_rms = inv_root_mean_square(x, axes, eps)
    return x * inv_rms * gamma, inv_rms


@kernel(_rms_gradients_suit)
def rms_normalized_gradients(
    gy: Array, x: Array, gamma: Array, inv_rms: Array, axes: tuple[int, ...], needs_x: bool = True
) -> tuple[Array | None, Array]:
    """The gradients for ``x`` (None unless it is needed) and ``gamma``.

    >>> import numpy as np
    >>> rms_normalized_gradients(np.array([3.0, 1.0]), np.array([-2.0, 2.0]), np.ones(2), 0.5, (-1,))
    (array([1., 1.]), array([-3.,  1.]))
    """
    x_hat = x * inv_rms
    gx = None
    if needs_x:
        g = gy * gamma
        gx = (g - x_hat * _mean(g * x_hat, axes)) * inv_rms
    return gx, total_like(gamma, gy * x_hat)


def _centred(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array, Array]:
    """``x - mean``, and the two statistics."""
    mean, d = deviations(x, axes)
    return d, mean, (_mean(d * d, axes) + eps) ** -0.5


def _mean(x: Array, axes: tuple[int, ...]) -> Array:
    count = math.prod([x.shape[axis] for axis in axes])
    if len(axes) > 1:  # Pixels first: where channels are last in memory, whole rows are added.
        x, axes = total(x, axes[1:], True), axes[:1]
    return total(x, axes, True) / (count or 1)  # The mean of no numbers is 0, as their sum.
