"""Adam and its variants: a moving average of gradients, divided by the root of a moving average of their squares.

``m`` and ``v`` are moving averages of ``g`` and ``g**2`` that start at 0. ``mh`` and ``vh`` are corrected for the
start: they are divided by ``1 - beta**step``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from passus.backend import Array
from passus.kernels import updates
from passus.optimizers.moments import Moments
from passus.optimizers.options import Options, Rate, checked_option

__all__ = ["AMSGrad", "Adam", "AdamW", "NAdam", "RAdam"]

Betas = tuple[float, float]

PRODUCTS = 64
"""Number of products that `NAdam` caches: parameters that are updated less often are at earlier steps."""


def _corrected(o: Options) -> tuple[float, float]:
    """The ``lr`` and ``eps`` for which ``lr * m / (sqrt(v) + eps)`` equals ``lr * mh / (sqrt(vh) + eps)``."""
    beta1, beta2 = o.betas
    root = math.sqrt(1 - beta2**o.step)
    return o.lr * root / (1 - beta1**o.step), o.eps * root


class Adam(Moments):
    """``p <- p - lr * mh / (sqrt(vh) + eps)`` (Kingma and Ba, 2015). Also takes DeZero's ``alpha, beta1, beta2``.

    >>> Adam(alpha=0.01, beta2=0.99)
    Adam(lr=0.01, betas=(0.9, 0.99), eps=1e-08), step 0
    """

    rule = updates.adam
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

    def rule_options(self, o: Options) -> tuple[Any, ...]:
        lr, eps = _corrected(o)
        return lr, o.betas, eps, 1.0


class AMSGrad(Moments):
    """`Adam` that divides by the largest ``v`` so far, so that no step size increases again (Reddi et al., 2018).

    >>> AMSGrad()
    AMSGrad(lr=0.001, betas=(0.9, 0.999), eps=1e-08), step 0
    """

    slots = ("m", "v", "v_max")
    rule = updates.amsgrad
    fused = True

    def __init__(self, lr: Rate = 0.001, betas: Betas = (0.9, 0.999), eps: float = 1e-8) -> None:
        super().__init__(lr, betas=betas, eps=eps)

    def rule_options(self, o: Options) -> tuple[Any, ...]:
        lr, eps = _corrected(o)
        return lr, o.betas, eps


class AdamW(Moments):
    """`Adam` with decoupled weight decay, ``p <- p - lr * weight_decay * p`` (Loshchilov and Hutter, 2019).

    >>> AdamW(weight_decay=0.1)
    AdamW(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.1), step 0
    """

    rule = updates.adam
    fused = True

    def __init__(
        self, lr: Rate = 0.001, betas: Betas = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01
    ) -> None:
        super().__init__(lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def rule_options(self, o: Options) -> tuple[Any, ...]:
        lr, eps = _corrected(o)
        return lr, o.betas, eps, 1 - o.lr * o.weight_decay


class RAdam(Moments):
    """`Adam` with a rectified step size: no division by ``sqrt(v)`` while its variance is large (Liu et al., 2020).

    >>> RAdam()
    RAdam(lr=0.001, betas=(0.9, 0.999), eps=1e-08), step 0
    """

    def __init__(self, lr: Rate = 0.001, betas: Betas = (0.9, 0.999), eps: float = 1e-8) -> None:
        super().__init__(lr, betas=betas, eps=eps)

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> None:
        m, v, t = self.averaged(p, g, slots, o)
        beta1, beta2 = o.betas
        rate = o.lr / (1 - beta1**o.step)
        rectification = _rectification(beta2, o.step)
        if rectification == 0.0:
            np.multiply(m, rate, out=t)
        else:
            np.sqrt(v, out=t)
            t += o.eps
            np.divide(m, t, out=t)
            t *= rate * rectification * math.sqrt(1 - beta2**o.step)
        p -= t


def _rectification(beta2: float, step: int) -> float:
    """The variance rectification term of the paper: 0 in the first steps, and 1 in the limit."""
    limit = 2 / (1 - beta2) - 1
    length = limit - 2 * step * beta2**step / (1 - beta2**step)  # Of the approximated simple moving average.
    if length <= 5:
        return 0.0
    return math.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))


class NAdam(Moments):
    """`Adam` with Nesterov momentum, which increases from ``beta1 / 2`` to ``beta1`` (Dozat, 2016).

    The defaults are those of PyTorch.

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
        rate_g, rate_m = self._rates(o)
        np.multiply(g, rate_g * root, out=u)
        u += np.multiply(m, rate_m * root, out=t)
        np.sqrt(v, out=t)
        t += o.eps * root
        u /= t
        p -= u

    def _rates(self, o: Options) -> tuple[float, float]:
        """The corrected rates of the gradient and of its moving average."""
        beta1, decay = o.betas[0], o.momentum_decay
        product = self._product(beta1, decay, o.step)
        momentum, next_momentum = _momentum(beta1, decay, o.step), _momentum(beta1, decay, o.step + 1)
        return o.lr * (1 - momentum) / (1 - product), o.lr * next_momentum / (1 - product * next_momentum)

    def _product(self, beta1: float, decay: float, step: int) -> float:
        """The product of all momenta up to a step. It is not saved, because it can be computed from the step."""
        cache, key = self._products, (beta1, decay, step)
        if key not in cache:
            previous = cache.get((beta1, decay, step - 1))
            product, start = (1.0, 1) if previous is None else (previous, step)
            for t in range(start, step + 1):
                product *= _momentum(beta1, decay, t)
            if len(cache) >= PRODUCTS:
                del cache[next(iter(cache))]  # The oldest entry.
            cache[key] = product
        return cache[key]


def _momentum(beta1: float, decay: float, step: int) -> float:
    momentum: float = beta1 * (1 - 0.5 * 0.96 ** (step * decay))
    return momentum
