"""Normalization of groups of channels of each example, which is layer normalization of each group."""

from __future__ import annotations

import math

from passus.arguments import checked_count, checked_number
from passus.core import Operand, Result
from passus.errors import ArgumentError, ShapeError
from passus.functions.arrays.shapes import reshape
from passus.functions.checks import array_of, check_channels
from passus.functions.nn.normalization import layer_normalized

__all__ = ["group_norm", "instance_norm"]


def group_norm(x: Operand, gamma: Operand, beta: Operand, groups: int, eps: float = 1e-5) -> Result:
    """Give each group of channels of each example mean 0 and variance 1, then scale and shift its channels:
    ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    ``x``: (N, C, ...); ``gamma``, ``beta``: (C,); ``groups``: from 1 to C, a divisor of C; a group is C / groups
    neighbours. The result of an example does not depend on the rest of the batch.

    Raises `ShapeError` for shapes that do not fit, `ArgumentError` for groups of fewer than two numbers: their variance
    means nothing. Source: Wu and He, 2018, "Group normalization".

    >>> import numpy as np
    >>> group_norm(np.array([[1.0, 3.0, 5.0, 9.0]]), np.ones(4), np.zeros(4), groups=2, eps=0.0)
    array([[-1.,  1., -1.,  1.]])
    """
    groups = checked_count("group_norm", "groups", groups)
    shape = array_of("group_norm", x).shape
    check_channels("group_norm", x, gamma=gamma, beta=beta)
    if shape[1] % groups:
        raise ShapeError(f"group_norm: the channels, axis 1 of x {shape}, must be a multiple of groups={groups}")
    return _normalized_in_groups("group_norm", x, gamma, beta, groups, eps)


def instance_norm(x: Operand, gamma: Operand, beta: Operand, eps: float = 1e-5) -> Result:
    """Give each channel of each example mean 0 and variance 1: ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    ``x``: (N, C, ...), with one axis of space at least; ``gamma``, ``beta``: (C,). It is `group_norm` with a group for
    each channel: it removes the contrast of an image, and with it its style.

    Raises `ShapeError` for shapes that do not fit, `ArgumentError` for channels of fewer than two pixels: their variance
    means nothing. Source: Ulyanov, Vedaldi and Lempitsky, 2016, "Instance normalization".

    >>> import numpy as np
    >>> instance_norm(np.array([[[1.0, 3.0], [5.0, 9.0]]]), np.ones(2), np.zeros(2), eps=0.0)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    check_channels("instance_norm", x, gamma=gamma, beta=beta)
    return _normalized_in_groups("instance_norm", x, gamma, beta, array_of("instance_norm", x).shape[1], eps)


def _normalized_in_groups(name: str, x: Operand, gamma: Operand, beta: Operand, groups: int, eps: float) -> Result:
    n, c, *size = shape = array_of(name, x).shape
    each = c // groups if groups else 0
    if each * math.prod(size) < 2:
        raise ArgumentError(
            f"{name}: x {shape} has {each * math.prod(size)} numbers in each group, and a variance needs two or more; "
            "give larger images, or fewer groups"
        )
    of_channels = (groups, each, *[1] * len(size))
    axes, eps = tuple(range(2, 3 + len(size))), checked_number(name, "eps", eps)
    in_groups = reshape(x, (n, groups, each, *size))
    y = layer_normalized(axes, eps, in_groups, reshape(gamma, of_channels), reshape(beta, of_channels))
    return reshape(y, shape)
