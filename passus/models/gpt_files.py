"""How the parts of language models are called in files with Hugging Face's names, and here.

GPT-2, with or without ``transformer.`` in front; its matrices are (inputs, outputs), as ours:

| there | here |
|---|---|
| ``wte.weight`` | ``embed.W`` |
| ``wpe.weight`` | ``position.W`` |
| ``h.0.ln_1.weight``, ``.bias`` | ``transformer.layers.0.norm1.gamma``, ``.beta`` |
| ``h.0.attn.c_attn.weight``, ``.bias`` | ``transformer.layers.0.attention.qkv.W``, ``.b`` |
| ``h.0.attn.c_proj.weight``, ``.bias`` | ``transformer.layers.0.attention.out.W``, ``.b`` |
| ``h.0.ln_2.weight``, ``.bias`` | ``transformer.layers.0.norm2.gamma``, ``.beta`` |
| ``h.0.mlp.c_fc.weight``, ``.bias`` | ``transformer.layers.0.feed_forward.hidden.W``, ``.b`` |
| ``h.0.mlp.c_proj.weight``, ``.bias`` | ``transformer.layers.0.feed_forward.out.W``, ``.b`` |
| ``ln_f.weight``, ``.bias`` | ``transformer.norm.gamma``, ``.beta`` |
| ``lm_head.weight`` (V, D) | ``head.W`` (D, V), or ``embed.W`` if they are tied |

Llama; its matrices are (outputs, inputs), and are transposed. Pairs of rotary positions are features i and i + D / 2 of a
head in both:

| there | here |
|---|---|
| ``model.embed_tokens.weight`` | ``embed.W`` |
| ``model.layers.0.input_layernorm.weight`` | ``transformer.layers.0.norm1.gamma`` |
| ``model.layers.0.self_attn.q_proj``, ``k_proj``, ``v_proj`` | ``transformer.layers.0.attention.qkv``, side by side |
| ``model.layers.0.self_attn.o_proj`` | ``transformer.layers.0.attention.out`` |
| ``model.layers.0.post_attention_layernorm.weight`` | ``transformer.layers.0.norm2.gamma`` |
| ``model.layers.0.mlp.gate_proj``, ``up_proj`` | ``transformer.layers.0.feed_forward.gate_up``, side by side |
| ``model.layers.0.mlp.down_proj`` | ``transformer.layers.0.feed_forward.out`` |
| ``model.norm.weight`` | ``transformer.norm.gamma`` |
| ``lm_head.weight`` (V, D) | ``head.W`` (D, V), or ``embed.W`` if they are tied |

Constants that such files may hold (masks, frequencies) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from passus.backend import Array
from passus.errors import WeightsError

__all__ = ["from_gpt2", "from_llama", "is_gpt2s", "is_llamas"]

GPT2 = {
    "ln_1": "norm1",
    "ln_2": "norm2",
    "attn.c_attn": "attention.qkv",
    "attn.c_proj": "attention.out",
    "mlp.c_fc": "feed_forward.hidden",
    "mlp.c_proj": "feed_forward.out",
}
"""The layers of a block of GPT-2."""

LLAMA = {
    "input_layernorm": ("norm1", 0),
    "post_attention_layernorm": ("norm2", 0),
    "self_attn.q_proj": ("attention.qkv", 0),
    "self_attn.k_proj": ("attention.qkv", 1),
    "self_attn.v_proj": ("attention.qkv", 2),
    "self_attn.o_proj": ("attention.out", 0),
    "mlp.gate_proj": ("feed_forward.gate_up", 0),
    "mlp.up_proj": ("feed_forward.gate_up", 1),
    "mlp.down_proj": ("feed_forward.out", 0),
}
"""The layers of a block of Llama, and the place of each in a matrix of several."""

GPT2_ENDS = {
    "wte.weight": "embed.W",
    "wpe.weight": "position.W",
    "ln_f.weight": "transformer.norm.gamma",
    "ln_f.bias": "transformer.norm.beta",
}
"""What is around the blocks of GPT-2."""

LLAMA_ENDS = {"embed_tokens.weight": "embed.W", "norm.weight": "transformer.norm.gamma"}
"""What is around those of Llama."""

CONSTANT = re.compile(r"\.attn\.(masked_)?bias$|rotary_emb\.inv_freq$")
"""What is no weight."""


def is_gpt2s(arrays: Mapping[str, Array]) -> bool:
    """Whether arrays are named as those of GPT-2.

    >>> is_gpt2s({"transformer.h.0.attn.c_attn.weight": None}), is_gpt2s({"embed.W": None})
    (True, False)
    """
    return any(re.search(r"(^|\.)h\.\d+\.attn\.c_attn\.weight$", name) for name in arrays)


def is_llamas(arrays: Mapping[str, Array]) -> bool:
    """Whether arrays are named as those of Llama.

    >>> is_llamas({"model.layers.0.self_attn.q_proj.weight": None}), is_llamas({"embed.W": None})
    (True, False)
    """
    return any(re.search(r"(^|\.)layers\.\d+\.self_attn\.q_proj\.weight$", name) for name in arrays)


def from_gpt2(arrays: Mapping[str, Array], tied: bool = True) -> dict[str, Array]:
    """The arrays of a file of GPT-2 under our names; what has no counterpart keeps its name.

    ``tied``: whether the model has no matrix of its own for the logits. Raises `WeightsError` if it is tied and the file is not.

    >>> W = np.ones((2, 6), np.float32)
    >>> list(from_gpt2({"transformer.wte.weight": W, "transformer.h.1.attn.c_attn.weight": W}))
    ['embed.W', 'transformer.layers.1.attention.qkv.W']
    """
    state: dict[str, Array] = {}
    for name, array in _weights(arrays, "transformer."):
        layer, _, kind = name.rpartition(".")
        found = re.fullmatch(r"h\.(\d+)\.(.+)", layer)
        if found and found[2] in GPT2:
            state[_path(found[1], GPT2[found[2]], kind)] = array
        else:
            state[GPT2_ENDS.get(name, name)] = array
    return _with_head(state, tied)


def from_llama(arrays: Mapping[str, Array], tied: bool = False) -> dict[str, Array]:
    """The arrays of a file of Llama under our names; what has no counterpart keeps its name.

    ``tied``: whether the model has no matrix of its own for the logits. Raises `WeightsError` if it is tied and the file is not.

    >>> q, k = np.ones((4, 4), np.float32), np.ones((2, 4), np.float32)
    >>> state = {f"model.layers.0.self_attn.{name}_proj.weight": W for name, W in zip("qkv", (q, k, k))}
    >>> {name: array.shape for name, array in from_llama(state).items()}
    {'transformer.layers.0.attention.qkv.W': (4, 8)}
    """
    state: dict[str, Array] = {}
    parts: dict[str, dict[int, Array]] = {}
    for name, array in _weights(arrays, "model."):
        layer, _, kind = name.rpartition(".")
        found = re.fullmatch(r"layers\.(\d+)\.(.+)", layer)
        if found and found[2] in LLAMA:
            ours, place = LLAMA[found[2]]
            parts.setdefault(_path(found[1], ours, kind), {})[place] = array.T
        else:
            state[LLAMA_ENDS.get(name, name)] = array
    for path, found_parts in parts.items():
        side_by_side = [found_parts[place] for place in sorted(found_parts)]
        state[path] = side_by_side[0] if len(side_by_side) == 1 else np.concatenate(side_by_side, axis=-1)
    return _with_head(state, tied)


def _weights(arrays: Mapping[str, Array], prefix: str) -> list[tuple[str, Array]]:
    """What is learnt, by its name behind the prefix."""
    return [(name.removeprefix(prefix), array) for name, array in arrays.items() if not CONSTANT.search(name)]


def _path(block: str, layer: str, kind: str) -> str:
    names = {"weight": "gamma", "bias": "beta"} if "norm" in layer else {"weight": "W", "bias": "b"}
    return f"transformer.layers.{block}.{layer}.{names.get(kind, kind)}"


def _with_head(state: dict[str, Array], tied: bool) -> dict[str, Array]:
    """The state with the matrix of the logits in our form."""
    matrix = state.pop("lm_head.weight", None)
    if matrix is None:
        return state
    embedding = state.get("embed.W")
    if not tied:
        state["head.W"] = matrix.T
    elif embedding is not None and not np.array_equal(matrix, embedding):
        raise WeightsError(
            "the file has another matrix for the logits (lm_head.weight) than for the embedding; make the model with tied=False"
        )
    return state
