"""Selection by a condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array
from passus.core import Function, Operand, Result
from passus.errors import DTypeError
from passus.kernels.elementwise import masked

__all__ = ["Where", "where"]


class Where(Function):
    def forward(self, condition: Array, x0: Array, x1: Array) -> Array:
        return self.xp.where(condition, x0, x1)

    def backward(self, gy: Any) -> Any:
        condition = self.saved(self.operands[0])
        _, needs0, needs1 = self.needs
        return (
            None,
            masked(gy, condition) if needs0 else None,
            masked(gy, self.xp.logical_not(condition)) if needs1 else None,
        )


def where(condition: Operand, x0: Operand, x1: Operand) -> Result:
    """The elements of ``x0`` where the condition is True, and those of ``x1`` elsewhere, with broadcasting.

    Raises `DTypeError` if the condition is not boolean.

    >>> import numpy as np
    >>> where(np.array([True, False]), np.array([1.0, 2.0]), 0.0)
    array([1., 0.])
    """
    if getattr(condition, "dtype", np.dtype(type(condition))).kind != "b":
        raise DTypeError("where: the condition must be boolean; write a comparison, such as x > 0")
    return Where()(condition, x0, x1)
