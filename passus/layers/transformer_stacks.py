"""Stacks of transformer layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from passus.arguments import checked_count, checked_flag
from passus.backend import Array
from passus.core import Operand, Result
from passus.errors import ShapeError
from passus.layers.base import Layer
from passus.layers.cache import KeyValueCache
from passus.layers.transformer import DecoderCache, TransformerDecoderLayer, TransformerEncoderLayer, make_norm
from passus.random import RNG, get_rng
from passus.recompute import checkpoint

__all__ = ["TransformerDecoder", "TransformerEncoder"]


class TransformerStack(Layer):
    """The base of stacks: ``layers``, and a final normalization if the layers use ``pre_norm``."""

    layers: list[Any]

    def __init__(
        self,
        n_layers: int,
        kind: Callable[..., Layer],
        d_model: int,
        n_heads: int,
        recompute: bool,
        rng: RNG,
        options: Any,
    ) -> None:
        name = type(self).__name__
        rng = None if rng is None else get_rng(rng)
        n_layers = checked_count(name, "n_layers", n_layers)
        self.recompute = checked_flag(name, "recompute", recompute)
        self.layers = [kind(d_model, n_heads, rng=rng, **options) for _ in range(n_layers)]
        norm, eps, dtype = options.get("norm", "layer"), options.get("eps", 1e-5), options.get("dtype", np.float32)
        self.norm = make_norm(name, norm, d_model, eps, dtype) if self.layers[0].pre_norm else None

    def _run(self, xs: tuple[Any, ...], caches: list[Any] | None, options: dict[str, Any]) -> Any:
        """The result for the sequence ``xs[0]``; the other inputs are the same for all layers."""
        if caches is not None:
            self._check_caches(caches)
        x, *rest = xs
        for i, layer in enumerate(self.layers):
            call = partial(layer, cache=None if caches is None else caches[i], **options)
            x = checkpoint(call, x, *rest) if self.recompute else call(x, *rest)
        return x if self.norm is None else self.norm(x)

    def _check_caches(self, caches: list[Any]) -> None:
        """Raise `ShapeError` unless each layer has a cache and all caches contain the same number of positions."""
        if len(caches) != len(self.layers):
            raise ShapeError(
                f"{type(self).__name__}: {len(caches)} caches for {len(self.layers)} layers; see new_cache"
            )
        lengths = [_length(cache) for cache in caches]
        if lengths.count(lengths[0]) != len(lengths):
            raise ShapeError(
                f"{type(self).__name__}: the caches of the layers hold different numbers of positions, {lengths}; one of them "
                "was changed without the others. Start with a new cache"
            )


class TransformerEncoder(TransformerStack):
    """``n_layers`` of `TransformerEncoderLayer`, one after the other: (N, T, ``d_model``) to the same shape.

    Layers with ``pre_norm`` are followed by a final normalization. ``recompute``: each layer is a
    `passus.recompute.checkpoint`, so that memory holds the results of all layers but the intermediate results of only
    one. Other options and the arguments of a call: see `TransformerEncoderLayer`. ``cache``: the result of `new_cache`.

    Raises the errors of the layers.

    >>> TransformerEncoder(2, 8, 2, rng=0)(np.ones((1, 3, 8), np.float32)).shape
    (1, 3, 8)
    """

    def __init__(
        self, n_layers: int, d_model: int, n_heads: int, *, recompute: bool = False, rng: RNG = None, **options: Any
    ) -> None:
        super().__init__(n_layers, TransformerEncoderLayer, d_model, n_heads, recompute, rng, options)

    def forward(
        self,
        x: Operand,
        *,
        mask: Operand | None = None,
        key_mask: Operand | None = None,
        is_causal: bool = False,
        positions: int | Array | None = None,
        cache: list[KeyValueCache] | None = None,
    ) -> Result:
        options = {"mask": mask, "key_mask": key_mask, "is_causal": is_causal, "positions": positions}
        return self._run((x,), cache, options)

    def new_cache(self, max_len: int) -> list[KeyValueCache]:
        """Empty caches for up to ``max_len`` positions, one for each layer."""
        return [KeyValueCache(max_len) for _ in self.layers]


class TransformerDecoder(TransformerStack):
    """``n_layers`` of `TransformerDecoderLayer`, one after the other: (N, T, ``d_model``) and a context (N, S, J) give
    (N, T, ``d_model``).

    Options: see `TransformerEncoder`. Arguments of a call: see `TransformerDecoderLayer`. Raises the errors of the
    layers.

    >>> decoder = TransformerDecoder(2, 8, 2, rng=0)
    >>> decoder(np.ones((1, 3, 8), np.float32), np.ones((1, 5, 8), np.float32)).shape
    (1, 3, 8)
    """

    def __init__(
        self, n_layers: int, d_model: int, n_heads: int, *, recompute: bool = False, rng: RNG = None, **options: Any
    ) -> None:
        super().__init__(n_layers, TransformerDecoderLayer, d_model, n_heads, recompute, rng, options)

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
        cache: list[DecoderCache] | None = None,
    ) -> Result:
        options = {"mask": mask, "key_mask": key_mask, "is_causal": is_causal}
        options |= {"context_mask": context_mask, "context_key_mask": context_key_mask}
        return self._run((x, context), cache, options)

    def new_cache(self, max_len: int, context_len: int) -> list[DecoderCache]:
        """Empty caches for up to ``max_len`` positions and a context of up to ``context_len``, one for each layer."""
        return [DecoderCache(KeyValueCache(max_len), KeyValueCache(context_len)) for _ in self.layers]


def _length(cache: KeyValueCache | DecoderCache) -> int | tuple[int, int]:
    """The number of cached positions of a layer; for a decoder, those of both caches."""
    return (cache.own.length, cache.context.length) if isinstance(cache, DecoderCache) else cache.length
