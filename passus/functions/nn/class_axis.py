"""The axis of the classes in the scores of a classifier."""

from __future__ import annotations

from passus.arguments import checked_integer
from passus.core import Operand
from passus.errors import ShapeError
from passus.functions.arrays.shapes import moveaxis
from passus.functions.checks import array_of

__all__ = ["classes_second"]


def classes_second(name: str, x: Operand, axis: int) -> Operand:
    """A view of ``x`` whose classes are on axis 1. Raises `ShapeError` if ``axis`` does not exist or is axis 0 of several.

    >>> import numpy as np
    >>> classes_second("nll_loss", np.zeros((2, 3, 5)), -1).shape
    (2, 5, 3)
    """
    ndim, axis = array_of(name, x).ndim, checked_integer(name, "axis", axis)
    if axis == 1 or axis == 1 - ndim:
        return x  # The usual case. That axis 1 is there is checked with the labels.
    if not -ndim <= axis < ndim or not axis % ndim:
        raise ShapeError(
            f"{name}: axis {axis} of x {array_of(name, x).shape} holds no classes; axis 0 is that of examples"
        )
    return moveaxis(x, axis, 1)
