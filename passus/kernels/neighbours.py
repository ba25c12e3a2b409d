"""Neighbouring views of one array, such as queries, keys and values from one product, joined without a copy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from passus.backend import Array
from passus.backend.trace import operation

__all__ = ["concatenated", "joined", "joined_like"]


def joined(parts: Sequence[Any], axis: int) -> Array | None:
    """The view that consists of these arrays along an axis; None if they are not neighbouring views of one array.

    >>> x = np.arange(6).reshape(2, 3)
    >>> joined([x[:, :1], x[:, 1:]], 1)
    array([[0, 1, 2],
           [3, 4, 5]])
    >>> joined([x[:, 1:], x[:, :1]], 1) is None
    True
    """
    first, count = parts[0], 0
    base = first.base if type(first) is np.ndarray else None
    if type(base) is not np.ndarray or not base.flags.c_contiguous:
        return None
    start, shape = _address(first), list(first.shape)
    for part in parts:
        if type(part) is not np.ndarray or part.base is not base or part.dtype != first.dtype:
            return None
        shape[axis] = part.shape[axis]
        if part.strides != first.strides or list(part.shape) != shape:
            return None
        if _address(part) != start + count * first.strides[axis]:
            return None
        count += part.shape[axis]
    shape[axis] = count
    return np.ndarray(shape, first.dtype, base, start - _address(base), first.strides)


@operation
def concatenated(parts: Sequence[Any], axis: int, xp: Any = np) -> Any:
    """The arrays along an axis: one view of neighbouring views, otherwise a copy. ``xp``: their module; given Variables, the
    result is one.

    >>> x = np.arange(6).reshape(2, 3)
    >>> concatenated([x[:, :1], x[:, 1:]], 1).base is not None
    True
    """
    whole = joined(parts, axis)
    return xp.concatenate(parts, axis=axis) if whole is None else whole


def joined_like(parts: Sequence[Array], axis: int) -> list[Array] | None:
    """New arrays of these shapes, as neighbouring views of one array; None unless the given arrays are such views.

    >>> x = np.zeros((2, 3))
    >>> gradients = joined_like([x[:, :1], x[:, 1:]], 1)
    >>> [gx.shape for gx in gradients], joined(gradients, 1).shape
    ([(2, 1), (2, 2)], (2, 3))
    """
    whole = joined(parts, axis)
    if whole is None:
        return None
    order = sorted(range(whole.ndim), key=lambda a: -whole.strides[a])
    y = np.empty([whole.shape[a] for a in order], whole.dtype).transpose(np.argsort(order))
    before = (slice(None),) * (axis % whole.ndim)
    edges = pairwise(accumulate([part.shape[axis] for part in parts], initial=0))
    return [y[(*before, slice(start, stop))] for start, stop in edges]


def _address(x: Array) -> int:
    place: int = x.__array_interface__["data"][0]
    return place
