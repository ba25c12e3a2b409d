"""Moving averages in place, the building blocks of most optimizers, and what those share that keep two of them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from passus.backend import Array
from passus.optimizers.base import Optimizer
from passus.optimizers.options import Options

__all__ = ["Moments", "average", "average_square"]


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


class Moments(Optimizer):
    """The base of Adam and its kin: the slots ``m`` and ``v`` are moving averages of ``g`` and ``g**2``."""

    slots: ClassVar[tuple[str, ...]] = ("m", "v")

    def averaged(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> tuple[Array, Array, Array]:
        """Move ``m`` and ``v`` on by one step; they are returned with a scratch array that is free again."""
        m, v, t = slots["m"], slots["v"], self.scratch(p)
        average(m, g, o.betas[0], t)
        average_square(v, g, o.betas[1], t)
        return m, v, t
