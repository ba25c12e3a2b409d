"""Functions that change the shape: reshape, transpose, and similar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from passus.backend import Array
from passus.core import Operand, Result, Unary
from passus.core.basic import AsType as AsType
from passus.core.basic import BroadcastTo as BroadcastTo
from passus.core.basic import astype as astype
from passus.core.basic import broadcast_to as broadcast_to
from passus.errors import ShapeError, named_in_errors

__all__ = [
    "AsType",
    "BroadcastTo",
    "ExpandDims",
    "Flatten",
    "Moveaxis",
    "Reshape",
    "Squeeze",
    "Swapaxes",
    "Transpose",
    "astype",
    "broadcast_to",
    "expand_dims",
    "flatten",
    "moveaxis",
    "ravel",
    "reshape",
    "squeeze",
    "swapaxes",
    "transpose",
]


class ReshapeBase(Unary):
    """The base of functions that preserve the order of the elements."""

    def backward(self, gy: Any) -> Any:
        return gy.reshape(self.operands[0].shape)


class Reshape(ReshapeBase):
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        return x.reshape(self.shape)


def reshape(x: Operand, shape: int | Sequence[int]) -> Result:
    """Reshape an array; one length may be -1 and is then computed.

    Raises `ShapeError` if the elements do not fill the shape.

    >>> import numpy as np
    >>> reshape(np.arange(6.0), (2, -1))
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """
    return Reshape(_as_tuple(shape))(x)


def _as_tuple(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value,)


@named_in_errors
def ravel(x: Operand) -> Result:
    """Flatten to one axis.

    >>> import numpy as np
    >>> ravel(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([1., 2., 3., 4.])
    """
    return Reshape((-1,))(x)


class Flatten(ReshapeBase):
    def forward(self, x: Array) -> Array:
        if not x.ndim:
            raise ShapeError("flatten: x () has no axes, so no batch; use F.ravel or F.reshape")
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))  # -1 is undefined for an empty batch.


def flatten(x: Operand) -> Result:
    """Flatten each example of a batch: (N, ...) to (N, D). `ravel` flattens all axes.

    Raises `ShapeError` for an array without axes.

    >>> import numpy as np
    >>> flatten(np.ones((2, 3, 4))).shape
    (2, 12)
    """
    return Flatten()(x)


class ExpandDims(ReshapeBase):
    def __init__(self, axis: int | tuple[int, ...]) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        return self.xp.expand_dims(x, self.axis)


def expand_dims(x: Operand, axis: int | tuple[int, ...]) -> Result:
    """Insert axes of length 1; ``axis`` counts the axes of the result.

    Raises `ShapeError` for an axis that the result does not have, or for a repeated axis.

    >>> import numpy as np
    >>> expand_dims(np.ones((2, 3)), -1).shape
    (2, 3, 1)
    """
    return ExpandDims(axis)(x)


class Squeeze(ReshapeBase):
    def __init__(self, axis: int | tuple[int, ...] | None) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        return self.xp.squeeze(x, axis=self.axis)


def squeeze(x: Operand, axis: int | tuple[int, ...] | None = None) -> Result:
    """Remove axes of length 1: the given axes, or all of them.

    Raises `ShapeError` for an axis that ``x`` does not have, or whose length is not 1.

    >>> import numpy as np
    >>> squeeze(np.ones((1, 3, 1)), -1).shape
    (1, 3)
    """
    return Squeeze(axis)(x)


class Transpose(Unary):
    def __init__(self, axes: tuple[int, ...] | None = None) -> None:
        self.axes = axes

    def forward(self, x: Array) -> Array:
        return x.transpose(self.axes)

    def backward(self, gy: Any) -> Any:
        if self.axes is None:
            return gy.transpose()
        order = [axis % gy.ndim for axis in self.axes]
        return gy.transpose(tuple([order.index(axis) for axis in range(gy.ndim)]))


def transpose(x: Operand, axes: Sequence[int] | None = None) -> Result:
    """Permute the axes; without ``axes``, reverse them.

    Raises `ShapeError` unless ``axes`` contains each axis once.

    >>> import numpy as np
    >>> transpose(np.ones((2, 3, 4)), (0, -1, 1)).shape
    (2, 4, 3)
    """
    return Transpose(axes if axes is None else _as_tuple(axes))(x)


class Swapaxes(Unary):
    def __init__(self, axis1: int, axis2: int) -> None:
        self.axis1, self.axis2 = axis1, axis2

    def forward(self, x: Array) -> Array:
        return self.xp.swapaxes(x, self.axis1, self.axis2)

    def backward(self, gy: Any) -> Any:
        return self.xp.swapaxes(gy, self.axis1, self.axis2)


def swapaxes(x: Operand, axis1: int, axis2: int) -> Result:
    """Swap two axes.

    Raises `ShapeError` for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> swapaxes(np.ones((2, 3, 4)), -1, 0).shape
    (4, 3, 2)
    """
    return Swapaxes(axis1, axis2)(x)


class Moveaxis(Unary):
    def __init__(self, source: int | Sequence[int], destination: int | Sequence[int]) -> None:
        self.source, self.destination = source, destination

    def forward(self, x: Array) -> Array:
        return self.xp.moveaxis(x, self.source, self.destination)

    def backward(self, gy: Any) -> Any:
        return self.xp.moveaxis(gy, self.destination, self.source)


def moveaxis(x: Operand, source: int | Sequence[int], destination: int | Sequence[int]) -> Result:
    """Move axes to other positions; the other axes keep their order.

    Raises `ShapeError` for an axis that ``x`` does not have, or for a repeated axis.

    >>> import numpy as np
    >>> moveaxis(np.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    return Moveaxis(source, destination)(x)
