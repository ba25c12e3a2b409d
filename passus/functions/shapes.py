"""Functions that move elements without changing them: reshape, transpose, broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from passus.backend import Array
from passus.core import Operand, Result, Unary
from passus.core.basic import AsType as AsType
from passus.core.basic import BroadcastTo as BroadcastTo
from passus.core.basic import astype as astype
from passus.core.basic import broadcast_to as broadcast_to

__all__ = ["AsType", "BroadcastTo", "Reshape", "astype", "broadcast_to", "reshape"]


class Reshape(Unary):
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        return x.reshape(self.shape)

    def backward(self, gy: Any) -> Any:
        return gy.reshape(self.inputs[0].shape)


def reshape(x: Operand, shape: int | Sequence[int]) -> Result:
    """Give the elements another shape, in the same order; one length may be -1 and is then computed.

    Raises `ShapeError` if the elements do not fill the shape.

    >>> import numpy as np
    >>> reshape(np.arange(6.0), (2, -1))
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """
    return Reshape((shape,) if isinstance(shape, int) else tuple(shape))(x)
