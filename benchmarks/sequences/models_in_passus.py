"""The networks on sequences in passus that are not among its models, and the loading of initial weights."""

from __future__ import annotations

from typing import Any

import numpy as np

import passus.functions as F
import passus.layers as L
from benchmarks.sequences.problems import CLASSES, Recurrent, Transformer
from benchmarks.sequences.weights import Weights


class Classifier(L.Layer):
    """A recurrent layer, and a linear one on its last output."""

    def __init__(self, problem: Recurrent) -> None:
        self.recurrent = getattr(L, problem.cell)(problem.hidden, problem.inputs)
        self.out = L.Linear(CLASSES, in_size=problem.hidden)

    def forward(self, x: np.ndarray) -> Any:
        return self.out(self.recurrent(x)[:, -1])


class SentenceEncoder(L.Layer):
    def __init__(self, sizes: Transformer) -> None:
        D = sizes.width
        self.embed, self.types = L.Embedding(sizes.vocabulary, D), L.Embedding(2, D)
        self.position, self.norm = L.PositionEmbedding(sizes.T, D), L.LayerNorm(D, eps=1e-12)
        self.transformer = L.TransformerEncoder(sizes.layers, D, sizes.heads, pre_norm=False, eps=1e-12)

    def forward(self, x: np.ndarray, mask: np.ndarray) -> Any:
        h = self.norm(self.position(self.embed(x) + self.types(np.zeros_like(x))))
        h = self.transformer(h, key_mask=mask)
        valid = mask[:, :, None].astype(np.float32)
        mean = (h * valid).sum(axis=1) / valid.sum(axis=1)
        return mean / F.norm(mean, axis=1, keepdims=True)


BLOCK = {
    "qkv": "attention.qkv",
    "project": "attention.out",
    "up": "feed_forward.hidden",
    "down": "feed_forward.out",
}
"""Names of the layers of a transformer block; those of norms do not differ."""


def load_transformer(model: L.Layer, weights: Weights) -> None:
    """Load the weights of a GPT or a `SentenceEncoder`; the last norm of a GPT is inside the stack."""
    stack = "" if "types" in weights else "transformer."
    names = {"tokens": "embed.W", "positions": "position.W", "types": "types.W"}
    names |= {f"norm.{end}": f"{stack}norm.{passus_name(end, True)}" for end in ("weight", "bias")}
    for name in weights:
        if name.startswith("blocks."):
            _, i, layer, end = name.split(".")
            names[name] = (
                f"transformer.layers.{i}.{BLOCK.get(layer, layer)}.{passus_name(end, layer.startswith('norm'))}"
            )
    model.load_state_dict({names[name]: value for name, value in weights.items()})


def passus_name(end: str, norm: bool) -> str:
    return {"weight": "gamma", "bias": "beta"}[end] if norm else {"weight": "W", "bias": "b"}[end]


def load_recurrent(model: Classifier, weights: Weights) -> None:
    names = {"input.weight": "recurrent.l0.W_x", "hidden.weight": "recurrent.l0.W_h", "out.weight": "out.W"}
    names |= {"input.bias": "recurrent.l0.b", "hidden.bias": "recurrent.l0.b_h", "out.bias": "out.b"}
    model.load_state_dict({names[name]: value for name, value in weights.items()})
