"""The four operations that the backward pass itself needs: add, sum to a shape, broadcast to a shape, change the dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.arguments import checked_dtype, checked_integer
from passus.backend import Array
from passus.core.arity import Binary, Unary
from passus.core.variable import Operand, Result
from passus.errors import ShapeError
from passus.kernels.sums import total

__all__ = ["Add", "AsType", "BroadcastTo", "SumTo", "add", "astype", "broadcast_to", "sum_to"]


class Add(Binary):
    def forward(self, x0: Array, x1: Array) -> Array:
        return x0 + x1

    def grad0(self, gy: Any) -> Any:
        return gy

    def grad1(self, gy: Any) -> Any:
        return gy


def add(x0: Operand, x1: Operand) -> Result:
    """The sum of two operands, with broadcasting: ``x0 + x1``.

    >>> import numpy as np
    >>> add(np.array([1.0, 2.0]), 3.0)
    array([4., 5.])
    """
    return Add()(x0, x1)


class SumTo(Unary):
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        extra = x.ndim - len(self.shape)
        broadcast = tuple(i for i, n in enumerate(self.shape, extra) if n == 1 and x.shape[i] != 1)
        fits = extra >= 0 and all(n in (1, m) for n, m in zip(self.shape, x.shape[extra:]))
        if not fits:
            raise ShapeError(f"sum_to: {x.shape} is not what broadcasting {self.shape} can give")
        y = total(x, (*range(extra), *broadcast), True) if extra or broadcast else x
        return y.reshape(self.shape)

    def backward(self, gy: Any) -> Any:
        return broadcast_to(gy, self.operands[0].shape)


def sum_to(x: Operand, shape: tuple[int, ...]) -> Result:
    """Sum an array over the axes along which it was broadcast from ``shape``; the gradient of `broadcast_to`.

    Raises `ShapeError` if ``shape`` does not broadcast to the shape of ``x``.

    >>> import numpy as np
    >>> sum_to(np.ones((2, 3)), (1, 3))
    array([[2., 2., 2.]])
    """
    return SumTo(_as_shape("sum_to", shape))(x)


class BroadcastTo(Unary):
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        return self.xp.broadcast_to(x, self.shape)

    def backward(self, gy: Any) -> Any:
        return sum_to(gy, self.operands[0].shape)


def broadcast_to(x: Operand, shape: tuple[int, ...]) -> Result:
    """Broadcast an array to a shape by NumPy's rules; the result is a read-only view.

    Raises `ShapeError` if the shapes do not allow it.

    >>> import numpy as np
    >>> broadcast_to(np.array([1.0, 2.0]), (2, 2))
    array([[1., 2.],
           [1., 2.]])
    """
    return BroadcastTo(_as_shape("broadcast_to", shape))(x)


class AsType(Unary):
    public_name = "astype"

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype

    def forward(self, x: Array) -> Array:
        return x.astype(self.dtype)

    def backward(self, gy: Any) -> Any:
        return gy  # The engine gives every gradient the dtype of its input.


def astype(x: Operand, dtype: Any) -> Result:
    """Change the dtype of the elements; the gradient has the dtype of ``x``.

    Raises `DTypeError` for a dtype that holds no real numbers.

    >>> import numpy as np
    >>> astype(np.array([1.7]), np.float32).dtype
    dtype('float32')
    """
    return AsType(checked_dtype("astype", dtype))(x)


def _as_shape(name: str, shape: Any) -> tuple[int, ...]:
    return tuple(shape) if isinstance(shape, (tuple, list)) else (checked_integer(name, "shape", shape),)
