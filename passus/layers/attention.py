"""Multi-head attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_flag, checked_number
from passus.backend import Array
from passus.backend.trace import is_numpy
from passus.core import Operand, Result
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.functions.checks import array_of
from passus.functions.nn.composed_attention import attention_weights
from passus.functions.nn.positions import checked_scaling
from passus.initializers import Initializer
from passus.kernels.attention import Settings
from passus.layers.base import Layer
from passus.layers.cache import FixedCache, KeyValueCache
from passus.layers.linear import Linear
from passus.random import RNG, get_rng

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(Layer):
    """Attention with ``n_heads`` heads: queries (N, T, I) and keys (N, S, J) give (N, T, ``d_model``).

    Queries, keys and values are linear functions of the inputs. Each head has ``d_head`` features, ``d_model / n_heads``
    by default, and a linear layer ``out`` combines the results of the heads. A call with one sequence
    computes self-attention (``qkv`` is one product); a call with ``key``, and optionally ``value``, attends to another
    sequence. ``cross``: keys and values always come from another sequence, whose number of features J may differ;
    ``query`` and ``key_value`` are separate layers. I and J are inferred on the first call, or given as ``in_size`` and
    ``context_size``.

    ``n_kv_heads``: the number of heads of keys and values, each shared by a group of queries. ``nobias``: no biases.
    ``qkv_bias``: whether queries, keys and values have biases, ``not nobias`` by default. ``dropout_ratio``: for the
    attention weights, in training. ``rotary``: the base of the rotary encoding of queries and keys, such as 10000.0.
    ``rotary_scaling``: a `passus.functions.RotaryScaling` of its frequencies. ``initializer``, ``out_initializer``: of
    the weights, and of those of ``out``.

    A call also takes: ``mask``: boolean, True where a query may attend to a key, or numbers that are added to the
    scores; broadcasts to (N, H, T, S). ``key_mask``: (N, S), False for padding. A query whose keys are all masked gives
    zeros (plus the bias of ``out``). A ``mask`` of numbers and a ``key_mask`` together are combined in one array
    (N, H, T, S), so memory is quadratic in the length. ``is_causal``: queries attend only to keys at their own and earlier positions; the
    last query is at the position of the last key. ``positions``: for the rotary encoding, the position of the first
    element, or an array (N, T). ``cache``: a `KeyValueCache`. Keys and values of a sequence are appended to those of
    earlier calls. Those of another sequence are computed by the first call; later calls use them, and compare only the
    batch and the length of ``key`` with the cache, not its contents. Masks then cover all cached keys.

    Raises `ArgumentError` if ``n_heads`` does not divide ``d_model``, `ShapeError` for sequences that do not fit.
    Source: Vaswani et al., 2017, "Attention is all you need"; grouped queries: Ainslie et al., 2023, "GQA".

    >>> layer = MultiHeadAttention(8, 2, rng=0)
    >>> layer(np.ones((1, 3, 8), np.float32), is_causal=True).shape
    (1, 3, 8)
    >>> layer.weights(np.ones((1, 2, 8), np.float32), is_causal=True).data[0, 0].tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        n_kv_heads: int | None = None,
        cross: bool = False,
        d_head: int | None = None,
        nobias: bool = False,
        qkv_bias: bool | None = None,
        dropout_ratio: float = 0.0,
        rotary: float | None = None,
        rotary_scaling: F.RotaryScaling | None = None,
        in_size: int | None = None,
        context_size: int | None = None,
        initializer: Initializer | None = None,
        out_initializer: Initializer | None = None,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
    ) -> None:
        name = "MultiHeadAttention"
        self.n_heads = checked_count(name, "n_heads", n_heads)
        self.n_kv_heads = self.n_heads if n_kv_heads is None else checked_count(name, "n_kv_heads", n_kv_heads)
        if checked_count(name, "d_model", d_model) % self.n_heads and d_head is None:
            raise ArgumentError(
                f"{name}: d_model={d_model} must be a multiple of n_heads={n_heads}; d_model comes first"
            )
        if self.n_heads % self.n_kv_heads:
            raise ArgumentError(f"{name}: n_heads={n_heads} must be a multiple of n_kv_heads={n_kv_heads}")
        self.d_model = d_model
        self.d_head = d_model // self.n_heads if d_head is None else checked_count(name, "d_head", d_head)
        self.dropout_ratio = checked_number(name, "dropout_ratio", dropout_ratio, 0.0, 1.0)
        self.rotary = None if rotary is None else checked_number(name, "rotary", rotary, open_low=True)
        if self.rotary is not None and self.d_head % 2:
            raise ArgumentError(f"{name}: rotary positions need an even number of features per head, not {self.d_head}")
        self.rotary_scaling = checked_scaling(name, "rotary_scaling", rotary_scaling)
        if self.rotary is None and self.rotary_scaling is not None:
            raise ArgumentError(f"{name}: rotary_scaling needs rotary positions; give rotary, such as 10000.0, too")
        self.cross = checked_flag(name, "cross", cross)
        rng = None if rng is None else get_rng(rng)
        unbiased = nobias if qkv_bias is None else not checked_flag(name, "qkv_bias", qkv_bias)
        own, shared = self.n_heads * self.d_head, self.n_kv_heads * self.d_head
        if self.cross:
            self.query = Linear(own, unbiased, dtype, in_size, initializer, rng)
            self.key_value = Linear(2 * shared, unbiased, dtype, context_size, initializer, rng)
        else:
            self.qkv = Linear(own + 2 * shared, unbiased, dtype, in_size, initializer, rng)
        self.out = Linear(d_model, nobias, dtype, own, out_initializer or initializer, rng)

    def forward(
        self,
        query: Operand,
        key: Operand | None = None,
        value: Operand | None = None,
        *,
        mask: Operand | None = None,
        key_mask: Operand | None = None,
        is_causal: bool = False,
        positions: int | Array | None = None,
        cache: KeyValueCache | None = None,
    ) -> Result:
        q, k, v = self._heads(query, key, value, positions, cache)
        mask = with_key_mask(mask, key_mask)
        if isinstance(cache, FixedCache):
            return self.out(F.merge_heads(cache.attend(q, k, v, mask, is_causal)))
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal, dropout=self.dropout_ratio)
        return self.out(F.merge_heads(y))

    def weights(
        self,
        query: Operand,
        key: Operand | None = None,
        *,
        mask: Operand | None = None,
        key_mask: Operand | None = None,
        is_causal: bool = False,
        positions: int | Array | None = None,
    ) -> Result:
        """The attention weights (N, H, T, S) of `forward` without dropout. They sum to 1 over the keys, or are 0 if all
        keys are masked.
        """
        q, k, _ = self._heads(query, key, None, positions, None)
        group = self.n_heads // self.n_kv_heads
        k = F.repeat(k, group, axis=-3) if group > 1 else k
        settings = Settings(1 / math.sqrt(self.d_head), is_causal)
        weights: Result = attention_weights(settings, with_key_mask(mask, key_mask), q, k)
        return weights

    def _heads(
        self,
        query: Operand,
        key: Operand | None,
        value: Operand | None,
        positions: int | Array | None,
        cache: KeyValueCache | None,
    ) -> tuple[Any, Any, Any]:
        """Queries (N, H, T, D), and keys and values (N, H_kv, S, D) of all positions."""
        for x in (query, key, value):
            if x is not None and array_of("MultiHeadAttention", x).ndim < 2:
                raise ShapeError(f"MultiHeadAttention: a sequence (N, T, I) is needed, not {array_of('', x).shape}")
        if key is None and value is not None:
            raise ArgumentError("MultiHeadAttention: value is given without key")
        other_sequence = key is not None and key is not query
        if positions is None:
            count = array_of("MultiHeadAttention", query).shape[-2]
            positions = 0 if cache is None or other_sequence else cache.new_positions(count)
        if other_sequence and cache is not None and cache.length:
            keys = cache.keys
            _check_cached(array_of("MultiHeadAttention", key).shape, keys.shape)
            return self._rotated(self._query(query), positions), keys, cache.values
        if other_sequence or self.cross or value is not None:
            context = query if key is None else key
            q, (k, v) = self._query(query), self._key_value(context, context if value is None else value)
        else:
            q, k, v = F.split_heads(self.qkv(query), (self.n_heads, self.n_kv_heads, self.n_kv_heads))
        q, k = self._rotated(q, positions), self._rotated(k, 0 if other_sequence else positions)
        if cache is not None and not isinstance(cache, FixedCache):
            k, v = cache.append(k, v)
        return q, k, v

    def _query(self, x: Operand) -> Any:
        y = self.query(x) if self.cross else self._projected(x, 0, self.n_heads * self.d_head)
        return F.split_heads(y, self.n_heads)

    def _key_value(self, key: Operand, value: Operand) -> tuple[Any, Any]:
        size = self.n_kv_heads * self.d_head
        if key is value and self.cross:
            k, v = F.split_heads(self.key_value(key), (self.n_kv_heads, self.n_kv_heads))
            return k, v
        first = 0 if self.cross else self.n_heads * self.d_head
        k, v = self._projected(key, first, first + size), self._projected(value, first + size, first + 2 * size)
        return F.split_heads(k, self.n_kv_heads), F.split_heads(v, self.n_kv_heads)

    def _projected(self, x: Operand, start: int, stop: int) -> Any:
        """The product with some columns of the weights that queries, keys and values share."""
        layer = self.key_value if self.cross else self.qkv
        if layer.W._data is None:
            layer.W.resolve(array_of("MultiHeadAttention", x).shape[-1])
        b = None if layer.b is None else F.get_item(layer.b, slice(start, stop))
        return F.linear(x, F.get_item(layer.W, (slice(None), slice(start, stop))), b)

    def _rotated(self, x: Any, positions: Any) -> Any:
        if self.rotary is None:
            return x
        if is_numpy(positions) and positions.ndim > 1:
            positions = positions[..., None, :]  # The same for all heads.
        return F.rotary(x, positions, self.rotary, scaling=self.rotary_scaling)


def _check_cached(key: tuple[int, ...], cached: tuple[int, ...]) -> None:
    """Raise `ShapeError` if a sequence (N, S, J) is not the one whose keys (N, H_kv, S, D) are cached."""
    expected = (*cached[:-3], cached[-2])
    if key[:-1] != expected:
        raise ShapeError(
            f"MultiHeadAttention: key {key} is not the sequence in the cache, which has the shape ({', '.join(map(str, expected))}, "
            "J); use a new cache for another sequence"
        )


def with_key_mask(mask: Operand | None, key_mask: Operand | None) -> Operand | None:
    """Combine a mask (..., T, S) with a key mask (N, S). Raises `DTypeError` if the latter is not boolean.

    >>> with_key_mask(None, np.array([[True, False]])).shape
    (1, 1, 1, 2)
    >>> with_key_mask(np.array([[0.5, 0.5]]), np.array([[True, False]])).tolist()
    [[[[0.5, -inf]]]]
    """
    if key_mask is None:
        return mask
    keys = array_of("key_mask", key_mask)
    if keys.dtype.kind != "b":
        raise DTypeError(
            f"MultiHeadAttention: key_mask is {keys.dtype}; give booleans, True for keys that are no padding"
        )
    keys = keys[..., None, None, :]
    if mask is None:
        return keys
    if array_of("mask", mask).dtype.kind == "b":
        return np.logical_and(array_of("mask", mask), keys)
    return F.where(keys, mask, -np.inf)
