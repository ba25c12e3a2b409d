"""Softmax and its logarithm."""

from __future__ import annotations

from typing import Any

from passus.arguments import checked_integer
from passus.backend import Array
from passus.core import HALF, INTEGERS, Operand, Result, Unary
from passus.errors import ShapeError
from passus.kernels import rows

__all__ = ["LogSoftmax", "Softmax", "log_softmax", "softmax"]


class Softmax(Unary):
    upcast_dtypes = HALF + INTEGERS

    def __init__(self, axis: int = 1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        _check_axis("softmax", x, self.axis)
        return rows.softmax(x, self.axis)

    def backward(self, gy: Any) -> Any:
        return rows.softmax_gradient(gy, self.y, self.axis)


def _check_axis(name: str, x: Array, axis: int) -> None:
    if not -x.ndim <= checked_integer(name, "axis", axis) < x.ndim:
        raise ShapeError(
            f"{name}({x.dtype}{list(x.shape)}): axis {axis} is out of bounds; write {name}(x, axis=-1), or x[None] for one "
            "example"
        )


def softmax(x: Operand, axis: int = 1) -> Result:
    """Softmax along an axis: ``exp(x) / sum(exp(x))``, without overflow.

    ``axis``: 1 by default, that of the classes in (N, C) and (N, C, H, W).

    Raises `ShapeError` for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> softmax(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """
    return Softmax(axis)(x)


class LogSoftmax(Unary):
    upcast_dtypes = HALF + INTEGERS

    def __init__(self, axis: int = 1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        _check_axis("log_softmax", x, self.axis)
        return rows.log_softmax(x, self.axis)

    def backward(self, gy: Any) -> Any:
        return rows.log_softmax_gradient(gy, self.y, self.axis)


def log_softmax(x: Operand, axis: int = 1) -> Result:
    """The logarithm of `softmax`, ``x - log(sum(exp(x)))``, accurate where the probability would round to 0.

    Raises `ShapeError` for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> log_softmax(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """
    return LogSoftmax(axis)(x)
