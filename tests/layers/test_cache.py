"""Caches of keys and values: results with and without a cache agree, and other batches are rejected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import no_grad
from passus.errors import GraphError, LabelError, ShapeError
from tests.layers.against_torch import (
    WIDER,
    normal,
)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rotary": 50.0, "n_kv_heads": 1},
        {"rotary": 50.0, "rotary_scaling": F.RotaryScaling(8.0, 1.0, 4.0, 64), **WIDER},
    ],
)
@pytest.mark.parametrize("steps", [[5], [1, 1, 1, 1, 1], [3, 1, 1], [2, 3]])
def test_attention_with_cache_equals_attention_without(steps: list[int], options: dict[str, Any]) -> None:
    layer = L.MultiHeadAttention(8, 2, in_size=8, dtype=np.float64, rng=0, **options)
    x = normal(np.random.default_rng(0), 2, 5, 8)
    cache, pieces, start = L.KeyValueCache(5), [], 0
    with no_grad():
        for n in steps:
            pieces.append(layer(x[:, start : start + n], is_causal=True, cache=cache).data)
            start += n
        np.testing.assert_allclose(np.concatenate(pieces, axis=1), layer(x, is_causal=True).data, rtol=1e-10)
    assert cache.length == 5


def test_full_or_mismatched_cache_raises() -> None:
    layer = L.MultiHeadAttention(4, 2, in_size=4)
    x, cache = np.ones((2, 3, 4), np.float32), L.KeyValueCache(4)
    with pytest.raises(GraphError, match=r"gradients flow to k .*no_grad"):
        layer(x, cache=cache)
    with no_grad():
        layer(x, cache=cache)
        with pytest.raises(ShapeError, match="3 positions are cached and 2 are new, more than max_len=4"):
            layer(x[:, :2], cache=cache)
        with pytest.raises(ShapeError, match=r"does not continue .* Use a new cache for another batch"):
            layer(x[:1, :1], cache=cache)
        assert cache.length == 3
        cache.select([1, 1, 0])
        assert cache.keys.shape == (3, 2, 3, 2)
        with pytest.raises(LabelError, match=r"KeyValueCache.select: index 3 .* the cache has 3 examples"):
            cache.select([3])
        layer(x[[0, 0, 0], :1], cache=cache)
        assert cache.length == 4
        cache.clear()
        layer(x[:1], cache=cache)
        assert cache.keys.shape == cache.values.shape == (1, 2, 3, 2)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_decoder_with_cache_equals_decoder_without(pre_norm: bool) -> None:
    decoder = L.TransformerDecoder(2, 8, 2, pre_norm=pre_norm, dtype=np.float64, rng=0)
    rng = np.random.default_rng(0)
    x, context = normal(rng, 2, 5, 8), normal(rng, 2, 3, 6)
    keys = np.array([[True, True, True], [True, False, False]])
    with no_grad():
        whole = decoder(x, context, context_key_mask=keys).data
        cache = decoder.new_cache(5, 3)
        steps = [decoder(x[:, i : i + 1], context, context_key_mask=keys, cache=cache).data for i in range(5)]
        np.testing.assert_allclose(np.concatenate(steps, axis=1), whole, rtol=1e-10)
        with pytest.raises(ShapeError, match="1 caches for 2 layers"):
            decoder(x, context, cache=cache[:1])


@pytest.mark.parametrize("shape", [(2, 2, 6), (1, 3, 6), (3, 3, 6), (2, 4, 6), (3, 6)])
def test_cache_of_another_context_raises(shape: tuple[int, ...]) -> None:
    decoder = L.TransformerDecoder(2, 8, 2, rng=0)
    with no_grad():
        cache = decoder.new_cache(5, 3)
        decoder(np.ones((2, 2, 8), np.float32), np.ones((2, 3, 6), np.float32), cache=cache)
        with pytest.raises(ShapeError, match=r"is not the sequence in the cache, .* \(2, 3, J\); use a new cache"):
            decoder(np.ones((2, 1, 8), np.float32), np.ones(shape, np.float32), cache=cache)
        assert [[c.length for c in layer] for layer in cache] == [[2, 3], [2, 3]]
