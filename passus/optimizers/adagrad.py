"""Adaptive step sizes: each element is divided by the root of its past squared gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array
from passus.kernels import updates
from passus.optimizers.base import Optimizer
from passus.optimizers.options import Options, Rate

__all__ = ["AdaDelta", "AdaGrad", "RMSprop"]


class AdaGrad(Optimizer):
    """``h <- h + g**2``, ``p <- p - lr * g / (sqrt(h) + eps)``: all squared gradients count (Duchi et al., 2011).

    The defaults are those of DeZero; PyTorch has ``lr=0.01, eps=1e-10``.

    >>> AdaGrad()
    AdaGrad(lr=0.001, eps=1e-08), step 0
    """

    slots = ("h",)
    rule = updates.adagrad
    fused = True

    def __init__(self, lr: Rate = 0.001, eps: float = 1e-8) -> None:
        super().__init__(lr, eps=eps)

    def rule_options(self, o: Options) -> tuple[Any, ...]:
        return o.lr, o.eps


class RMSprop(Optimizer):
    """`AdaGrad` with a moving average: ``h <- rho * h + (1 - rho) * g**2``, ``p <- p - lr * g / (sqrt(h) + eps)``.

    The defaults are those of PyTorch, where ``rho`` is called alpha (Tieleman and Hinton, 2012).

    >>> RMSprop(rho=0.9)
    RMSprop(lr=0.01, rho=0.9, eps=1e-08), step 0
    """

    slots = ("h",)
    rule = updates.rmsprop
    fused = True

    def __init__(self, lr: Rate = 0.01, rho: float = 0.99, eps: float = 1e-8) -> None:
        super().__init__(lr, rho=rho, eps=eps)

    def rule_options(self, o: Options) -> tuple[Any, ...]:
        return o.lr, o.rho, o.eps


class AdaDelta(Optimizer):
    """Scale steps to past steps: ``d = g * sqrt(u + eps) / sqrt(h + eps)``, ``p <- p - lr * d`` (Zeiler, 2012).

    ``h`` and ``u`` are moving averages of ``g**2`` and ``d**2``. The defaults are those of DeZero and the paper;
    PyTorch has ``rho=0.9``.

    >>> AdaDelta()
    AdaDelta(lr=1.0, rho=0.95, eps=1e-06), step 0
    """

    slots = ("h", "u")

    def __init__(self, rho: float = 0.95, eps: float = 1e-6, lr: Rate = 1.0) -> None:
        super().__init__(lr, rho=rho, eps=eps)

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> None:
        h, u, d, t = slots["h"], slots["u"], self.scratch(p), self.scratch(p, 1)
        updates.average_square(h, g, o.rho, t)
        np.add(u, o.eps, out=d)
        np.add(h, o.eps, out=t)
        d /= t
        np.sqrt(d, out=d)
        d *= g
        updates.average_square(u, d, o.rho, t)
        d *= o.lr
        p -= d
