"""Encoder and decoder layers against PyTorch's, positions, and recomputation."""

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
from passus.errors import ArgumentError, ShapeError
from passus.testing import check_grads
from tests.helpers.against_torch import single_torch_thread as single_torch_thread
from tests.layers.against_torch import (
    DRAWS,
    agree,
    copy_layer,
    drawn,
    normal,
    randomize,
    tensor,
)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("seed", DRAWS[:3])
def test_encoder_layer_agrees_with_pytorch(seed: int, pre_norm: bool, activation: str) -> None:
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
def test_decoder_layer_agrees_with_pytorch(seed: int, pre_norm: bool) -> None:
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


def test_encoder_stack_agrees_with_pytorch(single_torch_thread: None) -> None:
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


def test_invalid_transformer_arguments_raise() -> None:
    with pytest.raises(ArgumentError, match="TransformerEncoderLayer: norm must be one of layer, rms, not 'batch'"):
        L.TransformerEncoderLayer(4, 2, norm="batch")
    with pytest.raises(ArgumentError, match="activation must be one of"):
        L.TransformerEncoderLayer(4, 2, activation="cube")
    with pytest.raises(TypeError, match="heads"):
        L.TransformerEncoder(2, 4, 2, heads=3)
    with pytest.raises(ShapeError, match=r"transformerencoder\.layers\.0\.norm1: layer_norm"):
        L.TransformerEncoder(1, 4, 2)(np.ones((1, 2, 3), np.float32))


def test_swiglu_equals_its_formula() -> None:
    layer = L.SwiGLU(3, 5, rng=0)
    x = normal(np.random.default_rng(0), 2, 3).astype(np.float32)
    gate, up = np.split(layer.gate_up.W.data, 2, axis=1)
    expected = ((x @ gate) / (1 + np.exp(-x @ gate)) * (x @ up)) @ layer.out.W.data
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-5, atol=1e-6)
    assert [path for path, _ in layer.named_params()] == ["gate_up.W", "out.W"]


# Positions.


def test_position_layers_add_position_vectors() -> None:
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
    """The result, all gradients, and the peak memory."""
    stack.cleargrads()
    tracemalloc.start()
    with passus.random.using_rng(0):
        y = stack(Variable(x), is_causal=True)
    (y * y).sum().backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return y.data, [p.grad.data for p in stack.params() if p.grad is not None], peak


def test_recompute_gives_equal_gradients_in_half_the_memory() -> None:
    x = normal(np.random.default_rng(0), 2, 64, 16)
    stored = L.TransformerEncoder(6, 16, 2, dropout_ratio=0.1, dtype=np.float64, rng=0)
    recomputed = L.TransformerEncoder(6, 16, 2, dropout_ratio=0.1, dtype=np.float64, rng=0, recompute=True)
    y0, g0, peak0 = gradients_of(stored, x)
    y1, g1, peak1 = gradients_of(recomputed, x)
    np.testing.assert_array_equal(y0, y1)
    assert len(g0) == len(g1) == len(list(stored.params()))
    for a, b in zip(g0, g1):
        np.testing.assert_array_equal(a, b)
    assert peak1 < 0.5 * peak0
