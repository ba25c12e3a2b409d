"""Lion: steps of the same size in each element, with the sign of the momentum."""

from __future__ import annotations

from typing import Any

from passus.kernels import updates
from passus.optimizers.base import Optimizer
from passus.optimizers.options import Options, Rate

__all__ = ["Lion"]


class Lion(Optimizer):
    """``p <- p - lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * p)`` (Chen et al., 2023).

    Then ``m <- beta2 * m + (1 - beta2) * g``. It needs half the memory of `Adam`, and a learning rate 3 to 10 times
    smaller.

    >>> Lion()
    Lion(lr=0.0001, betas=(0.9, 0.99), weight_decay=0.0), step 0
    """

    slots = ("m",)
    rule = updates.lion
    fused = True

    def __init__(self, lr: Rate = 1e-4, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0) -> None:
        super().__init__(lr, betas=betas, weight_decay=weight_decay)

    def rule_options(self, o: Options) -> tuple[Any, ...]:
        return o.lr, o.betas, 1 - o.lr * o.weight_decay
