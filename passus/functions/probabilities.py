"""Softmax and its logarithm."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.core import Operand, Result, Unary
from passus.functions.parts import below_zero

__all__ = ["LogSoftmax", "Softmax", "log_softmax", "softmax"]


class Softmax(Unary):
    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        e = self.xp.exp(below_zero(x, self.axis))
        return e / e.sum(axis=self.axis, keepdims=True)

    def backward(self, gy: Any) -> Any:
        g = gy * self.y
        return g - self.y * g.sum(axis=self.axis, keepdims=True)


def softmax(x: Operand, axis: int = 1) -> Result:
    """Numbers as probabilities: ``exp(x) / sum(exp(x))`` along an axis, computed without overflow.

    The axis is by default 1, that of the classes in (N, C) and (N, C, H, W).

    Raises `ShapeError` for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> softmax(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """
    return Softmax(axis)(x)


class LogSoftmax(Unary):
    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        below = below_zero(x, self.axis)
        total = self.xp.exp(below).sum(axis=self.axis, keepdims=True)
        return below - self.xp.log(total) if x.size else below

    def backward(self, gy: Any) -> Any:
        return gy - self.xp.exp(self.y) * gy.sum(axis=self.axis, keepdims=True)


def log_softmax(x: Operand, axis: int = 1) -> Result:
    """The logarithm of `softmax`, ``x - log(sum(exp(x)))``, precise where the probability itself would round to 0.

    Raises `ShapeError` for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> log_softmax(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """
    return LogSoftmax(axis)(x)
