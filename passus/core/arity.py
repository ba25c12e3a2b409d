"""Functions of one and of two operands, whose rules read inputs and output by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.core.data import SCALARS, array_of_number, checked, is_scalar
from passus.core.function import Function
from passus.core.variable import Variable

__all__ = ["Binary", "Unary"]


class Unary(Function):
    """A function of one array; its rule reads ``self.x`` and ``self.y``."""

    @property
    def x(self) -> Any:
        """The input: an array, or a Variable if the backward pass is recorded."""
        x = self.operands[0]
        return self.saved(x) if self.recording or self.custom or x.edited > self.serial else x._data

    @property
    def y(self) -> Any:
        """The output: an array, or a Variable if the backward pass is recorded."""
        y = self.outputs[0]()
        if y is None or self.recording or self.custom or y.edited > self.serial:
            return self.saved(self.output)
        return y._data


class Binary(Function):
    """An elementwise function of two operands, with broadcasting; a rule for each operand.

    ``grad0(gy)`` and ``grad1(gy)`` read ``self.x0``, ``self.x1`` and ``self.y``, and are called only if needed.
    """

    @property
    def x0(self) -> Any:
        """The first operand: an array, or a Variable if the backward pass is recorded."""
        return self.saved(self.operands[0])

    @property
    def x1(self) -> Any:
        """The second operand: an array, or a Variable if the backward pass is recorded."""
        return self.saved(self.operands[1])

    @property
    def y(self) -> Any:
        """The output: an array, or a Variable if the backward pass is recorded."""
        return self.saved(self.output)

    def grad0(self, gy: Any) -> Any:
        """The gradient for the first operand, of the shape of the output."""
        raise NotImplementedError

    def grad1(self, gy: Any) -> Any:
        """The gradient for the second operand, of the shape of the output."""
        raise NotImplementedError

    def backward(self, gy: Any) -> Any:
        x0, x1 = self.operands
        return (
            self.grad0(gy) if isinstance(x0, Variable) and x0.requires_grad else None,
            self.grad1(gy) if isinstance(x1, Variable) and x1.requires_grad else None,
        )

    def as_input(self, x: Any, inputs: tuple[Any, ...]) -> Any:
        """An array, or a Python number, which takes the dtype of the other operand in NumPy.

        Of two numbers at least one becomes an array: Python's arithmetic has other results (complex powers, ZeroDivisionError).
        """
        if type(x) is np.ndarray and x.dtype.kind in "fiub":
            return x
        if isinstance(x, (int, float, np.generic)):
            other = inputs[-1] if x is inputs[0] else inputs[0]
            if isinstance(other, (int, float, np.generic)) and (type(x) in SCALARS or type(other) not in SCALARS):
                return checked(np.asarray(x), self.public_name)
            return x.item() if isinstance(x, np.generic) else x
        if is_scalar(x):
            return array_of_number(x, inputs)
        return checked(x, self.public_name)
