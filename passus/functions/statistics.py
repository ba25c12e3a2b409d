"""How far elements spread, and how long vectors are: variance, standard deviation, norm."""

from __future__ import annotations

import math
from typing import Any

from passus.arguments import checked_real
from passus.backend import Array
from passus.core import Operand, Result
from passus.errors import ArgumentError
from passus.functions.elementwise import abs
from passus.functions.extremes import max
from passus.functions.reductions import Axis, Reduction, reduced_to_one, sum

__all__ = ["Norm", "Std", "Var", "norm", "std", "var"]


class Spread(Reduction):
    """The base of `Var` and `Std`."""

    def __init__(self, axis: Axis, ddof: float, keepdims: bool) -> None:
        super().__init__(axis, keepdims)
        self.ddof = ddof

    def variance(self, x: Array) -> Array:
        """The variance, in two passes: the mean of squares less the square of the mean would lose digits."""
        total = x.sum(axis=self.axis, keepdims=True)
        self.n = reduced_to_one(x, total)
        if self.n <= self.ddof:
            raise ValueError(
                f"{self.n} elements along axis {self.axis} are too few for ddof = {self.ddof}; there must be more than ddof"
            )
        centred = x - total / self.n
        return (centred * centred).sum(axis=self.axis, keepdims=self.keepdims) / (self.n - self.ddof)

    def slope(self) -> Any:
        """Half the gradient of the variance."""
        x = self.x
        return (x - x.sum(axis=self.axis, keepdims=True) / self.n) / (self.n - self.ddof)


class Var(Spread):
    def forward(self, x: Array) -> Array:
        return self.variance(x)

    def backward(self, gy: Any) -> Any:
        return self.kept(2 * gy) * self.slope()


def var(x: Operand, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Result:
    """The variance along axes, ``sum((x - mean(x))**2) / (n - ddof)``; ``ddof=1`` estimates that of a population.

    Raises `ShapeError` unless there are more than ``ddof`` elements, or for an axis that ``x`` does not have, or that is
    named twice.

    >>> import numpy as np
    >>> var(np.array([1.0, 3.0]), ddof=1)
    array(2.)
    """
    return Var(axis, ddof, keepdims)(x)


class Std(Spread):
    def forward(self, x: Array) -> Array:
        return self.xp.sqrt(self.variance(x))

    def backward(self, gy: Any) -> Any:
        return self.kept(gy / _or_one(self, self.y)) * self.slope()


def std(x: Operand, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Result:
    """The standard deviation along axes, ``sqrt(var(x))``; where it is 0, its gradient is taken to be 0.

    Raises `ShapeError` unless there are more than ``ddof`` elements, or for an axis that ``x`` does not have, or that is
    named twice.

    >>> import numpy as np
    >>> std(np.array([1.0, 3.0]))
    array(1.)
    """
    return Std(axis, ddof, keepdims)(x)


class Norm(Reduction):
    def __init__(self, ord: float, axis: Axis, keepdims: bool) -> None:
        super().__init__(axis, keepdims)
        self.ord = ord

    def forward(self, x: Array) -> Array:
        powers = x * x if self.ord == 2 else self.xp.abs(x) ** self.ord
        return powers.sum(axis=self.axis, keepdims=self.keepdims) ** (1 / self.ord)

    def backward(self, gy: Any) -> Any:
        x, p = self.x, self.ord
        scale = self.kept(gy / _or_one(self, self.y) ** (p - 1))
        return scale * (x if p == 2 else self.xp.sign(x) * self.xp.abs(x) ** (p - 1))


def norm(x: Operand, ord: float = 2, axis: Axis = None, keepdims: bool = False) -> Result:
    """The length of the vectors that lie along axes: ``sum(abs(x)**ord) ** (1 / ord)``, ``max(abs(x))`` for infinity.

    ``ord``: at least 1. Several axes count as one (so 2 over both axes of a matrix is its Frobenius norm).
    The gradient of a vector of zeros is taken to be 0. Raises `ArgumentError` for another ``ord``, `ShapeError` for an
    axis that ``x`` does not have, or that is named twice, and for a maximum of no elements.

    >>> import numpy as np
    >>> norm(np.array([[3.0, 4.0], [6.0, 8.0]]), axis=1)
    array([ 5., 10.])
    """
    if not checked_real("norm", "ord", ord) >= 1:
        raise ArgumentError(f"norm: ord must be at least 1, or infinity, not {ord!r}")
    if ord == 1:
        return sum(abs(x), axis, keepdims)
    if ord == math.inf:
        return max(abs(x), axis, keepdims)
    return Norm(ord, axis, keepdims)(x)


def _or_one(function: Reduction, y: Any) -> Any:
    """A divisor without zeros: what is divided by it is 0 there."""
    return function.xp.where(y == 0, 1, y)
