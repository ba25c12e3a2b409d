"""The base of activations, and the registry of those that have a formula."""

from __future__ import annotations

from typing import Any, ClassVar

from passus.backend import Array
from passus.core import HALF, INTEGERS, Unary
from passus.kernels.activations import THRESHOLDS, activation, activation_gradient
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
    library: Any = None
    """The array library for the formula, if it needs more than ``xp`` has."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "formula" in vars(cls):
            ACTIVATIONS[cls.formula] = cls

    # Small arrays go to the formula at once: with the dispatcher between, a call takes a fifth longer.

    def forward(self, x: Array) -> Array:
        if x.size < THRESHOLDS[0]:
            y: Array = FORMULAS[self.formula].value(self.library or self.xp, x, *self.options)
            return y
        return activation(x, self.formula, self.options, self.library or self.xp)

    def backward(self, gy: Any) -> Any:
        formula, xp = FORMULAS[self.formula], self.library or self.xp
        x, y = self.x if formula.reads != "y" else None, self.y if formula.reads != "x" else None
        if gy.size < THRESHOLDS[0]:
            return formula.gradient(xp, gy, x, y, *self.options)
        return activation_gradient(gy, x, y, self.formula, self.options, xp)
