"""The base of activations, and the registry of those that have a formula."""

from __future__ import annotations

from typing import Any, ClassVar

from passus.backend import Array
from passus.core import HALF, INTEGERS, Unary
from passus.kernels.activations import activation, activation_gradient
from passus.kernels.formulas import FORMULAS

__all__ = ["ACTIVATIONS", "Activation"]

ACTIVATIONS: dict[str, type[Activation]] = {}
"""The class of each formula in `passus.kernels.formulas`, by name; called without arguments, it has the default options."""


class Activation(Unary):
    """An activation by the formula of this name in `passus.kernels.formulas`, which large arrays meet in a kernel.

    ``options``: the numbers that the formula depends on.
    """

    upcast_dtypes = HALF + INTEGERS

    formula: ClassVar[str]
    options: tuple[float, ...] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "formula" in vars(cls):
            ACTIVATIONS[cls.formula] = cls

    @staticmethod
    def library(xp: Any) -> Any:
        """The array library with the functions that the formula calls."""
        return xp

    def formula_library(self) -> Any:
        """`library` for this call."""
        return self.xp

    def forward(self, x: Array) -> Array:
        return activation(x, self.formula, self.options, self.formula_library())

    def backward(self, gy: Any) -> Any:
        reads = FORMULAS[self.formula].reads
        x, y = self.x if "x" in reads else None, self.y if "y" in reads else None
        return activation_gradient(gy, x, y, self.formula, self.options, self.formula_library())
