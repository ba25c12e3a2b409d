"""Hooks of an optimizer: weight decay, gradient clipping, freezing.

``optimizer.add_hook(hook)`` adds one; they are called in the order in which they were added.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from passus.arguments import checked_number
from passus.backend import Array, backend_of, writable
from passus.constructors import CheckedOptions
from passus.core import Parameter
from passus.display import ShowsOptions
from passus.errors import ArgumentError
from passus.kernels.blocks import Scratch, blocks
from passus.kernels.sums import at_least_float32, length
from passus.optimizers.parameters import Target, check_target

__all__ = ["ClipGrad", "ClipValue", "FreezeParam", "Hook", "WeightDecay"]


class Hook(ShowsOptions, CheckedOptions):
    """A callback at each update, called with the parameters that have a gradient.

    Any function of a list of parameters is a hook as well: it is called before the update.
    """

    def __call__(self, params: list[Parameter]) -> None:
        """Called before the update: may change gradients, or clear them so that a parameter is not updated."""

    def updated(self, params: list[Parameter]) -> None:
        """Called after the update."""


def editable_gradients(params: list[Parameter]) -> list[tuple[Parameter, Array]]:
    """The parameters with a gradient, and the arrays of their gradients, which may be edited.

    A gradient with a graph, or one that is read-only, a view, or shared by two parameters, is replaced by a copy. An array of
    JAX is replaced when it is written to.
    """
    seen: set[int] = set()
    pairs: list[tuple[Parameter, Array]] = []
    for p in params:
        if p.grad is None:
            continue
        g = p.grad.data
        if not isinstance(g, np.ndarray):
            pairs.append((p, writable(g, partial(setattr, p, "grad"))))
            continue
        if p.grad.requires_grad or g.base is not None or not g.flags.writeable or id(g) in seen:
            g = g.copy()
            p.grad = g
        seen.add(id(g))
        pairs.append((p, g))
    return pairs


class WeightDecay(Hook):
    """L2 penalty: ``g <- g + rate * p``, the gradient of ``rate / 2 * sum(p**2)``.

    With adaptive optimizers, `AdamW` is preferable. Raises `ArgumentError` unless ``0 <= rate``.

    >>> from passus.optimizers import SGD
    >>> SGD().add_hook(WeightDecay(1e-4))
    """

    def __init__(self, rate: float) -> None:
        self.rate = checked_number("WeightDecay", "rate", rate)
        self._scratch = Scratch()

    def __call__(self, params: list[Parameter]) -> None:
        for p, g in editable_gradients(params):
            for weights, gradient in blocks(p.data, g):
                weights = at_least_float32(weights)
                gradient += np.multiply(weights, self.rate, out=self._scratch(weights))


class ClipGrad(Hook):
    """Scale all gradients so that their global norm is at most ``max_norm`` (Pascanu et al., 2013).

    ``norm`` is the global norm at the last update, before scaling. If it is NaN or infinite, all gradients become NaN
    or 0; with ``error_if_nonfinite`` it raises `ArgumentError` instead, and nothing is updated.

    >>> ClipGrad(1.0).max_norm
    1.0
    """

    def __init__(self, max_norm: float, error_if_nonfinite: bool = False) -> None:
        self.max_norm = checked_number("ClipGrad", "max_norm", max_norm, open_low=True)
        self.error_if_nonfinite = error_if_nonfinite
        self._norm: Any = 0.0

    @property
    def norm(self) -> float:
        """The global norm at the last update, before scaling."""
        return float(self._norm)

    def __call__(self, params: list[Parameter]) -> None:
        pairs = editable_gradients(params)
        self._norm = length([g for _, g in pairs])
        if not self.error_if_nonfinite and not isinstance(self._norm, float):
            self._clip_on_device(pairs)
            return
        if self.error_if_nonfinite and not math.isfinite(self.norm):
            raise ArgumentError(
                f"ClipGrad: the norm of all gradients is {self.norm}. Lower the learning rate, or look for a division "
                "by "
                "0 or a logarithm of 0 in the loss"
            )
        if not self.norm <= self.max_norm:  # Also if the norm is NaN.
            rate = self.max_norm / (self.norm + 1e-6)
            for _, g in pairs:
                np.multiply(g, np.float32(rate) if g.dtype == np.float16 else rate, out=g, casting="same_kind")

    def _clip_on_device(self, pairs: list[tuple[Parameter, Array]]) -> None:
        """Clip without reading the norm, for which Python would wait."""
        is_small = self._norm <= self.max_norm
        for _, g in pairs:
            g *= backend_of(self._norm).xp.where(is_small, 1.0, self.max_norm / (self._norm + 1e-6))


class ClipValue(Hook):
    """Clip each element of the gradients to ``-max_value`` to ``max_value``; NaN stays NaN.

    >>> ClipValue(0.5).max_value
    0.5
    """

    def __init__(self, max_value: float) -> None:
        self.max_value = checked_number("ClipValue", "max_value", max_value, open_low=True)

    def __call__(self, params: list[Parameter]) -> None:
        for _, g in editable_gradients(params):
            limit = min(self.max_value, float(np.finfo(g.dtype).max))  # A larger limit is infinite in float16.
            np.clip(g, -limit, limit, out=g)


class FreezeParam(Hook):
    """Exclude the parameters of some layers, or single parameters, from the update.

    Their gradients are cleared before the update, so that later hooks do not see them.

    >>> import numpy as np
    >>> from passus import Parameter
    >>> W = Parameter(np.ones(2))
    >>> hook = FreezeParam(W)
    """

    def __init__(self, *layers: Target | Parameter) -> None:
        for layer in layers:
            if not isinstance(layer, Parameter):
                check_target("FreezeParam", layer)
        self.layers = layers

    def __call__(self, params: list[Parameter]) -> None:
        for layer in self.layers:
            for p in [layer] if isinstance(layer, Parameter) else [p for _, p in layer.named_params()]:
                p.cleargrad()
