"""The bases of activations that have a compiled kernel."""

from __future__ import annotations

from typing import Any, ClassVar

from passus.backend import Array
from passus.core import HALF, INTEGERS, Unary
from passus.kernels.activations import THRESHOLDS, compiled_activations
from passus.kernels.dispatch import Kernel

__all__ = ["Activation", "ActivationByResult"]


class Activation(Unary):
    """An activation with a formula and a rule; on large arrays a kernel of this name computes both in one pass each.

    ``kernel``: the name. ``option``: the number that formula and rule depend on, if there is one.
    """

    widened = HALF + INTEGERS

    kernel: ClassVar[str]
    option: float = 0.0

    def formula(self, x: Array) -> Array:
        """The result, in array code."""
        raise NotImplementedError

    def rule(self, gy: Any) -> Any:
        """The gradient, in functions that are themselves differentiable; reads ``self.x`` and ``self.y``."""
        raise NotImplementedError

    def forward(self, x: Array) -> Array:
        compiled = None if x.size < THRESHOLDS[0] else compiled_activations(x)
        return self.formula(x) if compiled is None else compiled.activation(x, self.kernel, self.option)

    def backward(self, gy: Any) -> Any:
        compiled = None if self.recording or gy.size < THRESHOLDS[0] else compiled_activations(self.x, gy)
        return self.rule(gy) if compiled is None else compiled.activation_gradient(gy, self.x, self.kernel, self.option)


class ActivationByResult(Activation):
    """One whose slope follows from its result y with less work than from x.

    ``gradient``: the kernel that computes it from gy and y; its reference is the rule.
    """

    gradient: ClassVar[Kernel[[Array, Array], Array]]

    def backward(self, gy: Any) -> Any:
        gradient = self.gradient.reference if gy.size < THRESHOLDS[0] else self.gradient
        return gradient(gy, self.y)
