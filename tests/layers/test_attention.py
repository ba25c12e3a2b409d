"""Multi-head attention against PyTorch's with the same weights: masks, rotary positions, derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import passus
import passus.functions as F
import passus.layers as L
from passus import Variable, no_grad
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.testing import check_grads
from tests.layers.against_torch import (
    DRAWS,
    WIDER,
    agree,
    copy_attention,
    drawn,
    normal,
    randomize,
    tensor,
)


@pytest.mark.parametrize("kind", ["plain", "causal", "key mask", "boolean mask", "added mask"])
@pytest.mark.parametrize("seed", DRAWS)
def test_self_attention_agrees_with_pytorch(seed: int, kind: str) -> None:
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
def test_cross_attention_agrees_with_pytorch(seed: int, cross: bool) -> None:
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


def test_float32_attention_agrees_with_pytorch_to_five_digits() -> None:
    rng = np.random.default_rng(0)
    ours = L.MultiHeadAttention(32, 4, in_size=32, rng=0)
    theirs = torch.nn.MultiheadAttention(32, 4, batch_first=True)
    copy_attention(ours, theirs)
    a = normal(rng, 4, 40, 32).astype(np.float32)
    x, t = Variable(a), tensor(a)
    causal = torch.nn.Transformer.generate_square_subsequent_mask(40)
    agree(ours(x, is_causal=True), theirs(t, t, t, attn_mask=causal, need_weights=False)[0], [x], [t], 1e-5)


def test_grouped_queries_equal_repeated_keys_and_values() -> None:
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
def test_heads_with_d_head_agree_with_plain_arrays(cross: bool) -> None:
    rng = np.random.default_rng(3)
    options = {"cross": True, "context_size": 7} if cross else {}
    layer = L.MultiHeadAttention(10, 3, in_size=7, d_head=4, nobias=True, qkv_bias=True, dtype=np.float64, **options)
    randomize(layer, rng)
    assert layer.out.b is None
    assert layer.out.W.shape == (12, 10)
    x, context = normal(rng, 2, 5, 7), normal(rng, 2, 6, 7)
    projections = (layer.query, layer.key_value) if cross else (layer.qkv,)
    W, b = (np.concatenate([getattr(layer, name).data for layer in projections], axis=-1) for name in ("W", "b"))
    q = x @ W[:, :12] + b[:12]
    k, v = (context @ W[:, i : i + 12] + b[i : i + 12] for i in (12, 24))
    heads = [
        torch.nn.functional.scaled_dot_product_attention(
            *[torch.tensor(x[..., 4 * h : 4 * h + 4]) for x in (q, k, v)]
        ).numpy()
        for h in range(3)
    ]
    expected = np.concatenate(heads, axis=-1) @ layer.out.W.data
    np.testing.assert_allclose(layer(x, context).data, expected, rtol=1e-10)


def test_nobias_and_qkv_bias_select_the_biases() -> None:
    names = ["qkv.W", "qkv.b", "out.W", "out.b"]
    for nobias, qkv_bias, absent in (
        (False, None, ()),
        (True, None, ("qkv.b", "out.b")),
        (True, True, ("out.b",)),
        (False, False, ("qkv.b",)),
    ):
        layer = L.MultiHeadAttention(8, 2, nobias=nobias, qkv_bias=qkv_bias, in_size=8)
        assert [path for path, _ in layer.named_params()] == [name for name in names if name not in absent]


def test_rotary_scores_depend_on_relative_positions_only() -> None:
    layer = L.MultiHeadAttention(8, 2, rotary=100.0, in_size=8, dtype=np.float64, rng=0)
    x = normal(np.random.default_rng(1), 2, 5, 8)
    plain = layer(x, is_causal=True).data
    np.testing.assert_allclose(layer(x, is_causal=True, positions=7).data, plain, rtol=1e-10)
    rows = np.stack([np.arange(5), np.arange(5) + 3])
    np.testing.assert_allclose(layer(x, is_causal=True, positions=rows).data, plain, rtol=1e-10)
    assert abs(layer(x, is_causal=True, positions=np.array([0, 2, 3, 7, 9])).data - plain).max() > 1e-3


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
def test_query_with_all_keys_masked_returns_zeros(kind: str) -> None:
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


def test_masked_keys_do_not_affect_the_result() -> None:
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


def test_attention_dropout_is_inactive_in_test_mode() -> None:
    x = normal(np.random.default_rng(0), 2, 6, 4)
    layer = L.MultiHeadAttention(4, 2, dropout_ratio=0.5, in_size=4, dtype=np.float64, rng=0)
    plain = L.MultiHeadAttention(4, 2, in_size=4, dtype=np.float64, rng=0)
    assert abs(layer(x).data - plain(x).data).max() > 1e-3
    with passus.test_mode():
        np.testing.assert_array_equal(layer(x).data, plain(x).data)


def test_invalid_attention_arguments_raise() -> None:
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


def test_error_message_names_the_layer_once() -> None:
    with pytest.raises(ShapeError) as caught:
        L.MultiHeadAttention(4, 2)(np.ones(4, np.float32))
    assert str(caught.value).lower().count("multiheadattention") == 1
