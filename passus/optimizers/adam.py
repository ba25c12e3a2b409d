"""Adam and its kin: a mean of past gradients, divided by the root of the mean of their squares.

In all of them ``m`` and ``v`` are moving averages of ``g`` and ``g**2`` which begin at 0; dividing by ``1 - beta**step``
makes up for that (``mh``, ``vh`` in the formulas).
"""

from __future__ import annotations

import math

import numpy as np

from passus.backend import Array
from passus.kernels import updates
from passus.optimizers.moments import Moments
from passus.optimizers.options import Options, Rate, checked_option

__all__ = ["AMSGrad", "Adam", "AdamW", "NAdam", "RAdam"]

Betas = tuple[float, float]

PRODUCTS = 64
"""How many of its products `NAdam` remembers: parameters that were updated less often are at other steps."""


def _corrected(o: Options) -> tuple[float, float]:
    """``lr`` and ``eps`` with which ``lr * m / (sqrt(v) + eps)`` is ``lr * mh / (sqrt(vh) + eps)``."""
    beta1, beta2 = o.betas
    root = math.sqrt(1 - beta2**o.step)
    return o.lr * root / (1 - beta1**o.step), o.eps * root


class Adam(Moments):
    """``p <- p - lr * mh / (sqrt(vh) + eps)`` (Kingma and Ba, 2015). DeZero's ``alpha, beta1, beta2`` are understood, too.

    >>> Adam(alpha=0.01, beta2=0.99)
    Adam(lr=0.01, betas=(0.9, 0.99), eps=1e-08), step 0
    """

    fused = True

    def __init__(
        self,
        lr: Rate = 0.001,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        alpha: Rate | None = None,
        beta1: float | None = None,
        beta2: float | None = None,
    ) -> None:
        if beta1 is not None or beta2 is not None:
            first, second = checked_option("Adam", "betas", betas)
            betas = (first if beta1 is None else beta1, second if beta2 is None else beta2)
        super().__init__(lr if alpha is None else alpha, betas=betas, eps=eps)

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> None:
        lr, eps = _corrected(o)
        updates.adam(p, g, slots["m"], slots["v"], lr, o.betas, eps, 1.0, self.scratch)


class AMSGrad(Moments):
    """`Adam` that divides by the largest ``v`` so far, so that no rate grows again (Reddi et al., 2018).

    >>> AMSGrad()
    AMSGrad(lr=0.001, betas=(0.9, 0.999), eps=1e-08), step 0
    """

    slots = ("m", "v", "v_max")
    fused = True

    def __init__(self, lr: Rate = 0.001, betas: Betas = (0.9, 0.999), eps: float = 1e-8) -> None:
        super().__init__(lr, betas=betas, eps=eps)

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> None:
        lr, eps = _corrected(o)
        updates.amsgrad(p, g, slots["m"], slots["v"], slots["v_max"], lr, o.betas, eps, self.scratch)


class AdamW(Moments):
    """`Adam` with weight decay beside the gradient: ``p <- p - lr * weight_decay * p`` (Loshchilov and Hutter, 2019).

    >>> AdamW(weight_decay=0.1)
    AdamW(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.1), step 0
    """

    fused = True

    def __init__(
        self, lr: Rate = 0.001, betas: Betas = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01
    ) -> None:
        super().__init__(lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> None:
        lr, eps = _corrected(o)
        updates.adam(p, g, slots["m"], slots["v"], lr, o.betas, eps, 1 - o.lr * o.weight_decay, self.scratch)


class RAdam(Moments):
    """`Adam` without the division as long as ``v`` is uncertain, and with less of it later (Liu et al., 2020).

    >>> RAdam()
    RAdam(lr=0.001, betas=(0.9, 0.999), eps=1e-08), step 0
    """

    def __init__(self, lr: Rate = 0.001, betas: Betas = (0.9, 0.999), eps: float = 1e-8) -> None:
        super().__init__(lr, betas=betas, eps=eps)

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> None:
        m, v, t = self.averaged(p, g, slots, o)
        beta1, beta2 = o.betas
        rate = o.lr / (1 - beta1**o.step)
        certainty = _rectification(beta2, o.step)
        if certainty == 0.0:
            np.multiply(m, rate, out=t)
        else:
            np.sqrt(v, out=t)
            t += o.eps
            np.divide(m, t, out=t)
            t *= rate * certainty * math.sqrt(1 - beta2**o.step)
        p -= t


def _rectification(beta2: float, step: int) -> float:
    """How far the variance of ``1 / sqrt(vh)`` has settled: 0 in the first steps, 1 in the end."""
    last = 2 / (1 - beta2) - 1
    now = last - 2 * step * beta2**step / (1 - beta2**step)
    if now <= 5:
        return 0.0
    return math.sqrt((now - 4) * (now - 2) * last / ((last - 4) * (last - 2) * now))


class NAdam(Moments):
    """`Adam` with Nesterov's look ahead, its momentum rising from ``beta1 / 2`` to ``beta1`` (Dozat, 2016).

    The default values are PyTorch's.

    >>> NAdam()
    NAdam(lr=0.002, betas=(0.9, 0.999), eps=1e-08, momentum_decay=0.004), step 0
    """

    def __init__(
        self, lr: Rate = 0.002, betas: Betas = (0.9, 0.999), eps: float = 1e-8, momentum_decay: float = 0.004
    ) -> None:
        super().__init__(lr, betas=betas, eps=eps, momentum_decay=momentum_decay)
        self._products: dict[tuple[float, float, int], float] = {}

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> None:
        m, v, t = self.averaged(p, g, slots, o)
        u = self.scratch(p, 1)
        root = math.sqrt(1 - o.betas[1] ** o.step)
        here, ahead = self._rates(o)
        np.multiply(g, here * root, out=u)
        u += np.multiply(m, ahead * root, out=t)
        np.sqrt(v, out=t)
        t += o.eps * root
        u /= t
        p -= u

    def _rates(self, o: Options) -> tuple[float, float]:
        """The rates of this gradient and of the mean, both corrected."""
        beta1, decay = o.betas[0], o.momentum_decay
        product = self._product(beta1, decay, o.step)
        momentum, next_momentum = _momentum(beta1, decay, o.step), _momentum(beta1, decay, o.step + 1)
        return o.lr * (1 - momentum) / (1 - product), o.lr * next_momentum / (1 - product * next_momentum)

    def _product(self, beta1: float, decay: float, step: int) -> float:
        """The product of all momenta up to a step: no state, for it follows from the step."""
        known, key = self._products, (beta1, decay, step)
        if key not in known:
            before = known.get((beta1, decay, step - 1))
            product, start = (1.0, 1) if before is None else (before, step)
            for t in range(start, step + 1):
                product *= _momentum(beta1, decay, t)
            if len(known) >= PRODUCTS:
                del known[next(iter(known))]  # The one that was asked for first.
            known[key] = product
        return known[key]


def _momentum(beta1: float, decay: float, step: int) -> float:
    momentum: float = beta1 * (1 - 0.5 * 0.96 ** (step * decay))
    return momentum
