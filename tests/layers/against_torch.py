"""Copies of weights from layers of attention to those of PyTorch, and a comparison of results and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import passus.layers as L
from passus import Variable
from tests.helpers.against_torch import single_torch_thread as single_torch_thread

DRAWS = list(range(6))
WIDER = {"d_head": 6, "nobias": True, "qkv_bias": True, "n_kv_heads": 1}


def drawn(seed: int) -> tuple[np.random.Generator, dict[str, int]]:
    """A generator and random sizes for a layer."""
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
    """Assign random numbers to all parameters, biases and scales included."""
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
    """Copy the weights of an encoder or decoder layer."""
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
