"""Sums and scales of channels, the steps of batch normalization.

Images are (N, C, ...), with any strides; arrays of channels are (C,). Results have the memory layout of their arguments.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from passus.backend import Array, backend_of
from passus.kernels.boundary import fit
from passus.kernels.dispatch import kernel, plain_float32, worth_kernel
from passus.kernels.elementwise import limited, limited_gradient, masked
from passus.kernels.layout import channels_last
from passus.kernels.sums import deviations, total, total_like

__all__ = [
    "Limits",
    "channel_moments",
    "channel_products",
    "channel_sums",
    "scaled_channels",
    "scaled_gradient",
    "sloped_channels",
    "sloped_gradient",
]

THRESHOLDS = 1 << 11, 1 << 14
"""Numbers from which on a kernel is worth it, and those from which on the first kernel is."""


Limits: TypeAlias = tuple[float, float]


def _suits(x: Array, *vectors: Any) -> bool:
    """For images and vectors with a number for each of their channels."""
    if not plain_float32(x) or x.ndim < 2 or not worth_kernel(x.size, *THRESHOLDS) or not fit(x.shape[1:2], *vectors):
        return False
    return bool(channels_last(x).flags.c_contiguous)  # As convolutions leave their results.


def _both_suit(gy: Array, x: Array, *vectors: Any) -> bool:
    return _suits(x, *vectors) and fit(x.shape, gy)


def _suits_scaled(x: Array, mean: Array, scale: Array, shift: Array, limits: Limits | None = None) -> bool:
    return _suits(x, mean, scale, shift)


def _products_suit(gy: Array, x: Array, mean: Array, scale: Array, shift: Array, limits: Limits | None = None) -> bool:
    return _both_suit(gy, x, mean, scale, shift)


def _gradient_suits(
    gy: Array,
    x: Array,
    mean: Array,
    scale: Array,
    shift: Array,
    mean_grad: Array,
    projection: Array,
    limits: Limits | None = None,
) -> bool:
    return _both_suit(gy, x, mean, scale, shift, mean_grad, projection)


def _slopes_suit(x: Array, slope: Array) -> bool:
    return _suits(x) and plain_float32(slope) and slope.shape in ((), (1,), x.shape[1:2] + (1,) * (x.ndim - 2))


def _slope_gradients_suit(gy: Array, x: Array, slope: Array) -> bool:
    return _both_suit(gy, x) and _slopes_suit(x, slope)


@kernel(_suits)
def channel_moments(x: Array) -> tuple[Array, Array]:
    """The mean of each channel and its variance.

    >>> import numpy as np
    >>> channel_moments(np.array([[1.0, 5.0], [3.0, 5.0]]))
    (array([2., 5.]), array([1., 0.]))
    """
    axes, count = _axes_but_channels(x)
    mean, d = deviations(x, axes)
    return mean.reshape(-1), total(d * d, axes) / count


@kernel(_suits)
def channel_sums(x: Array) -> Array:
    """The sum of each channel; given a Variable, the result is one.

    >>> import numpy as np
    >>> channel_sums(np.array([[1.0, 5.0], [3.0, 5.0]]))
    array([ 4., 10.])
    """
    return total(x, (0, *range(2, x.ndim)))


@kernel(_suits_scaled)
def scaled_channels(x: Array, mean: Array, scale: Array, shift: Array, limits: Limits | None = None) -> Array:
    """``(x - mean) * scale + shift``, not below the first limit and not above the second.

    >>> import numpy as np
    >>> scaled_channels(np.array([[1.0, 5.0]]), np.array([1.0, 4.0]), np.array([1.0, 2.0]), np.array([-0.5, 0.0]))
    array([[-0.5,  2. ]])
    """
    y = _scaled(x, mean, scale, shift)
    return y if limits is None else limited(y, *limits)


@kernel(_products_suit)
def channel_products(
    gy: Array, x: Array, mean: Array, scale: Array, shift: Array, limits: Limits | None = None
) -> tuple[Array, Array]:
    """For each channel, the sum of ``gy`` and that of ``gy * (x - mean)``, where `scaled_channels` is between its limits.

    Given Variables, the results are Variables, as those of `scaled_gradient`.

    >>> import numpy as np
    >>> one = np.ones(1)
    >>> channel_products(np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]]), 2 * one, one, one)
    (array([3.]), array([1.]))
    """
    axes, _ = _axes_but_channels(x)
    gy = _where_inside(gy, x, mean, scale, shift, limits)
    return total(gy, axes), total(gy * (x - _along_channels(mean, x)), axes)


@kernel(_gradient_suits)
def scaled_gradient(
    gy: Array,
    x: Array,
    mean: Array,
    scale: Array,
    shift: Array,
    mean_grad: Array,
    projection: Array,
    limits: Limits | None = None,
) -> Array:
    """``(gy - mean_grad - (x - mean) * projection) * scale``, with ``gy`` taken as 0 where `scaled_channels` is at its limits.

    >>> import numpy as np
    >>> one = np.ones(1)
    >>> scaled_gradient(np.array([[5.0]]), np.array([[3.0]]), one, 2 * one, one, one, one)
    array([[4.]])
    """
    gy = _where_inside(gy, x, mean, scale, shift, limits)
    mean, scale, mean_grad, projection = (_along_channels(v, x) for v in (mean, scale, mean_grad, projection))
    return (gy - (x - mean) * projection - mean_grad) * scale


@kernel(_slopes_suit)
def sloped_channels(x: Array, slope: Array) -> Array:
    """``max(x, 0) + slope * min(x, 0)``; ``slope``: one number, or one for each channel, of a shape that broadcasts with x.

    >>> import numpy as np
    >>> sloped_channels(np.array([[-1.0, 2.0]]), np.array([0.5, 0.5]))
    array([[-0.5,  2. ]])
    """
    return backend_of(x).xp.maximum(x, 0) + masked(slope * x, x < 0)


@kernel(_slope_gradients_suit)
def sloped_gradient(gy: Array, x: Array, slope: Array) -> tuple[Array, Array]:
    """The gradients for x and for the slope, from that for the result. Given Variables, the gradients are some.

    >>> import numpy as np
    >>> sloped_gradient(np.array([[1.0, 2.0]]), np.array([[-3.0, 4.0]]), np.array([0.5, 0.5]))
    (array([[0.5, 2. ]]), array([-3.,  0.]))
    """
    positive = x > 0
    gx = masked(gy, positive) + masked(slope * gy, ~positive)
    gslope = masked(gy, ~(x >= 0)) * backend_of(x).xp.minimum(x, 0)
    return gx, total_like(slope, gslope)


def _scaled(x: Any, mean: Any, scale: Any, shift: Any) -> Any:
    mean, scale, shift = (_along_channels(v, x) for v in (mean, scale, shift))
    return (x - mean) * scale + shift


def _where_inside(gy: Any, x: Any, mean: Any, scale: Any, shift: Any, limits: Limits | None) -> Any:
    if limits is None:
        return gy
    return limited_gradient(gy, _scaled(x, mean, scale, shift), *limits)


def _axes_but_channels(x: Array) -> tuple[tuple[int, ...], int]:
    axes = (0, *range(2, x.ndim))
    return axes, math.prod(x.shape[axis] for axis in axes)


def _along_channels(v: Array, x: Array) -> Array:
    return v.reshape(-1, *[1] * (x.ndim - 2))
