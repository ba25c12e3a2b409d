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

Llama, Mistral and Qwen2; their matrices are (outputs, inputs), and are transposed. Pairs of rotary positions are features i
and i + D / 2 of a head in both. The biases that Qwen2 has are beside the matrices, ``q_proj.bias`` beside ``q_proj.weight``:

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

__all__ = ["from_gpt2", "from_llama", "in_our_form", "is_gpt2s", "is_llamas"]

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
    "input_layernorm": "norm1",
    "post_attention_layernorm": "norm2",
    "self_attn.q_proj": "attention.qkv",
    "self_attn.k_proj": "attention.qkv",
    "self_attn.v_proj": "attention.qkv",
    "self_attn.o_proj": "attention.out",
    "mlp.gate_proj": "feed_forward.gate_up",
    "mlp.up_proj": "feed_forward.gate_up",
    "mlp.down_proj": "feed_forward.out",
}
"""The layers of a block of Llama; those of one name are side by side here, in this order."""

GPT2_ENDS = {
    "wte.weight": "embed.W",
    "wpe.weight": "position.W",
    "ln_f.weight": "transformer.norm.gamma",
    "ln_f.bias": "transformer.norm.beta",
}
"""What is around the blocks of GPT-2."""

LLAMA_ENDS = {"embed_tokens.weight": "embed.W", "norm.weight": "transformer.norm.gamma"}
"""What is around those of Llama."""

NAME = re.compile(r"(layers\.\d+\.)(.+)(\.\w+)")
"""The block, the layer and the kind of an array of Llama."""

CONSTANT = re.compile(r"\.attn\.(masked_)?bias$|rotary_emb\.inv_freq$")
"""What is no weight."""


def in_our_form(arrays: dict[str, Array], tied: bool) -> dict[str, Array]:
    """The arrays of a file of GPT-2 or Llama under our names; those of any other file as they are.

    ``tied``: whether the model has no matrix of its own for the logits. Raises what `from_gpt2` and `from_llama` raise.

    >>> list(in_our_form({"h.1.attn.c_attn.weight": np.ones((2, 6))}, True))
    ['transformer.layers.1.attention.qkv.W']
    """
    if is_gpt2s(arrays):
        return from_gpt2(arrays, tied)
    return from_llama(arrays, tied) if is_llamas(arrays) else arrays


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

    ``tied``: whether the model has no matrix of its own for the logits. Raises `WeightsError` if it is tied and the file is not,
    and if queries, keys and values, or gate and value, are not all there, or do not fit side by side.

    >>> q, k = np.ones((4, 4), np.float32), np.ones((2, 4), np.float32)
    >>> state = {f"model.layers.0.self_attn.{name}_proj.weight": W for name, W in zip("qkv", (q, k, k))}
    >>> {name: array.shape for name, array in from_llama(state).items()}
    {'transformer.layers.0.attention.qkv.W': (4, 8)}
    """
    state: dict[str, Array] = {}
    parts: dict[str, dict[str, Array]] = {}
    for name, array in _weights(arrays, "model."):
        layer, _, kind = name.rpartition(".")
        found = re.fullmatch(r"layers\.(\d+)\.(.+)", layer)
        if found and found[2] in LLAMA:
            parts.setdefault(_path(found[1], LLAMA[found[2]], kind), {})[name] = array.T
        else:
            state[LLAMA_ENDS.get(name, name)] = array
    for path, by_name in parts.items():
        state[path] = _side_by_side(by_name)
    return _with_head(state, tied)


def _weights(arrays: Mapping[str, Array], prefix: str) -> list[tuple[str, Array]]:
    """What is learnt, by its name behind the prefix."""
    return [(name.removeprefix(prefix), array) for name, array in arrays.items() if not CONSTANT.search(name)]


def _side_by_side(parts: dict[str, Array]) -> Array:
    """One matrix of those of a block that are one here. Raises `WeightsError` if one is missing or does not fit."""
    start, layer, kind = NAME.fullmatch(next(iter(parts))).groups()  # type: ignore[union-attr]
    names = [f"{start}{name}{kind}" for name in LLAMA if LLAMA[name] == LLAMA[layer]]
    missing = [name for name in names if name not in parts]
    if missing:
        raise WeightsError(f"{', '.join(missing)} missing beside {', '.join(parts)}; the file is incomplete")
    arrays = [parts[name] for name in names]
    if len(arrays) == 1:
        return arrays[0]
    if any(a.ndim not in (1, 2) or a.shape[:-1] != arrays[0].shape[:-1] for a in arrays):
        shapes = ", ".join(f"{name} {parts[name].T.shape}" for name in names)
        raise WeightsError(f"{shapes}: these matrices must have as many inputs, their last axis, each")
    return np.concatenate(arrays, axis=-1)


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
