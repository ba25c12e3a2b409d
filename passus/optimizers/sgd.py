"""Gradient descent, with and without momentum."""

from __future__ import annotations

from typing import Any

from passus.kernels import updates
from passus.optimizers.base import Optimizer
from passus.optimizers.options import Options, Rate

__all__ = ["SGD", "Momentum", "MomentumSGD", "Nesterov"]


class SGD(Optimizer):
    """Gradient descent: ``p <- p - lr * g``.

    >>> SGD(lr=0.1)
    SGD(lr=0.1), step 0
    """

    rule = updates.sgd
    fused = True

    def __init__(self, lr: Rate = 0.01) -> None:
        super().__init__(lr)

    def rule_options(self, o: Options) -> tuple[Any, ...]:
        return (o.lr,)


class Momentum(Optimizer):
    """The base of rules with momentum, which have the slot ``v``: ``v <- momentum * v + g``."""

    slots = ("v",)
    fused = True

    def __init__(self, lr: Rate = 0.01, momentum: float = 0.9) -> None:
        super().__init__(lr, momentum=momentum)

    def rule_options(self, o: Options) -> tuple[Any, ...]:
        return o.lr, o.momentum


class MomentumSGD(Momentum):
    """Gradient descent with momentum: ``v <- momentum * v + g``, ``p <- p - lr * v`` (Polyak, 1964).

    As in PyTorch, ``lr`` is not part of ``v``, so that a change of it takes effect at once. (In DeZero it is part of
    ``v``; with a constant rate both are the same.)

    >>> MomentumSGD(momentum=0.8)
    MomentumSGD(lr=0.01, momentum=0.8), step 0
    """

    rule = updates.momentum_sgd


class Nesterov(Momentum):
    """Nesterov momentum: ``v <- momentum * v + g``, ``p <- p - lr * (g + momentum * v)``.

    The same as ``SGD(nesterov=True)`` in PyTorch (Sutskever et al., 2013).

    >>> Nesterov()
    Nesterov(lr=0.01, momentum=0.9), step 0
    """

    rule = updates.nesterov
