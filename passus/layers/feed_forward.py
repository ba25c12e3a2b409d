"""Feed-forward blocks, which transformers apply to each position."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_number
from passus.core import Operand, Result
from passus.initializers import Initializer
from passus.layers.base import Layer
from passus.layers.linear import Linear
from passus.random import RNG, get_rng

__all__ = ["FeedForward", "SwiGLU"]


class FeedForward(Layer):
    """Two linear layers with ``d_hidden`` features and an activation between them: (..., D) to (..., D).

    ``activation``: a name, see `passus.functions.bias_activation`. ``nobias``: no biases. ``dropout_ratio``: for the
    hidden features. ``initializer``, ``out_initializer``: of the two matrices.

    Raises `ArgumentError` for an unknown activation, `ShapeError` for an input of another size.
    Source: Vaswani et al., 2017, "Attention is all you need".

    >>> FeedForward(4, 16, rng=0)(np.ones((2, 3, 4), np.float32)).shape
    (2, 3, 4)
    """

    def __init__(
        self,
        d_model: int,
        d_hidden: int,
        activation: str = "gelu",
        *,
        nobias: bool = False,
        dropout_ratio: float = 0.0,
        initializer: Initializer | None = None,
        out_initializer: Initializer | None = None,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
    ) -> None:
        d_model = checked_count("FeedForward", "d_model", d_model)
        d_hidden = checked_count("FeedForward", "d_hidden", d_hidden)
        self.dropout_ratio = checked_number("FeedForward", "dropout_ratio", dropout_ratio, 0.0, 1.0)
        rng = None if rng is None else get_rng(rng)
        self.hidden = Linear(d_hidden, nobias, dtype, d_model, initializer, rng, activation)
        self.out = Linear(d_model, nobias, dtype, d_hidden, out_initializer or initializer, rng)

    def forward(self, x: Operand) -> Result:
        hidden = self.hidden(x)
        return self.out(F.dropout(hidden, self.dropout_ratio) if self.dropout_ratio else hidden)


class SwiGLU(Layer):
    """A gated feed-forward block with ``d_hidden`` features, ``(silu(x @ W_gate) * (x @ W_up)) @ W_down``:
    (..., D) to (..., D).

    ``gate_up.W`` is the concatenation of W_gate and W_up. Options: see `FeedForward`.

    Raises `ShapeError` for an input of another size. Source: Shazeer, 2020, "GLU variants improve transformer".

    >>> SwiGLU(4, 16, rng=0)(np.ones((2, 3, 4), np.float32)).shape
    (2, 3, 4)
    """

    def __init__(
        self,
        d_model: int,
        d_hidden: int,
        *,
        nobias: bool = True,
        dropout_ratio: float = 0.0,
        initializer: Initializer | None = None,
        out_initializer: Initializer | None = None,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
    ) -> None:
        d_model, d_hidden = checked_count("SwiGLU", "d_model", d_model), checked_count("SwiGLU", "d_hidden", d_hidden)
        self.dropout_ratio = checked_number("SwiGLU", "dropout_ratio", dropout_ratio, 0.0, 1.0)
        rng = None if rng is None else get_rng(rng)
        self.gate_up = Linear(2 * d_hidden, nobias, dtype, d_model, initializer, rng)
        self.out = Linear(d_model, nobias, dtype, d_hidden, out_initializer or initializer, rng)

    def forward(self, x: Operand) -> Result:
        hidden = F.swiglu(self.gate_up(x))
        return self.out(F.dropout(hidden, self.dropout_ratio) if self.dropout_ratio else hidden)
