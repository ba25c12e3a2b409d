"""Moving averages in place, the building blocks of most optimizers."""

from __future__ import annotations

import numpy as np

from passus.backend import Array

__all__ = ["average", "average_square"]


def average(m: Array, x: Array, beta: float, t: Array) -> None:
    """``m <- beta * m + (1 - beta) * x``, with ``t`` as scratch.

    >>> m = np.array([1.0])
    >>> average(m, np.array([3.0]), 0.5, np.empty(1))
    >>> m
    array([2.])
    """
    m *= beta
    m += np.multiply(x, 1 - beta, out=t)


def average_square(v: Array, x: Array, beta: float, t: Array) -> None:
    """``v <- beta * v + (1 - beta) * x**2``, with ``t`` as scratch.

    >>> v = np.array([1.0])
    >>> average_square(v, np.array([3.0]), 0.5, np.empty(1))
    >>> v
    array([5.])
    """
    v *= beta
    np.multiply(x, x, out=t)
    t *= 1 - beta
    v += t
