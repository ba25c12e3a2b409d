"""The configuration of published language models: Hugging Face's ``config.json`` as options of `GPT`.

``model_type`` is "gpt2", "llama", "mistral" or "qwen2". GPT-2:

| Hugging Face | passus |
|---|---|
| ``vocab_size``, ``n_layer``, ``n_head``, ``n_embd`` | ``vocab_size``, ``n_layers``, ``n_heads``, ``d_model`` |
| ``n_positions`` | ``max_len`` |
| ``n_inner``, ``activation_function``, ``layer_norm_epsilon`` | ``d_hidden``, ``activation``, ``eps`` |
| ``tie_word_embeddings`` | ``tied`` |

The others:

| Hugging Face | passus |
|---|---|
| ``vocab_size``, ``num_hidden_layers``, ``num_attention_heads``, ``hidden_size`` | ``vocab_size``, ``n_layers``, ``n_heads``, ``d_model`` |
| ``max_position_embeddings`` | ``max_len`` |
| ``sliding_window`` of Mistral, and of Qwen2 with ``use_sliding_window``| an upper bound of ``max_len``; within it, the window covers all keys |
| ``intermediate_size``, ``rms_norm_eps``, ``num_key_value_heads``, ``head_dim`` | ``d_hidden``, ``eps``, ``n_kv_heads``, ``d_head`` |
| ``rope_theta``; ``rope_scaling`` of type "linear" or "llama3" | ``rotary_base``, ``rotary_scaling`` |
| ``rope_parameters``, which holds both | the same |
| ``attention_bias`` and ``mlp_bias`` of Llama, both of them | ``nobias=False`` |
| ``tie_word_embeddings`` | ``tied`` |

Unsupported options that would change the result raise. Missing options have Hugging Face's defaults; sizes are required.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

from passus.arguments import LONGEST, checked_count, checked_flag, checked_number, shown
from passus.errors import ArgumentError, DTypeError, MissingWeightsError, WeightsError
from passus.functions import RotaryScaling
from passus.serializers.json_files import json_object
from passus.serializers.weights import shapes_in_weights

__all__ = ["AS_LLAMA", "options_of", "verify_sizes", "weights_in"]

AS_LLAMA: Mapping[str, Any] = MappingProxyType(
    {"positions": "rotary", "norm": "rms", "activation": "swiglu", "nobias": True, "tied": False}
)
"""The options in which Llama differs from GPT-2, except sizes."""

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""The weights in a folder: the first of these files that exists."""

GELU = dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_fast"), "gelu_tanh")
ACTIVATIONS = {**GELU, "gelu": "gelu", "relu": "relu", "silu": "silu", "swish": "silu"}
"""The supported activations of GPT-2, by Hugging Face's names."""

REQUIRED: dict[str, dict[str, Any]] = {
    "gpt2": {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False},
    "llama": {"hidden_act": "silu", "partial_rotary_factor": 1.0},
    "mistral": {"hidden_act": "silu", "partial_rotary_factor": 1.0, "attention_bias": False},
    "qwen2": {"hidden_act": "silu", "partial_rotary_factor": 1.0},
}
"""Options that support one value only, which is also the default, by model type."""


def options_of(path: Path) -> dict[str, Any]:
    """The options of `GPT` for the model that a ``config.json`` describes.

    Raises `WeightsError` for a file that is damaged or not supported, `MissingWeightsError` for a missing file.
    """
    config = _Config(path)
    try:
        kind = config.choice("model_type", {kind: kind for kind in REQUIRED}, None)
        for name, value in {"quantization_config": None, **REQUIRED[kind]}.items():
            config.choice(name, {value: value}, value)
        return _gpt2(config) if kind == "gpt2" else _llama(config, kind)
    except (ArgumentError, DTypeError) as error:
        start = "" if error.message.startswith(str(path)) else f"{path}: "
        raise WeightsError(f"{start}{error.message}") from error


def weights_in(folder: Path) -> Path:
    """The file of the weights in a folder, or the index of its shards. Raises `MissingWeightsError` if both are missing."""
    for name in WEIGHTS:
        if (folder / name).exists():
            return folder / name
    raise MissingWeightsError(f"{folder}: neither {' nor '.join(WEIGHTS)} exists; download one of them")


def verify_sizes(path: Path, options: dict[str, Any]) -> None:
    """Raise `WeightsError` unless the weight files are complete and hold layers of the sizes in ``options``.

    No array is read or allocated, so a wrong configuration cannot exhaust memory.
    """
    shapes = {
        name.removeprefix("model.").removeprefix("transformer."): s for name, s in shapes_in_weights(path).items()
    }
    V, D, hidden = options["vocab_size"], options["d_model"], options["d_hidden"]
    if options["positions"] == "learned":
        ends = {"wte.weight": (V, D), "wpe.weight": (options["max_len"], D)}
        block = {"h.{}.mlp.c_fc.weight": (D, hidden)}
    else:
        features = options["n_heads"] * (options["d_head"] or D // options["n_heads"])
        ends = {"embed_tokens.weight": (V, D)}
        block = {"layers.{}.self_attn.q_proj.weight": (features, D), "layers.{}.mlp.down_proj.weight": (D, hidden)}
    blocks = ((name.format(i), shape) for i in range(options["n_layers"]) for name, shape in block.items())
    for name, shape in chain(ends.items(), blocks):
        if name not in shapes:
            raise WeightsError(
                f"{path}: {name} is missing; config.json describes one of shape {shape}; download matching files"
            )
        if shapes[name] != shape:
            raise WeightsError(
                f"{path}: {name} has shape {shapes[name]}; config.json describes {shape}; download matching files"
            )


class _Config:
    """The values of a configuration; null is treated as missing."""

    def __init__(self, path: Path, within: str = "", values: dict[str, Any] | None = None) -> None:
        self.path, self.within = path, within
        values = json_object(path, "configuration") if values is None else values
        self.names = values.keys()
        self.values = {name: value for name, value in values.items() if value is not None}

    def count(self, name: str, default: int | None = None) -> int:
        return checked_count(str(self.path), self.within + name, self._value(name, default))

    def number(self, name: str, default: float | None = None) -> float:
        return checked_number(str(self.path), self.within + name, self._value(name, default), open_low=True)

    def flag(self, name: str, default: bool) -> bool:
        return checked_flag(str(self.path), self.within + name, self._value(name, default))

    def choice(self, name: str, known: dict[Any, Any], default: Any) -> Any:
        """Our name of a value. Raises `WeightsError` unless it is one of ``known``."""
        value = self.values.get(name, default)
        if isinstance(value, (dict, list)) or value not in known:
            others = ", ".join(map(repr, known))
            raise WeightsError(
                f"{self.path}: {self.within}{name} is {shown(value)}, which is not supported; supported: {others}"
            )
        return known[value]

    def section(self, name: str) -> _Config:
        """The values of a nested object; empty if it is missing."""
        values = self.values.get(name, {})
        if not isinstance(values, dict):
            raise WeightsError(f"{self.path}: {self.within}{name} is {shown(values)}; expected an object")
        return _Config(self.path, f"{self.within}{name}.", values)

    def _value(self, name: str, default: Any) -> Any:
        value = self.values.get(name, default)
        if value is None:
            raise WeightsError(
                f"{self.path}: {self.within}{name} is missing; download the configuration of these weights"
            )
        return value


def _gpt2(config: _Config) -> dict[str, Any]:
    d_model = config.count("n_embd")
    return {
        "vocab_size": config.count("vocab_size"),
        "n_layers": config.count("n_layer"),
        "n_heads": config.count("n_head"),
        "d_model": d_model,
        "max_len": config.count("n_positions"),
        "d_hidden": config.count("n_inner", 4 * d_model),
        "positions": "learned",
        "activation": config.choice("activation_function", ACTIVATIONS, "gelu_new"),
        "eps": config.number("layer_norm_epsilon", 1e-5),
        "tied": config.flag("tie_word_embeddings", True),
    }


def _llama(config: _Config, kind: str) -> dict[str, Any]:
    n_heads = config.count("num_attention_heads")
    # Old configurations of Llama lack the name; null means all heads for every model.
    all_heads = n_heads if kind == "llama" or "num_key_value_heads" in config.names else None
    rope = config.section("rope_parameters" if "rope_parameters" in config.values else "rope_scaling")
    return {
        **AS_LLAMA,
        "vocab_size": config.count("vocab_size"),
        "n_layers": config.count("num_hidden_layers"),
        "n_heads": n_heads,
        "d_model": config.count("hidden_size"),
        "max_len": min(config.count("max_position_embeddings"), _window(config, kind)),
        "d_hidden": config.count("intermediate_size"),
        "eps": config.number("rms_norm_eps", 1e-6),
        "n_kv_heads": config.count("num_key_value_heads", all_heads),
        "d_head": config.count("head_dim") if "head_dim" in config.values else None,
        "nobias": kind != "llama" or not _has_biases(config),
        "qkv_bias": True if kind == "qwen2" else None,
        "rotary_base": rope.number("rope_theta", config.number("rope_theta", 10000.0)),
        "rotary_scaling": _scaling(rope),
        "tied": config.flag("tie_word_embeddings", False),
    }


def _window(config: _Config, kind: str) -> int:
    """The number of keys that a query attends to."""
    if kind == "mistral" and "sliding_window" not in config.names:
        return 4096
    limited = kind == "mistral" or (kind == "qwen2" and config.flag("use_sliding_window", False))
    return config.count("sliding_window") if limited and "sliding_window" in config.values else LONGEST


def _has_biases(config: _Config) -> bool:
    attention, mlp = config.flag("attention_bias", False), config.flag("mlp_bias", False)
    if attention != mlp:
        raise WeightsError(
            f"{config.path}: attention_bias is {attention} and mlp_bias is {mlp}, which is not supported; both must be equal"
        )
    return attention


def _scaling(rope: _Config) -> RotaryScaling | None:
    """The scaling of the rotary frequencies."""
    if not rope.values:
        return None
    rope.choice("partial_rotary_factor", {1.0: 1.0}, 1.0)
    name = "type" if "type" in rope.values and "rope_type" not in rope.values else "rope_type"
    kind = rope.choice(name, {known: known for known in ("default", "linear", "llama3")}, None)
    if kind == "default":
        return None
    if kind == "linear":
        return RotaryScaling(rope.number("factor"))
    return RotaryScaling(
        rope.number("factor"),
        rope.number("low_freq_factor"),
        rope.number("high_freq_factor"),
        rope.count("original_max_position_embeddings"),
    )
