"""Joining and splitting: concatenate, stack, split."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from passus.backend import Array
from passus.core import Function, Operand, Result
from passus.errors import ArgumentError, DTypeError, kind_of
from passus.functions.arrays.indexing import GetItemGrad
from passus.functions.arrays.shapes import ravel
from passus.functions.checks import integers_of

__all__ = ["Concatenate", "Split", "Stack", "concatenate", "split", "stack"]


class Concatenate(Function):
    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, *xs: Array) -> Array:
        return self.xp.concatenate(xs, axis=self.axis)

    def backward(self, gy: Any) -> Any:
        before = (slice(None),) * (self.axis % gy.ndim)
        ends = np.cumsum([x.shape[self.axis] for x in self.operands]).tolist()
        spans = zip([0, *ends], ends, self.needs)
        return tuple([gy[(*before, slice(start, end))] if needed else None for start, end, needed in spans])


def concatenate(xs: Sequence[Operand], axis: int | None = 0) -> Result:
    """Join arrays along an existing axis; their other axes must be equal. Without an axis, the arrays are flattened.

    Raises `ShapeError` for arrays of other shapes, an axis that they do not have, or no arrays.

    >>> import numpy as np
    >>> concatenate([np.ones((1, 2)), np.zeros((1, 2))], axis=-1)
    array([[1., 1., 0., 0.]])
    """
    _check_several("concatenate", xs, axis)
    if axis is None:
        return concatenate([ravel(x) for x in xs])
    return Concatenate(axis)(*xs)


class Stack(Function):
    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, *xs: Array) -> Array:
        return self.xp.stack(xs, axis=self.axis)

    def backward(self, gy: Any) -> Any:
        before = (slice(None),) * (self.axis % gy.ndim)
        return tuple([gy[(*before, i)] if needed else None for i, needed in enumerate(self.needs)])


def stack(xs: Sequence[Operand], axis: int = 0) -> Result:
    """Join arrays of the same shape along a new axis of the result.

    Raises `ShapeError` if the shapes differ, for an axis that the result does not have, or no arrays.

    >>> import numpy as np
    >>> stack([np.ones(3), np.zeros(3)], axis=-1).shape
    (3, 2)
    """
    _check_several("stack", xs, axis)
    return Stack(axis)(*xs)


class Split(Function):
    def __init__(self, sections: int | Sequence[int], axis: int) -> None:
        self.sections, self.axis = sections, axis

    def forward(self, x: Array) -> tuple[Array, ...]:
        normalize_axis_index(self.axis, x.ndim)  # Its message names the axis; that of split does not.
        return tuple(self.xp.split(x, self.sections, axis=self.axis))

    def backward(self, *gys: Any) -> Any:
        shape = self.inputs[0].shape
        axis = self.axis % len(shape)
        spans = self._spans(shape[axis])
        if all(before.stop == span.start for before, span in pairwise(spans)) and spans[-1].stop == shape[axis]:
            return self.xp.concatenate(gys, axis=axis)
        # Indices that do not increase, or are negative: sections overlap, or skip elements.
        total: Any = 0
        for span, gy in zip(spans, gys):
            total = total + GetItemGrad((*(slice(None),) * axis, span), shape)(gy)
        return total

    def _spans(self, n: int) -> list[slice]:
        """The slice of each section."""
        if isinstance(self.sections, int):
            return [slice(i * n // self.sections, (i + 1) * n // self.sections) for i in range(self.sections)]
        bounds = [0, *self.sections, n]
        ranges = [range(n)[start:stop] for start, stop in pairwise(bounds)]
        return [slice(r.start, max(r.start, r.stop)) for r in ranges]


def split(x: Operand, sections: int | Sequence[int], axis: int = 0) -> tuple[Result, ...]:
    """Split an array along an axis: into equal sections, or before each of several indices.

    Raises `ShapeError` if the length is no multiple of the sections, or for an axis that ``x`` does not have;
    `ArgumentError` for fewer than one section, `DTypeError` for other types than integers.

    >>> import numpy as np
    >>> split(np.array([1.0, 2.0, 3.0]), [1])
    (array([1.]), array([2., 3.]))
    """
    given = integers_of("split", "sections", sections)
    if not given.ndim and given < 1:
        raise ArgumentError(f"split: {sections} sections; there must be at least 1")
    return tuple(Split(given.tolist(), axis)(x))


def _check_several(name: str, xs: Any, axis: Any) -> None:
    if axis is not None and hasattr(axis, "shape") and axis.shape:
        raise DTypeError(f"{name}: the arrays are given as one list: {name}([a, b])")
    if not np.iterable(xs):
        raise DTypeError(f"{name}: {kind_of(xs)} is not a list of arrays; write {name}([a, b])")
