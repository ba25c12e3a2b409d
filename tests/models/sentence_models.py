"""BERT with a mean over its tokens in plain PyTorch, and states with the names of published files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class MeanBert(nn.Module):
    """Maps tokens (N, T) to vectors of length 1; built from a state with the names of Hugging Face."""

    def __init__(self, state: Mapping[str, torch.Tensor], heads: int) -> None:
        super().__init__()
        words = state["embeddings.word_embeddings.weight"]
        inner = state["encoder.layer.0.intermediate.dense.weight"]
        depth = len([name for name in state if name.endswith("attention.self.query.weight")])
        self.embeddings = [state[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
        self.norm = nn.LayerNorm(words.shape[1], eps=1e-12, dtype=words.dtype)
        self.norm.load_state_dict({name: state[f"embeddings.LayerNorm.{name}"] for name in ("weight", "bias")})
        self.layers = nn.ModuleList()
        for i in range(depth):
            layer = nn.TransformerEncoderLayer(
                words.shape[1],
                heads,
                len(inner),
                dropout=0.0,
                activation="gelu",
                layer_norm_eps=1e-12,
                batch_first=True,
                norm_first=False,
                dtype=words.dtype,
            )
            layer.load_state_dict(of_layer(state, f"encoder.layer.{i}."))
            self.layers.append(layer)

    def forward(self, ids: Any, real: Any, segments: Any) -> Any:
        words, positions, types = self.embeddings
        x = self.norm(words[ids] + positions[: ids.shape[1]] + types[segments])
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=~real)
        x = x.masked_fill(~real[..., None], 0.0).sum(1) / real.sum(1, keepdim=True)
        return nn.functional.normalize(x, dim=-1)


def of_layer(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The state of a `torch.nn.TransformerEncoderLayer`."""
    names = {
        "self_attn.out_proj": "attention.output.dense",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm1": "attention.output.LayerNorm",
        "norm2": "output.LayerNorm",
    }
    found = {f"{ours}.{kind}": state[f"{prefix}{name}.{kind}"] for ours, name in names.items() for kind in KINDS}
    for kind in KINDS:
        projections = [state[f"{prefix}attention.self.{name}.{kind}"] for name in ("query", "key", "value")]
        found[f"self_attn.in_proj_{kind}"] = torch.cat(projections)
    return found


KINDS = ("weight", "bias")


def random_state(
    vocab: int, depth: int, width: int, inner: int, length: int, dtype: torch.dtype = torch.float32
) -> dict[str, torch.Tensor]:
    """A random state with the names and shapes of a published file."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (vocab, width),
        "embeddings.position_embeddings.weight": (length, width),
        "embeddings.token_type_embeddings.weight": (2, width),
        "pooler.dense.weight": (width, width),
        "pooler.dense.bias": (width,),
    }
    norms = ["embeddings.LayerNorm"]
    for prefix in [f"encoder.layer.{i}." for i in range(depth)]:
        square = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
        sizes = dict.fromkeys(square, (width, width))
        sizes |= {"intermediate.dense": (inner, width), "output.dense": (width, inner)}
        for name, size in sizes.items():
            shapes |= {f"{prefix}{name}.weight": size, f"{prefix}{name}.bias": size[:1]}
        norms += [f"{prefix}attention.output.LayerNorm", f"{prefix}output.LayerNorm"]
    shapes |= {f"{name}.{kind}": (width,) for name in norms for kind in KINDS}
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=generator, dtype=dtype) * 0.4 for name, shape in shapes.items()}
    state["embeddings.position_ids"] = torch.arange(length)[None]
    return state
