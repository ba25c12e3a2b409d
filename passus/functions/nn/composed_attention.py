"""Attention composed of differentiable functions, for derivatives of second and higher order."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array, backend_of
from passus.core import Function
from passus.core.basic import sum_to
from passus.functions.arrays.products import matmul
from passus.functions.arrays.selection import where
from passus.functions.checks import array_of
from passus.functions.nn.softmax import softmax
from passus.kernels.attention import Settings, chosen_product, keep_mask, seen
from passus.kernels.products import batched

__all__ = ["attention_weights", "composed_attention"]


class WeightedSum(Function):
    """``weights @ x``, in which elements with weight 0 count as 0, even if they are infinite or NaN."""

    public_name = "scaled_dot_product_attention"

    def forward(self, weights: Array, x: Array) -> Array:
        return chosen_product(weights, x)

    def backward(self, gy: Any) -> Any:
        weights, x = (self.saved(v) for v in self.operands)
        gweights = matmul(gy, x.swapaxes(-1, -2)) if self.needs[0] else None
        gx = WeightedSum()(weights.swapaxes(-1, -2), gy) if self.needs[1] else None
        return (
            None if gweights is None else sum_to(gweights, weights.shape),
            None if gx is None else sum_to(gx, x.shape),
        )


class Scores(Function):
    """``q @ k.T``. A score with gradient 0 adds nothing to the gradients of q and k, even if these are infinite or
    NaN.
    """

    public_name = "scaled_dot_product_attention"

    def forward(self, q: Array, k: Array) -> Array:
        return batched(q, k.swapaxes(-1, -2))

    def backward(self, gy: Any) -> Any:
        q, k = (self.saved(v) for v in self.operands)
        gq = WeightedSum()(gy, k) if self.needs[0] else None
        gk = WeightedSum()(gy.swapaxes(-1, -2), q) if self.needs[1] else None
        return None if gq is None else sum_to(gq, q.shape), None if gk is None else sum_to(gk, k.shape)


def attention_weights(settings: Settings, mask: Any, q: Any, k: Any) -> Any:
    """The attention weights (..., T_q, T_k) before dropout. They sum to 1 over the keys, or are 0 if all keys are
    masked.
    """
    scores = Scores()(q * settings.scale, k)
    of_mask = None if mask is None else array_of("attention", mask)
    if of_mask is not None and of_mask.dtype != bool:
        scores = scores + mask
    array = array_of("attention", scores)
    visible = seen(array, of_mask, settings.is_causal, 0, array.shape[-2])
    # Rows without visible keys get finite scores; their weights are not used.
    xp = backend_of(visible).xp
    fill = xp.where(visible.any(axis=-1, keepdims=True), -np.inf, 0.0).astype(array.dtype)
    weights = softmax(where(visible, scores, fill), axis=-1)
    return where(visible & (array_of("attention", weights) != 0), weights, np.zeros((), array.dtype))


def composed_attention(settings: Settings, mask: Any, q: Any, k: Any, v: Any) -> Any:
    """Attention with all weights in memory. The arguments are those of `kernels.attention`."""
    weights = attention_weights(settings, mask, q, k)
    if settings.dropping is not None:
        weights = where(keep_mask(settings.dropping), weights, np.zeros((), weights.dtype)) * settings.dropping.scale
    return WeightedSum()(weights, v)
