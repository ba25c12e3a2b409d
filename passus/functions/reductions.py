"""Functions that reduce axes: sums, means, extremes."""

from __future__ import annotations

from typing import Any, TypeAlias

from passus.backend import Array
from passus.core import Operand, Result, Unary
from passus.core.basic import SumTo as SumTo
from passus.core.basic import sum_to as sum_to

__all__ = ["Reduction", "Sum", "SumTo", "sum", "sum_to"]

Axis: TypeAlias = int | tuple[int, ...] | None
"""The axes to reduce: one, several, or all (None); negative ones count from the end."""


class Reduction(Unary):
    """The base of functions that reduce axes; ``stretched`` undoes the reduction of a shape."""

    def __init__(self, axis: Axis, keepdims: bool) -> None:
        self.axis, self.keepdims = axis, keepdims

    def kept(self, reduced: Any) -> Any:
        """An array of the shape of the output, with the reduced axes kept as axes of length 1."""
        return reduced.reshape(self._kept_shape())

    def stretched(self, reduced: Any) -> Any:
        """An array of the shape of the output, broadcast to the shape of the input."""
        return self.xp.broadcast_to(self.kept(reduced), self.inputs[0].shape)

    def _kept_shape(self) -> tuple[int, ...]:
        shape = self.inputs[0].shape
        axes = range(len(shape)) if self.axis is None else self.axis
        reduced = {a % len(shape) for a in ((axes,) if isinstance(axes, int) else axes)}
        return tuple(1 if i in reduced else n for i, n in enumerate(shape))


class Sum(Reduction):
    def forward(self, x: Array) -> Array:
        return x.sum(axis=self.axis, keepdims=self.keepdims)

    def backward(self, gy: Any) -> Any:
        return self.stretched(gy)


def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Result:
    """The sum of the elements along axes.

    Raises `ArgumentError` for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([4., 6.])
    """
    return Sum(axis, keepdims)(x)
