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

    widened = HALF + INTEGERS

    formula: ClassVar[str]
    _reads: ClassVar[str]
    options: tuple[float, ...] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "formula" in vars(cls):
            ACTIVATIONS[cls.formula] = cls
            cls._reads = FORMULAS[cls.formula].reads

    @property
    def library(self) -> Any:
        """The array library with all that the formula needs."""
        return self.xp

    def forward(self, x: Array) -> Array:
        return activation(x, self.formula, self.options, self.library)

    def backward(self, gy: Any) -> Any:
        x = self.x if self._reads != "y" else None
        y = self.y if self._reads != "x" else None
        return activation_gradient(gy, x, y, self.formula, self.options, self.library)
