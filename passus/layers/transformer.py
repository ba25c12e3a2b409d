"""Transformer layers: attention and feed-forward blocks with residual connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_flag, checked_number
from passus.backend import Array
from passus.core import Operand, Result
from passus.errors import ArgumentError
from passus.initializers import Initializer
from passus.layers.attention import MultiHeadAttention
from passus.layers.base import Layer
from passus.layers.cache import KeyValueCache
from passus.layers.feed_forward import FeedForward, SwiGLU
from passus.layers.normalization import LayerNorm, RMSNorm
from passus.random import RNG, get_rng

__all__ = ["DecoderCache", "TransformerDecoderLayer", "TransformerEncoderLayer", "make_norm"]

NORMS: dict[str, Callable[..., Layer]] = {"layer": LayerNorm, "rms": RMSNorm}
"""The normalization layers by name."""


class DecoderCache(NamedTuple):
    """The caches of a `TransformerDecoderLayer`."""

    own: KeyValueCache
    """Keys and values of the decoded sequence."""
    context: KeyValueCache
    """Keys and values of the context, computed once."""


class ResidualLayer(Layer):
    """The base of layers with sub-layers around a residual stream, and normalization before or after each.

    The options are those of `TransformerEncoderLayer`.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_hidden: int | None = None,
        *,
        activation: str = "gelu",
        dropout_ratio: float = 0.0,
        pre_norm: bool = True,
        norm: str = "layer",
        eps: float = 1e-5,
        nobias: bool = False,
        qkv_bias: bool | None = None,
        n_kv_heads: int | None = None,
        d_head: int | None = None,
        rotary: float | None = None,
        rotary_scaling: F.RotaryScaling | None = None,
        initializer: Initializer | None = None,
        out_initializer: Initializer | None = None,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
    ) -> None:
        name = type(self).__name__
        self.dropout_ratio = checked_number(name, "dropout_ratio", dropout_ratio, 0.0, 1.0)
        self.pre_norm = checked_flag(name, "pre_norm", pre_norm)
        rng = None if rng is None else get_rng(rng)
        d_model = checked_count(name, "d_model", d_model)
        d_hidden = 4 * d_model if d_hidden is None else d_hidden
        options: dict[str, Any] = {"nobias": nobias, "dropout_ratio": dropout_ratio, "dtype": dtype, "rng": rng}
        options |= {"initializer": initializer, "out_initializer": out_initializer}
        heads: dict[str, Any] = {"n_kv_heads": n_kv_heads, "d_head": d_head, "qkv_bias": qkv_bias, "in_size": d_model}
        heads |= options
        self.attention = MultiHeadAttention(d_model, n_heads, rotary=rotary, rotary_scaling=rotary_scaling, **heads)
        self.norm1 = make_norm(name, norm, d_model, eps, dtype)
        self._add_attention(d_model, n_heads, heads, lambda: make_norm(name, norm, d_model, eps, dtype))
        if activation == "swiglu":
            self.feed_forward: Layer = SwiGLU(d_model, d_hidden, **options)
        else:
            self.feed_forward = FeedForward(d_model, d_hidden, activation, **options)
        self.norm2 = make_norm(name, norm, d_model, eps, dtype)

    def _add_attention(self, d_model: int, n_heads: int, options: dict[str, Any], norm: Callable[[], Layer]) -> None:
        """Overridden by the decoder, which adds cross-attention."""

    def _residual(self, sublayer: Callable[[Any], Any], norm: Layer, x: Any) -> Any:
        """``x + sublayer(norm(x))``, or ``norm(x + sublayer(x))`` without ``pre_norm``."""
        y = sublayer(norm(x) if self.pre_norm else x)
        y = F.add(x, F.dropout(y, self.dropout_ratio) if self.dropout_ratio else y)
        return y if self.pre_norm else norm(y)


class TransformerEncoderLayer(ResidualLayer):
    """Self-attention and a feed-forward block, each added to its input: (N, T, ``d_model``) to the same shape.

    ``d_hidden``: the number of features inside the feed-forward block, ``4 * d_model`` by default. ``activation``: its
    activation, see `passus.functions.bias_activation`; "swiglu" selects a `SwiGLU` block. ``dropout_ratio``: for
    attention weights, the features inside the block, and the result of each block. ``pre_norm``: normalize the input of
    each block; False: normalize the sum, as in the original. ``norm``: "layer" or "rms", with ``eps``. ``nobias``:
    linear layers without b. ``qkv_bias``, ``n_kv_heads``, ``d_head``, ``rotary``, ``rotary_scaling``, ``initializer``,
    ``out_initializer``: see `MultiHeadAttention`.

    A call takes ``mask``, ``key_mask``, ``is_causal``, ``positions`` and ``cache`` of `MultiHeadAttention`. With
    ``is_causal=True`` it is a layer of a decoder without context, such as GPT.

    Raises `ArgumentError` for unknown names and options out of range, `ShapeError` for an input of another size.
    Source: Vaswani et al., 2017, "Attention is all you need"; pre-norm: Xiong et al., 2020, "On layer normalization in
    the transformer architecture".

    >>> TransformerEncoderLayer(8, 2, rng=0)(np.ones((1, 3, 8), np.float32)).shape
    (1, 3, 8)
    """

    def forward(
        self,
        x: Operand,
        *,
        mask: Operand | None = None,
        key_mask: Operand | None = None,
        is_causal: bool = False,
        positions: int | Array | None = None,
        cache: KeyValueCache | None = None,
    ) -> Result:
        def attend(h: Any) -> Any:
            return self.attention(
                h, mask=mask, key_mask=key_mask, is_causal=is_causal, positions=positions, cache=cache
            )

        x = self._residual(attend, self.norm1, x)
        return self._residual(self.feed_forward, self.norm2, x)


class TransformerDecoderLayer(ResidualLayer):
    """Causal self-attention, attention to a context, and a feed-forward block, each added to its input:
    (N, T, ``d_model``) and a context (N, S, J) give (N, T, ``d_model``).

    The options are those of `TransformerEncoderLayer`. Rotary positions apply to the sequence, not to the context.
    ``norm3`` belongs to ``cross_attention``, the attention to the context. J is inferred on the first call.

    A call also takes ``mask`` and ``key_mask`` of the sequence; ``context_mask``, which broadcasts to (N, H, T, S), and
    ``context_key_mask`` (N, S); ``is_causal``; and ``cache``, a `DecoderCache`, which retains the keys and values of the
    first call's context. Use a new cache for another context.

    Raises `ArgumentError` for unknown names and options out of range, `ShapeError` for an input of another size.
    Source: Vaswani et al., 2017, "Attention is all you need".

    >>> layer = TransformerDecoderLayer(8, 2, rng=0)
    >>> layer(np.ones((1, 3, 8), np.float32), np.ones((1, 5, 4), np.float32)).shape
    (1, 3, 8)
    """

    def _add_attention(self, d_model: int, n_heads: int, options: dict[str, Any], norm: Callable[[], Layer]) -> None:
        self.cross_attention = MultiHeadAttention(d_model, n_heads, cross=True, **options)
        self.norm3 = norm()

    def forward(
        self,
        x: Operand,
        context: Operand,
        *,
        mask: Operand | None = None,
        key_mask: Operand | None = None,
        context_mask: Operand | None = None,
        context_key_mask: Operand | None = None,
        is_causal: bool = True,
        cache: DecoderCache | None = None,
    ) -> Result:
        self_cache, context_cache = (None, None) if cache is None else cache

        def attend(h: Any) -> Any:
            return self.attention(h, mask=mask, key_mask=key_mask, is_causal=is_causal, cache=self_cache)

        def attend_to_context(h: Any) -> Any:
            return self.cross_attention(h, context, mask=context_mask, key_mask=context_key_mask, cache=context_cache)

        x = self._residual(attend, self.norm1, x)
        x = self._residual(attend_to_context, self.norm3, x)
        return self._residual(self.feed_forward, self.norm2, x)


def make_norm(where: str, name: str, d_model: int, eps: float, dtype: DTypeLike) -> Layer:
    """The normalization layer with a name. Raises `ArgumentError` for an unknown name.

    >>> make_norm("example", "rms", 4, 1e-5, np.float32)
    RMSNorm(eps=1e-05)  gamma (4,)  4 parameters
    """
    if name not in NORMS:
        raise ArgumentError(f"{where}: norm must be one of {', '.join(NORMS)}, not {name!r}")
    return NORMS[name](d_model, eps, dtype)
