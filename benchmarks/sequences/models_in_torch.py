"""The networks on sequences in PyTorch, and the loading of initial weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.sequences.problems import CLASSES, Recurrent, Transformer
from benchmarks.sequences.weights import Weights


class Classifier(nn.Module):
    """A recurrent layer, and a linear one on its last output."""

    def __init__(self, problem: Recurrent) -> None:
        super().__init__()
        self.recurrent = getattr(nn, problem.cell)(problem.inputs, problem.hidden, batch_first=True)
        self.out = nn.Linear(problem.hidden, CLASSES)
        # PyTorch adds two biases to each gate. If both were trained, their sum would move twice as fast as one bias.
        if problem.cell == "LSTM":
            self.recurrent.bias_hh_l0.requires_grad_(False)
        else:
            self.recurrent.bias_hh_l0.register_hook(lambda g: g * (torch.arange(len(g)) >= 2 * problem.hidden))

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.recurrent(x)
        return self.out(h[:, -1])


class Cache:
    """The past keys and values of each block, (1, heads, T, width), allocated for the longest sequence."""

    def __init__(self, sizes: Transformer, T: int) -> None:
        shape = sizes.layers, 1, sizes.heads, T, sizes.width // sizes.heads
        self.keys, self.values = torch.zeros(shape), torch.zeros(shape)
        self.positions = torch.arange(T)


class Block(nn.Module):
    """A transformer block; norms precede attention and inner layer in a GPT and follow them in BERT."""

    def __init__(self, sizes: Transformer, gelu: str, norm_first: bool, eps: float) -> None:
        super().__init__()
        D = sizes.width
        self.heads, self.gelu, self.norm_first = sizes.heads, gelu, norm_first
        self.norm1, self.qkv, self.project = nn.LayerNorm(D, eps), nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.norm2, self.up, self.down = nn.LayerNorm(D, eps), nn.Linear(D, 4 * D), nn.Linear(4 * D, D)

    def forward(self, x: Tensor, attend: Callable) -> Tensor:
        if self.norm_first:
            x = x + self.attention(self.norm1(x), attend)
            return x + self.inner(self.norm2(x))
        x = self.norm1(x + self.attention(x, attend))
        return self.norm2(x + self.inner(x))

    def attention(self, x: Tensor, attend: Callable) -> Tensor:
        N, T, D = x.shape
        q, k, v = (y.view(N, T, self.heads, -1).transpose(1, 2) for y in self.qkv(x).split(D, dim=2))
        return self.project(attend(q, k, v).transpose(1, 2).reshape(N, T, D))

    def inner(self, x: Tensor) -> Tensor:
        return self.down(functional.gelu(self.up(x), approximate=self.gelu))


def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True)


class GPT(nn.Module):
    def __init__(self, sizes: Transformer) -> None:
        super().__init__()
        D = sizes.width
        self.tokens, self.positions = nn.Embedding(sizes.vocabulary, D), nn.Embedding(sizes.T, D)
        self.blocks = nn.ModuleList(Block(sizes, "tanh", True, 1e-5) for _ in range(sizes.layers))
        self.norm = nn.LayerNorm(D, 1e-5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.tokens(x) + self.positions(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h, causal)
        return functional.linear(self.norm(h), self.tokens.weight)

    def cached(self, x: Tensor, positions: Tensor, cache: Cache) -> Tensor:
        """Return the logits after the last of the tokens ``x`` (1, T) at ``positions`` (T) of the sequence."""
        h = self.tokens(x) + self.positions(positions)
        mask = cache.positions <= positions[:, None]
        for block, keys, values in zip(self.blocks, cache.keys, cache.values):

            def attend(q: Tensor, k: Tensor, v: Tensor, keys: Tensor = keys, values: Tensor = values) -> Tensor:
                keys.index_copy_(2, positions, k)
                values.index_copy_(2, positions, v)
                return functional.scaled_dot_product_attention(q, keys, values, attn_mask=mask)

            h = block(h, attend)
        return functional.linear(self.norm(h[:, -1]), self.tokens.weight)


class SentenceEncoder(nn.Module):
    def __init__(self, sizes: Transformer) -> None:
        super().__init__()
        D = sizes.width
        self.tokens, self.positions = nn.Embedding(sizes.vocabulary, D), nn.Embedding(sizes.T, D)
        self.types, self.norm = nn.Embedding(2, D), nn.LayerNorm(D, 1e-12)
        self.blocks = nn.ModuleList(Block(sizes, "none", False, 1e-12) for _ in range(sizes.layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.tokens(x) + self.types(torch.zeros_like(x)) + self.positions(torch.arange(x.shape[1]))
        h = self.norm(h)
        for block in self.blocks:
            h = block(h, lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, mask[:, None, None]))
        valid = mask[:, :, None].to(h.dtype)
        return functional.normalize((h * valid).sum(1) / valid.sum(1), dim=1)


def load(model: nn.Module, weights: Weights) -> None:
    """Load weights by name; linear layers of PyTorch hold the transposed matrix."""
    state = {}
    for name, value in weights.items():
        owner, _, attribute = name.rpartition(".")
        module = model.get_submodule(owner) if attribute in ("weight", "bias") else None
        transposed = isinstance(module, nn.Linear) and value.ndim == 2
        state[name if module else f"{name}.weight"] = torch.from_numpy(value.T.copy() if transposed else value)
    model.load_state_dict(state)


def load_recurrent(model: Classifier, weights: Weights) -> None:
    hidden_bias = np.zeros_like(weights["input.bias"])
    if "hidden.bias" in weights:
        hidden_bias[-len(weights["hidden.bias"]) :] = weights["hidden.bias"]
    names = {
        "recurrent.weight_ih_l0": weights["input.weight"].T,
        "recurrent.weight_hh_l0": weights["hidden.weight"].T,
        "recurrent.bias_ih_l0": weights["input.bias"],
        "recurrent.bias_hh_l0": hidden_bias,
        "out.weight": weights["out.weight"].T,
        "out.bias": weights["out.bias"],
    }
    model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in names.items()})
