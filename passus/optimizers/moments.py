"""The base of optimizers with moving averages of gradients and of their squares."""

from __future__ import annotations

from typing import ClassVar

from passus.backend import Array
from passus.kernels.updates import average, average_square
from passus.optimizers.base import Optimizer
from passus.optimizers.options import Options, Rate

__all__ = ["Moments"]


class Moments(Optimizer):
    """The base of Adam and its variants: the slots ``m`` and ``v`` are moving averages of ``g`` and ``g**2``."""

    slots: ClassVar[tuple[str, ...]] = ("m", "v")

    # DeZero's names.

    @property
    def alpha(self) -> float:
        """The learning rate, ``lr``."""
        return self.lr

    @alpha.setter
    def alpha(self, alpha: Rate) -> None:
        self.lr = alpha

    @property
    def beta1(self) -> float:
        """The first of ``betas``."""
        return float(self.options["betas"][0])

    @beta1.setter
    def beta1(self, beta1: float) -> None:
        self.betas = (beta1, self.beta2)

    @property
    def beta2(self) -> float:
        """The second of ``betas``."""
        return float(self.options["betas"][1])

    @beta2.setter
    def beta2(self, beta2: float) -> None:
        self.betas = (self.beta1, beta2)

    @property
    def t(self) -> int:
        """Number of updates so far, ``step``."""
        return self.step

    def averaged(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> tuple[Array, Array, Array]:
        """Update ``m`` and ``v``, and return them with a scratch array that may be overwritten."""
        m, v, t = slots["m"], slots["v"], self.scratch(p)
        average(m, g, o.betas[0], t)
        average_square(v, g, o.betas[1], t)
        return m, v, t
