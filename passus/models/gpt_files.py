"""The mapping of language models' array names in Hugging Face files to ours.

GPT-2, with an optional prefix ``transformer.``; its matrices are (inputs, outputs), like ours:

| Hugging Face | passus |
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

Llama, Mistral and Qwen2; their matrices are (outputs, inputs), and are transposed. Rotary positions pair the features i and
i + D / 2 of a head in both. The biases of Qwen2 are named like the matrices, ``q_proj.bias`` like ``q_proj.weight``:

| Hugging Face | passus |
|---|---|
| ``model.embed_tokens.weight`` | ``embed.W`` |
| ``model.layers.0.input_layernorm.weight`` | ``transformer.layers.0.norm1.gamma`` |
| ``model.layers.0.self_attn.q_proj``, ``k_proj``, ``v_proj`` | ``transformer.layers.0.attention.qkv``, concatenated |
| ``model.layers.0.self_attn.o_proj`` | ``transformer.layers.0.attention.out`` |
| ``model.layers.0.post_attention_layernorm.weight`` | ``transformer.layers.0.norm2.gamma`` |
| ``model.layers.0.mlp.gate_proj``, ``up_proj`` | ``transformer.layers.0.feed_forward.gate_up``, concatenated |
| ``model.layers.0.mlp.down_proj`` | ``transformer.layers.0.feed_forward.out`` |
| ``model.norm.weight`` | ``transformer.norm.gamma`` |
| ``lm_head.weight`` (V, D) | ``head.W`` (D, V), or ``embed.W`` if they are tied |

Constants in the files (masks, frequencies) are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from passus.backend import Array
from passus.errors import WeightsError

__all__ = ["array_path", "converted", "from_gpt2", "from_llama", "is_gpt2", "is_llama"]

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
"""The layers of a block of Llama; layers with the same value are concatenated in this order."""

GPT2_ENDS = {
    "wte.weight": "embed.W",
    "wpe.weight": "position.W",
    "ln_f.weight": "transformer.norm.gamma",
    "ln_f.bias": "transformer.norm.beta",
}
"""The arrays outside the blocks of GPT-2."""

LLAMA_ENDS = {"embed_tokens.weight": "embed.W", "norm.weight": "transformer.norm.gamma"}
"""The arrays outside the blocks of Llama."""

NAME = re.compile(r"(layers\.\d+\.)(.+)(\.\w+)")
"""The block, the layer and the kind of an array of Llama."""

CONSTANT = re.compile(r"\.attn\.(masked_)?bias$|rotary_emb\.inv_freq$")
"""The names of constants."""


def converted(arrays: dict[str, Array], tied: bool) -> dict[str, Array]:
    """Rename the arrays of a GPT-2 or Llama file; those of other files are returned unchanged.

    ``tied``: whether the model uses the embedding matrix for the logits. Raises the errors of `from_gpt2` and `from_llama`.

    >>> list(converted({"h.1.attn.c_attn.weight": np.ones((2, 6))}, True))
    ['transformer.layers.1.attention.qkv.W']
    """
    if is_gpt2(arrays):
        return from_gpt2(arrays, tied)
    return from_llama(arrays, tied) if is_llama(arrays) else arrays


def is_gpt2(arrays: Mapping[str, Array]) -> bool:
    """Whether the names are those of GPT-2 in Hugging Face files.

    >>> is_gpt2({"transformer.h.0.attn.c_attn.weight": None}), is_gpt2({"embed.W": None})
    (True, False)
    """
    return any(re.search(r"(^|\.)h\.\d+\.attn\.c_attn\.weight$", name) for name in arrays)


def is_llama(arrays: Mapping[str, Array]) -> bool:
    """Whether the names are those of Llama in Hugging Face files.

    >>> is_llama({"model.layers.0.self_attn.q_proj.weight": None}), is_llama({"embed.W": None})
    (True, False)
    """
    return any(re.search(r"(^|\.)layers\.\d+\.self_attn\.q_proj\.weight$", name) for name in arrays)


def from_gpt2(arrays: Mapping[str, Array], tied: bool = True) -> dict[str, Array]:
    """Rename the arrays of a GPT-2 file; unknown names are unchanged.

    ``tied``: whether the model uses the embedding matrix for the logits. Raises `WeightsError` if it does but the file has a
    separate matrix.

    >>> W = np.ones((2, 6), np.float32)
    >>> list(from_gpt2({"transformer.wte.weight": W, "transformer.h.1.attn.c_attn.weight": W}))
    ['embed.W', 'transformer.layers.1.attention.qkv.W']
    """
    state: dict[str, Array] = {}
    for name, array in _weights(arrays, "transformer."):
        layer, _, kind = name.rpartition(".")
        match = re.fullmatch(r"h\.(\d+)\.(.+)", layer)
        if match and match[2] in GPT2:
            state[array_path(f"transformer.layers.{match[1]}.{GPT2[match[2]]}", kind)] = array
        else:
            state[GPT2_ENDS.get(name, name)] = array
    return _with_output_matrix(state, tied)


def from_llama(arrays: Mapping[str, Array], tied: bool = False) -> dict[str, Array]:
    """Rename the arrays of a Llama file; unknown names are unchanged.

    ``tied``: whether the model uses the embedding matrix for the logits. Raises `WeightsError` if it does but the file has a
    separate matrix, and if the matrices of queries, keys and values, or of gate and value, are incomplete or do not match.

    >>> q, k = np.ones((4, 4), np.float32), np.ones((2, 4), np.float32)
    >>> state = {f"model.layers.0.self_attn.{name}_proj.weight": W for name, W in zip("qkv", (q, k, k))}
    >>> {name: array.shape for name, array in from_llama(state).items()}
    {'transformer.layers.0.attention.qkv.W': (4, 8)}
    """
    state: dict[str, Array] = {}
    blocks: dict[str, dict[str, Array]] = {}
    for name, array in _weights(arrays, "model."):
        layer, _, kind = name.rpartition(".")
        match = re.fullmatch(r"layers\.(\d+)\.(.+)", layer)
        if match and match[2] in LLAMA:
            path = array_path(f"transformer.layers.{match[1]}.{LLAMA[match[2]]}", kind)
            blocks.setdefault(path, {})[name] = array.T
        else:
            state[LLAMA_ENDS.get(name, name)] = array
    for path, by_name in blocks.items():
        state[path] = _concatenated(by_name)
    return _with_output_matrix(state, tied)


def _weights(arrays: Mapping[str, Array], prefix: str) -> list[tuple[str, Array]]:
    """The trained arrays, by name without the prefix."""
    return [(name.removeprefix(prefix), array) for name, array in arrays.items() if not CONSTANT.search(name)]


def _concatenated(matrices: dict[str, Array]) -> Array:
    """The concatenation of matrices that are one in our layers. Raises `WeightsError` if they are incomplete or mismatched."""
    start, layer, kind = NAME.fullmatch(next(iter(matrices))).groups()  # type: ignore[union-attr]
    names = [f"{start}{name}{kind}" for name in LLAMA if LLAMA[name] == LLAMA[layer]]
    missing = [name for name in names if name not in matrices]
    if missing:
        raise WeightsError(f"{', '.join(missing)} missing beside {', '.join(matrices)}; the file is incomplete")
    arrays = [matrices[name] for name in names]
    if len(arrays) == 1:
        return arrays[0]
    if any(a.ndim not in (1, 2) or a.shape[:-1] != arrays[0].shape[:-1] for a in arrays):
        shapes = ", ".join(f"{name} {matrices[name].T.shape}" for name in names)
        raise WeightsError(f"{shapes}: these matrices must have equally many inputs, their last axis")
    return np.concatenate(arrays, axis=-1)


def array_path(layer: str, kind: str) -> str:
    """Our path of the "weight" or "bias" of a layer.

    >>> array_path("transformer.layers.0.norm1", "weight"), array_path("transformer.layers.0.attention.qkv", "bias")
    ('transformer.layers.0.norm1.gamma', 'transformer.layers.0.attention.qkv.b')
    """
    is_norm = layer.rpartition(".")[2].startswith("norm")
    names = {"weight": "gamma", "bias": "beta"} if is_norm else {"weight": "W", "bias": "b"}
    return f"{layer}.{names.get(kind, kind)}"


def _with_output_matrix(state: dict[str, Array], tied: bool) -> dict[str, Array]:
    """The state with the output matrix renamed, or dropped if it is tied to the embedding."""
    matrix = state.pop("lm_head.weight", None)
    if matrix is None:
        return state
    embedding = state.get("embed.W")
    if not tied:
        state["head.W"] = matrix.T
    elif embedding is not None and not np.array_equal(matrix, embedding):
        raise WeightsError(
            "the output matrix of the file (lm_head.weight) differs from its embedding; create the model with tied=False"
        )
    return state
