"""The axis of the classes in scores and probabilities."""

from __future__ import annotations

from passus.arguments import checked_integer
from passus.backend import Array, truth
from passus.core import Operand
from passus.errors import ShapeError
from passus.functions.arrays.shapes import moveaxis
from passus.functions.checks import WITH_AXIS, array_of
from passus.notices import notice_once

__all__ = ["check_class_axis", "class_axis", "classes_second"]


def class_axis(name: str, x: Operand, axis: int | None) -> int:
    """The axis of the classes: ``axis``, or 1 if it is None. Raises `DTypeError` for anything but an integer.

    Warns once if ``axis`` is None and ``x`` is (N, C, C): labels (N, C) then fit logits (N, T, V) with T = V, too.

    >>> import numpy as np
    >>> class_axis("nll_loss", np.zeros((2, 3, 5)), None)
    1
    """
    if axis is not None:
        return checked_integer(name, "axis", axis)
    shape = array_of(name, x).shape
    if len(shape) == 3 and shape[1] == shape[2] > 1:
        notice_once(
            (name, "axis"),
            f"{name}: x {shape} is read as (N, C, length), with the classes on axis 1. For logits (N, T, V) pass axis=-1; "
            "pass axis=1 to keep this meaning without the warning",
        )
    return 1


def check_class_axis(name: str, argument: str, p: Array, axis: int) -> None:
    """Raise `ShapeError` if probabilities sum to 1 along another axis than that of the classes.

    >>> import numpy as np
    >>> check_class_axis("kl_divergence", "p", np.full((2, 4, 3), 0.25), 1)
    """
    if p.ndim < 3 or not p.size or _sums_to_one(p, axis):
        return
    for other in range(p.ndim - 1, 0, -1):
        if p.shape[other] > 1 and _sums_to_one(p, other):
            fix = f"pass axis={other}" if name in WITH_AXIS else f"write F.moveaxis({argument}, {other}, 1)"
            raise ShapeError(
                f"{name}: {argument} {p.shape} sums to 1 along axis {other}, but its classes are on axis {axis % p.ndim}; "
                f"for classes on axis {other} {fix}"
            )


def _sums_to_one(p: Array, axis: int) -> bool:
    return truth((abs(p.sum(axis=axis) - 1) < 1e-3).all(), True)


def classes_second(name: str, x: Operand, axis: int) -> Operand:
    """A view of ``x`` with the classes on axis 1. Raises `ShapeError` if ``axis`` does not exist or is axis 0.

    >>> import numpy as np
    >>> classes_second("nll_loss", np.zeros((2, 3, 5)), -1).shape
    (2, 5, 3)
    """
    ndim = array_of(name, x).ndim
    if axis == 1 or axis == 1 - ndim:
        return x  # The usual case. Whether axis 1 exists is checked with the labels.
    if not -ndim <= axis < ndim or not axis % ndim:
        raise ShapeError(
            f"{name}: axis {axis} of x {array_of(name, x).shape} holds no classes; axis 0 is that of examples"
        )
    return moveaxis(x, axis, 1)
