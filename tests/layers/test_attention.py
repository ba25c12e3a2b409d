"""Layers of attention and transformers beside PyTorch's, with the same weights; caches, masks, recomputation."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch

import passus
import passus.functions as F
import passus.layers as L
from passus import Variable, no_grad
from passus.errors import ArgumentError, DTypeError, GraphError, LabelError, ShapeError
from passus.testing import check_grads
from tests.helpers.against_torch import single_torch_thread as single_torch_thread

DRAWS = list(range(6))


def drawn(seed: int) -> tuple[np.random.Generator, dict[str, int]]:
    """A generator, and lengths for a layer."""
    rng = np.random.default_rng(seed)
    heads = int(rng.choice([1, 2, 4]))
    return rng, {
        "N": int(rng.integers(1, 4)),
        "T": int(rng.integers(1, 6)),
        "S": int(rng.integers(1, 7)),
        "H": heads,
        "D": heads * int(rng.integers(1, 5)),
    }


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def tensor(x: np.ndarray) -> torch.Tensor:
    return torch.tensor(x, requires_grad=x.dtype.kind == "f")


def put(theirs: torch.Tensor | None, ours: np.ndarray) -> None:
    assert theirs is not None
    with torch.no_grad():
        theirs.copy_(torch.tensor(ours))


def randomize(layer: L.Layer, rng: np.random.Generator) -> None:
    """Random numbers everywhere, biases and scales included."""
    for parameter in layer.params():
        parameter.data = rng.standard_normal(parameter.shape) * 0.3


def copy_attention(ours: L.MultiHeadAttention, theirs: torch.nn.MultiheadAttention) -> None:
    if ours.cross:
        weights = [ours.query.W.data, *np.split(ours.key_value.W.data, 2, axis=1)]
        if theirs.in_proj_weight is None:
            for name, W in zip(("q", "k", "v"), weights):
                put(getattr(theirs, f"{name}_proj_weight"), W.T)
        else:
            put(theirs.in_proj_weight, np.concatenate(weights, axis=1).T)
        biases = [layer.b.data for layer in (ours.query, ours.key_value) if layer.b is not None]
    else:
        put(theirs.in_proj_weight, ours.qkv.W.data.T)
        biases = [] if ours.qkv.b is None else [ours.qkv.b.data]
    if biases:
        put(theirs.in_proj_bias, np.concatenate(biases))
        put(theirs.out_proj.bias, ours.out.b.data)
    put(theirs.out_proj.weight, ours.out.W.data.T)


def copy_norm(ours: Any, theirs: Any) -> None:
    put(theirs.weight, ours.gamma.data)
    put(theirs.bias, ours.beta.data)


def copy_linear(ours: Any, theirs: Any) -> None:
    put(theirs.weight, ours.W.data.T)
    put(theirs.bias, ours.b.data)


def copy_layer(ours: Any, theirs: Any) -> None:
    """Of an encoder's or a decoder's layer."""
    copy_attention(ours.attention, theirs.self_attn)
    copy_linear(ours.feed_forward.hidden, theirs.linear1)
    copy_linear(ours.feed_forward.out, theirs.linear2)
    copy_norm(ours.norm1, theirs.norm1)
    if isinstance(ours, L.TransformerDecoderLayer):
        copy_attention(ours.cross_attention, theirs.multihead_attn)
        copy_norm(ours.norm3, theirs.norm2)
        copy_norm(ours.norm2, theirs.norm3)
    else:
        copy_norm(ours.norm2, theirs.norm2)


def agree(y: Any, t: torch.Tensor, xs: list[Variable], ts: list[torch.Tensor], tolerance: float = 1e-10) -> None:
    """Compare results and the gradients of the inputs."""
    np.testing.assert_allclose(y.data, t.detach(), rtol=tolerance, atol=tolerance)
    (y * np.cos(np.arange(y.size)).reshape(y.shape)).sum().backward()
    (t * torch.cos(torch.arange(t.numel(), dtype=t.dtype)).reshape(t.shape)).sum().backward()
    for x, their in zip(xs, ts):
        assert x.grad is not None
        assert their.grad is not None
        np.testing.assert_allclose(x.grad.data, their.grad, rtol=10 * tolerance, atol=10 * tolerance)


# Multi-head attention.


@pytest.mark.parametrize("kind", ["plain", "causal", "key mask", "boolean mask", "added mask"])
@pytest.mark.parametrize("seed", DRAWS)
def test_self_attention_is_that_of_pytorch(seed: int, kind: str) -> None:
    rng, n = drawn(seed)
    nobias = bool(seed % 2)
    ours = L.MultiHeadAttention(n["D"], n["H"], nobias=nobias, in_size=n["D"], dtype=np.float64)
    theirs = torch.nn.MultiheadAttention(n["D"], n["H"], bias=not nobias, batch_first=True, dtype=torch.float64)
    randomize(ours, rng)
    copy_attention(ours, theirs)
    a = normal(rng, n["N"], n["T"], n["D"])
    seen = rng.random((n["T"], n["T"])) < 0.6
    seen[:, 0] = True
    keys = rng.random((n["N"], n["T"])) < 0.6
    keys[:, 0] = True
    added = normal(rng, n["T"], n["T"])
    causal = torch.nn.Transformer.generate_square_subsequent_mask(n["T"], dtype=torch.float64)
    options: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "plain": ({}, {}),
        "causal": ({"is_causal": True}, {"attn_mask": causal}),
        "key mask": ({"key_mask": keys}, {"key_padding_mask": torch.tensor(~keys)}),
        "boolean mask": ({"mask": seen}, {"attn_mask": torch.tensor(~seen)}),
        "added mask": ({"mask": added}, {"attn_mask": torch.tensor(added)}),
    }
    mine, his = options[kind]
    x, t = Variable(a), tensor(a)
    expected, weights = theirs(t, t, t, average_attn_weights=False, **his)
    np.testing.assert_allclose(ours.weights(x, **mine).data, weights.detach(), rtol=1e-10, atol=1e-12)
    agree(ours(x, **mine), expected, [x], [t])
    W = ours.qkv.W.grad
    assert W is not None
    np.testing.assert_allclose(W.data, theirs.in_proj_weight.grad.T, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("seed", DRAWS)
def test_attention_to_other_sequences_is_that_of_pytorch(seed: int, cross: bool) -> None:
    rng, n = drawn(seed)
    size = n["D"] + 1 if cross else n["D"]
    ours = L.MultiHeadAttention(n["D"], n["H"], cross=cross, dtype=np.float64)
    theirs = torch.nn.MultiheadAttention(n["D"], n["H"], kdim=size, vdim=size, batch_first=True, dtype=torch.float64)
    arrays = [normal(rng, n["N"], n["T"], n["D"]), *[normal(rng, n["N"], n["S"], size) for _ in range(2)]]
    with no_grad():
        ours(*arrays)
    randomize(ours, rng)
    copy_attention(ours, theirs)
    xs, ts = [Variable(a) for a in arrays], [tensor(a) for a in arrays]
    agree(ours(*xs), theirs(*ts, need_weights=False)[0], xs, ts)
    xs, ts = xs[:2], ts[:2]
    for x, t in zip(xs, ts):
        x.cleargrad()
        t.grad = None
    agree(ours(*xs), theirs(ts[0], ts[1], ts[1], need_weights=False)[0], xs, ts)


def test_in_float32_it_agrees_to_five_digits() -> None:
    rng = np.random.default_rng(0)
    ours = L.MultiHeadAttention(32, 4, in_size=32, rng=0)
    theirs = torch.nn.MultiheadAttention(32, 4, batch_first=True)
    copy_attention(ours, theirs)
    a = normal(rng, 4, 40, 32).astype(np.float32)
    x, t = Variable(a), tensor(a)
    causal = torch.nn.Transformer.generate_square_subsequent_mask(40)
    agree(ours(x, is_causal=True), theirs(t, t, t, attn_mask=causal, need_weights=False)[0], [x], [t], 1e-5)


def test_grouped_queries_share_keys_and_values() -> None:
    rng = np.random.default_rng(0)
    grouped = L.MultiHeadAttention(8, 4, n_kv_heads=2, in_size=6, dtype=np.float64)
    whole = L.MultiHeadAttention(8, 4, in_size=6, dtype=np.float64)
    randomize(grouped, rng)
    Wq, Wk, Wv = np.split(grouped.qkv.W.data, [8, 12], axis=1)
    bq, bk, bv = np.split(grouped.qkv.b.data, [8, 12])
    repeated = [np.repeat(m.reshape(-1, 2, 2), 2, axis=1).reshape(-1, 8) for m in (Wk, Wv, bk, bv)]
    whole.qkv.W.data = np.concatenate([Wq, *repeated[:2]], axis=1)
    whole.qkv.b.data = np.concatenate([bq, repeated[2][0], repeated[3][0]])
    whole.out.W.data, whole.out.b.data = grouped.out.W.data, grouped.out.b.data
    x = normal(rng, 2, 5, 6)
    np.testing.assert_allclose(grouped(x, is_causal=True).data, whole(x, is_causal=True).data, rtol=1e-12)
    np.testing.assert_allclose(grouped.weights(x).data, whole.weights(x).data, rtol=1e-12)


@pytest.mark.parametrize("cross", [False, True])
def test_heads_of_another_width_agree_with_plain_arrays(cross: bool) -> None:
    rng = np.random.default_rng(3)
    options = {"cross": True, "context_size": 7} if cross else {}
    layer = L.MultiHeadAttention(10, 3, in_size=7, d_head=4, nobias=True, qkv_bias=True, dtype=np.float64, **options)
    randomize(layer, rng)
    assert layer.out.b is None
    assert layer.out.W.shape == (12, 10)
    x, context = normal(rng, 2, 5, 7), normal(rng, 2, 6, 7)
    parts = (layer.query, layer.key_value) if cross else (layer.qkv,)
    W, b = (np.concatenate([getattr(part, name).data for part in parts], axis=-1) for name in ("W", "b"))
    q = x @ W[:, :12] + b[:12]
    k, v = (context @ W[:, i : i + 12] + b[i : i + 12] for i in (12, 24))
    heads = [
        torch.nn.functional.scaled_dot_product_attention(
            *[torch.tensor(part[..., 4 * h : 4 * h + 4]) for part in (q, k, v)]
        ).numpy()
        for h in range(3)
    ]
    expected = np.concatenate(heads, axis=-1) @ layer.out.W.data
    np.testing.assert_allclose(layer(x, context).data, expected, rtol=1e-10)


def test_biases_of_queries_keys_and_values_alone() -> None:
    names = ["qkv.W", "qkv.b", "out.W", "out.b"]
    for nobias, qkv_bias, absent in (
        (False, None, ()),
        (True, None, ("qkv.b", "out.b")),
        (True, True, ("out.b",)),
        (False, False, ("qkv.b",)),
    ):
        layer = L.MultiHeadAttention(8, 2, nobias=nobias, qkv_bias=qkv_bias, in_size=8)
        assert [path for path, _ in layer.named_params()] == [name for name in names if name not in absent]


def test_scores_with_rotary_positions_depend_on_distances_only() -> None:
    layer = L.MultiHeadAttention(8, 2, rotary=100.0, in_size=8, dtype=np.float64, rng=0)
    x = normal(np.random.default_rng(1), 2, 5, 8)
    plain = layer(x, is_causal=True).data
    np.testing.assert_allclose(layer(x, is_causal=True, positions=7).data, plain, rtol=1e-10)
    rows = np.stack([np.arange(5), np.arange(5) + 3])
    np.testing.assert_allclose(layer(x, is_causal=True, positions=rows).data, plain, rtol=1e-10)
    assert abs(layer(x, is_causal=True, positions=np.array([0, 2, 3, 7, 9])).data - plain).max() > 1e-3


WIDER = {"d_head": 6, "nobias": True, "qkv_bias": True, "n_kv_heads": 1}


@pytest.mark.parametrize("options", [{}, {"rotary": 100.0, "n_kv_heads": 1}, {"nobias": True}, WIDER])
def test_attention_is_differentiable_twice(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    layer = L.MultiHeadAttention(4, 2, in_size=4, dtype=np.float64, **options)
    randomize(layer, rng)
    keys = np.array([[True, True, False], [True, False, True]])
    check_grads(lambda x: layer(x, is_causal=True, key_mask=keys), normal(rng, 2, 3, 4))
    cross = L.MultiHeadAttention(4, 2, cross=True, in_size=4, context_size=3, dtype=np.float64, **options)
    check_grads(lambda x, c: cross(x, c), normal(rng, 1, 2, 4), normal(rng, 1, 3, 3))


@pytest.mark.parametrize("kind", ["key mask", "boolean mask", "added mask"])
def test_a_query_whose_keys_are_all_masked_gets_zeros(kind: str) -> None:
    rng = np.random.default_rng(0)
    layer = L.MultiHeadAttention(4, 2, nobias=True, in_size=4, dtype=np.float64, rng=0)
    seen = np.array([[True] * 3, [False] * 3])
    mask = seen[:, None, None, :]
    options = {
        "key mask": {"key_mask": seen},
        "boolean mask": {"mask": mask},
        "added mask": {"mask": np.where(mask, 0.0, -np.inf)},
    }[kind]
    x = Variable(normal(rng, 2, 3, 4))
    y = layer(x, **options)
    np.testing.assert_array_equal(y.data[1], 0)
    assert np.abs(y.data[0]).min() > 0
    (y * y).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.data[1], 0)
    assert all(np.isfinite(p.grad.data).all() for p in layer.params() if p.grad is not None)
    weights = layer.weights(x, **options)
    np.testing.assert_array_equal(weights.data[1], 0)
    np.testing.assert_allclose(weights.data[0].sum(-1), 1)


def test_masked_keys_change_nothing() -> None:
    rng = np.random.default_rng(0)
    layer = L.MultiHeadAttention(4, 2, in_size=4, dtype=np.float64, rng=0)
    x = normal(rng, 1, 5, 4)
    keys = np.array([[True, True, True, False, False]])
    other = x.copy()
    other[:, 3:] = 100
    for options in ({}, {"mask": np.ones((5, 5), bool)}, {"mask": np.zeros((5, 5))}):
        np.testing.assert_allclose(layer(x, key_mask=keys, **options).data[:, :3], layer(x[:, :3]).data, rtol=1e-12)
        np.testing.assert_array_equal(
            layer(x, key_mask=keys, **options).data[:, :3], layer(other, key_mask=keys, **options).data[:, :3]
        )


def test_dropout_of_weights_is_for_training() -> None:
    x = normal(np.random.default_rng(0), 2, 6, 4)
    layer = L.MultiHeadAttention(4, 2, dropout_ratio=0.5, in_size=4, dtype=np.float64, rng=0)
    plain = L.MultiHeadAttention(4, 2, in_size=4, dtype=np.float64, rng=0)
    assert abs(layer(x).data - plain(x).data).max() > 1e-3
    with passus.test_mode():
        np.testing.assert_array_equal(layer(x).data, plain(x).data)


def test_attention_explains_what_does_not_fit() -> None:
    with pytest.raises(ArgumentError, match="d_model=8 must be a multiple of n_heads=512; d_model comes first"):
        L.MultiHeadAttention(8, 512)
    with pytest.raises(ArgumentError, match="n_heads=4 must be a multiple of n_kv_heads=3"):
        L.MultiHeadAttention(8, 4, n_kv_heads=3)
    with pytest.raises(ArgumentError, match="even number of features per head, not 3"):
        L.MultiHeadAttention(6, 2, rotary=100.0)
    with pytest.raises(ArgumentError, match="rotary_scaling needs rotary positions"):
        L.MultiHeadAttention(4, 2, rotary_scaling=F.RotaryScaling(2.0))
    with pytest.raises(DTypeError, match="rotary_scaling is a float"):
        L.MultiHeadAttention(4, 2, rotary=100.0, rotary_scaling=2.0)
    with pytest.raises(ArgumentError, match="d_head is 0"):
        L.MultiHeadAttention(4, 2, d_head=0)
    with pytest.raises(DTypeError, match="qkv_bias is an int"):
        L.MultiHeadAttention(4, 2, qkv_bias=1)
    layer = L.MultiHeadAttention(4, 2, in_size=4)
    x = np.ones((1, 3, 4), np.float32)
    with pytest.raises(ShapeError, match=r"sequence \(N, T, I\) is needed"):
        layer(x[0, 0])
    with pytest.raises(ArgumentError, match="value is given without key"):
        layer(x, value=x)
    with pytest.raises(DTypeError, match="key_mask is float32; give booleans"):
        layer(x, key_mask=np.ones((1, 3), np.float32))
    with pytest.raises(ShapeError, match=r"multiheadattention\.qkv: linear"):
        layer(x[..., :3])


# Caches.


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rotary": 50.0, "n_kv_heads": 1},
        {"rotary": 50.0, "rotary_scaling": F.RotaryScaling(8.0, 1.0, 4.0, 64), **WIDER},
    ],
)
@pytest.mark.parametrize("steps", [[5], [1, 1, 1, 1, 1], [3, 1, 1], [2, 3]])
def test_a_cache_changes_no_number(steps: list[int], options: dict[str, Any]) -> None:
    layer = L.MultiHeadAttention(8, 2, in_size=8, dtype=np.float64, rng=0, **options)
    x = normal(np.random.default_rng(0), 2, 5, 8)
    cache, parts, start = L.KeyValueCache(5), [], 0
    with no_grad():
        for n in steps:
            parts.append(layer(x[:, start : start + n], is_causal=True, cache=cache).data)
            start += n
        np.testing.assert_allclose(np.concatenate(parts, axis=1), layer(x, is_causal=True).data, rtol=1e-10)
    assert cache.length == 5


def test_a_cache_says_when_it_is_full_or_does_not_fit() -> None:
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
def test_a_decoder_with_caches_changes_no_number(pre_norm: bool) -> None:
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
def test_a_cache_of_another_context_is_refused(shape: tuple[int, ...]) -> None:
    decoder = L.TransformerDecoder(2, 8, 2, rng=0)
    with no_grad():
        cache = decoder.new_cache(5, 3)
        decoder(np.ones((2, 2, 8), np.float32), np.ones((2, 3, 6), np.float32), cache=cache)
        with pytest.raises(ShapeError, match=r"is not the sequence in the cache, .* \(2, 3, J\); use a new cache"):
            decoder(np.ones((2, 1, 8), np.float32), np.ones(shape, np.float32), cache=cache)
        assert [[part.length for part in layer] for layer in cache] == [[2, 3], [2, 3]]


def test_a_message_names_the_layer_once() -> None:
    with pytest.raises(ShapeError) as caught:
        L.MultiHeadAttention(4, 2)(np.ones(4, np.float32))
    assert str(caught.value).lower().count("multiheadattention") == 1


# Layers of transformers.


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("seed", DRAWS[:3])
def test_encoder_layers_are_those_of_pytorch(seed: int, pre_norm: bool, activation: str) -> None:
    rng, n = drawn(seed)
    ours = L.TransformerEncoderLayer(
        n["D"], n["H"], 7, activation=activation, pre_norm=pre_norm, eps=1e-3, dtype=np.float64
    )
    theirs = torch.nn.TransformerEncoderLayer(
        n["D"], n["H"], 7, 0.0, activation, 1e-3, batch_first=True, norm_first=pre_norm, dtype=torch.float64
    )
    randomize(ours, rng)
    copy_layer(ours, theirs)
    a, keys = normal(rng, n["N"], n["T"], n["D"]), rng.random((n["N"], n["T"])) < 0.6
    keys[:, 0] = True
    x, t = Variable(a), tensor(a)
    agree(ours(x, key_mask=keys), theirs(t, src_key_padding_mask=torch.tensor(~keys)), [x], [t], 1e-9)
    for mine, his in ((ours.feed_forward.hidden, theirs.linear1), (ours.attention.out, theirs.self_attn.out_proj)):
        np.testing.assert_allclose(mine.W.grad.data, his.weight.grad.T, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("seed", DRAWS[:3])
def test_decoder_layers_are_those_of_pytorch(seed: int, pre_norm: bool) -> None:
    rng, n = drawn(seed)
    options: dict[str, Any] = {"activation": "relu", "pre_norm": pre_norm, "dtype": np.float64}
    ours = L.TransformerDecoderLayer(n["D"], n["H"], 7, **options)
    theirs = torch.nn.TransformerDecoderLayer(
        n["D"], n["H"], 7, 0.0, "relu", batch_first=True, norm_first=pre_norm, dtype=torch.float64
    )
    arrays = [normal(rng, n["N"], n[length], n["D"]) for length in "TS"]
    with no_grad():
        ours(*arrays)
    randomize(ours, rng)
    copy_layer(ours, theirs)
    keys = rng.random((n["N"], n["S"])) < 0.6
    keys[:, 0] = True
    xs, ts = [Variable(a) for a in arrays], [tensor(a) for a in arrays]
    causal = torch.nn.Transformer.generate_square_subsequent_mask(n["T"], dtype=torch.float64)
    expected = theirs(*ts, tgt_mask=causal, memory_key_padding_mask=torch.tensor(~keys))
    agree(ours(*xs, context_key_mask=keys), expected, xs, ts, 1e-9)


def test_stacks_are_those_of_pytorch(single_torch_thread: None) -> None:
    rng = np.random.default_rng(0)
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=True)
    theirs = torch.nn.TransformerEncoder(layer, 3, torch.nn.LayerNorm(8), enable_nested_tensor=False)
    ours = L.TransformerEncoder(3, 8, 2, d_hidden=16, rng=0)
    for mine, his in zip(ours.layers, theirs.layers):
        copy_layer(mine, his)
    a = normal(rng, 2, 5, 8).astype(np.float32)
    x, t = Variable(a), tensor(a)
    agree(ours(x), theirs(t), [x], [t], 1e-5)
    assert L.TransformerEncoder(1, 8, 2, pre_norm=False).norm is None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pre_norm": False},
        {"norm": "rms", "activation": "swiglu", "nobias": True, "rotary": 100.0, "n_kv_heads": 1},
    ],
)
def test_transformer_layers_are_differentiable_twice(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    encoder = L.TransformerEncoderLayer(4, 2, 6, dtype=np.float64, **options)
    randomize(encoder, rng)
    check_grads(lambda x: encoder(x, is_causal=True), normal(rng, 2, 3, 4))
    decoder = L.TransformerDecoderLayer(4, 2, 6, dtype=np.float64, **options)
    check_grads(lambda x, c: decoder(x, c), normal(rng, 1, 3, 4), normal(rng, 1, 2, 4))


def test_transformer_layers_explain_what_does_not_fit() -> None:
    with pytest.raises(ArgumentError, match="TransformerEncoderLayer: norm must be one of layer, rms, not 'batch'"):
        L.TransformerEncoderLayer(4, 2, norm="batch")
    with pytest.raises(ArgumentError, match="activation must be one of"):
        L.TransformerEncoderLayer(4, 2, activation="cube")
    with pytest.raises(TypeError, match="heads"):
        L.TransformerEncoder(2, 4, 2, heads=3)
    with pytest.raises(ShapeError, match=r"transformerencoder\.layers\.0\.norm1: layer_norm"):
        L.TransformerEncoder(1, 4, 2)(np.ones((1, 2, 3), np.float32))


def test_swiglu_is_its_formula() -> None:
    layer = L.SwiGLU(3, 5, rng=0)
    x = normal(np.random.default_rng(0), 2, 3).astype(np.float32)
    gate, up = np.split(layer.gate_up.W.data, 2, axis=1)
    expected = ((x @ gate) / (1 + np.exp(-x @ gate)) * (x @ up)) @ layer.out.W.data
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-5, atol=1e-6)
    assert [path for path, _ in layer.named_params()] == ["gate_up.W", "out.W"]


# Positions.


def test_positions_are_added() -> None:
    x = np.zeros((2, 3, 4), np.float32)
    learnt = L.PositionEmbedding(6, 4, rng=0)
    np.testing.assert_array_equal(learnt(x).data[1], learnt.W.data[:3])
    np.testing.assert_array_equal(learnt(x, 3).data[1], learnt.W.data[3:])
    rows = np.array([[0, 0, 1], [5, 4, 3]])
    np.testing.assert_array_equal(learnt(x, rows).data, learnt.W.data[rows])
    whole = np.zeros((1, 6, 4), np.float32)
    np.testing.assert_array_equal(learnt(whole).data[0], learnt.W.data)
    fixed = L.SinusoidalPositions()
    np.testing.assert_array_equal(fixed(x, 2)[0], F.sinusoidal_positions(5, 4)[2:])
    np.testing.assert_array_equal(fixed(x, rows), F.sinusoidal_positions(rows, 4))
    assert fixed(x).dtype == np.float32
    with pytest.raises(ShapeError, match=r"from position 4 on needs W \(7 or more, 4\), and it is \(6, 4\)"):
        learnt(x, 4)
    with pytest.raises(ShapeError, match="must be a sequence"):
        fixed(x[0, 0])


# Recomputation.


def gradients_of(stack: L.TransformerEncoder, x: np.ndarray) -> tuple[Any, list[Any], int]:
    """The result, all gradients, and the peak of memory meanwhile."""
    stack.cleargrads()
    tracemalloc.start()
    with passus.random.using_rng(0):
        y = stack(Variable(x), is_causal=True)
    (y * y).sum().backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return y.data, [p.grad.data for p in stack.params() if p.grad is not None], peak


def test_recomputed_layers_change_no_number_and_halve_the_memory() -> None:
    x = normal(np.random.default_rng(0), 2, 64, 16)
    kept = L.TransformerEncoder(6, 16, 2, dropout_ratio=0.1, dtype=np.float64, rng=0)
    again = L.TransformerEncoder(6, 16, 2, dropout_ratio=0.1, dtype=np.float64, rng=0, recompute=True)
    y0, g0, peak0 = gradients_of(kept, x)
    y1, g1, peak1 = gradients_of(again, x)
    np.testing.assert_array_equal(y0, y1)
    assert len(g0) == len(g1) == len(list(kept.params()))
    for a, b in zip(g0, g1):
        np.testing.assert_array_equal(a, b)
    assert peak1 < 0.5 * peak0
