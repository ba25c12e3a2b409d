"""Edits of data between the forward and the backward pass.

Function calls and edits are numbered by one clock. A function is therefore younger than the creators of its inputs, and
data that are younger than a function were edited after its forward pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from passus.backend import Array
from passus.errors import GraphError, ShapeError

__all__ = ["Released", "clock", "last_access", "last_resized", "shape_only", "use_shapes_of_released"]

clock = itertools.count(1)
"""Time in steps: each recorded function call and each edit of ``data`` takes the next number."""

last_resized = [0]
"""The time at which the data of any Variable were last replaced by an array of another shape."""


last_access = [0]
"""The time at which the data of some Variable were assigned or marked as edited, or those of some parameter were read: whoever holds
the array may write into it."""


class Released(np.ndarray[Any, Any]):
    """A placeholder for released data: it has their shape and dtype, and raises if a rule computes with it."""

    def __array_ufunc__(self, *args: Any, **options: Any) -> NoReturn:
        raise GraphError("the data of this Variable were released (x.data = None), and the rule computes with them")

    __array_function__ = __array_ufunc__


def shape_only(data: Array) -> Released:
    """An array of the shape and dtype of the data, with the memory of one number."""
    return np.broadcast_to(np.zeros((), data.dtype), data.shape).view(Released)


def use_shapes_of_released(variables: Iterable[Any], serial: int, name: str, replaced: list[Any]) -> None:
    """Replace data that were released after the time ``serial`` by their shape, and add these Variables to ``replaced``.

    Raises `ShapeError` if data were replaced by an array of another shape; ``name``: that of the function that used them.
    """
    for x in variables:
        if x.resized <= serial:
            continue
        if x._data is None and x.released is not None:
            x._data = x.released
            replaced.append(x)
        if type(x._data) is not Released:
            raise ShapeError(
                f"{name}.backward: the data of {x._label()} were replaced by an array of another shape, "
                f"{'None' if x._data is None else x.shape}, after the forward pass that used them, so there is no gradient. "
                "Call backward() before, or run the forward pass again"
            )
