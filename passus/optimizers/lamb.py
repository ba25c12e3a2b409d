"""LAMB for large batches: the direction of Adam, with the step scaled by the norm of each parameter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from passus.backend import Array, backend_of
from passus.kernels.sums import length
from passus.optimizers.moments import Moments
from passus.optimizers.options import Options, Rate

__all__ = ["LAMB"]


class LAMB(Moments):
    """``p <- p - lr * |p| / |u| * u`` with ``u = mh / (sqrt(vh) + eps) + weight_decay * p`` (You et al., 2020).

    The norms are those of the whole parameter; their ratio is 1 if one of them is 0.

    >>> LAMB()
    LAMB(lr=0.001, betas=(0.9, 0.999), eps=1e-06, weight_decay=0.01), step 0
    """

    elementwise = False

    def __init__(
        self,
        lr: Rate = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> None:
        m, v, t = self.averaged(p, g, slots, o)
        u = self.scratch(p, 1)
        beta1, beta2 = o.betas
        root = math.sqrt(1 - beta2**o.step)
        np.sqrt(v, out=t)
        t += o.eps * root
        np.divide(m, t, out=u)
        u *= root / (1 - beta1**o.step)
        u += np.multiply(p, o.weight_decay, out=t)
        u *= o.lr * _ratio(length([p]), length([u]))
        p -= u


def _ratio(weight: Any, step: Any) -> Any:
    if isinstance(weight, float):
        return weight / step if weight and step else 1.0
    xp = backend_of(weight).xp
    return xp.where((weight > 0) & (step > 0), weight / xp.where(step > 0, step, 1), 1.0)
