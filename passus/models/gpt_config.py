"""Folders of published language models: what ``config.json`` says with Hugging Face's names, as options of `GPT`.

``model_type`` is "gpt2", "llama", "mistral" or "qwen2". GPT-2:

| there | here |
|---|---|
| ``vocab_size``, ``n_layer``, ``n_head``, ``n_embd`` | ``vocab_size``, ``n_layers``, ``n_heads``, ``d_model`` |
| ``n_positions`` | ``max_len`` |
| ``n_inner``, ``activation_function``, ``layer_norm_epsilon`` | ``d_hidden``, ``activation``, ``eps`` |
| ``tie_word_embeddings`` | ``tied`` |

The others:

| there | here |
|---|---|
| ``vocab_size``, ``num_hidden_layers``, ``num_attention_heads``, ``hidden_size`` | ``vocab_size``, ``n_layers``, ``n_heads``, ``d_model`` |
| ``max_position_embeddings`` | ``max_len`` |
| ``sliding_window`` of Mistral, and of Qwen2 with ``use_sliding_window`` | at most this ``max_len``, up to which no key is outside of it |
| ``intermediate_size``, ``rms_norm_eps``, ``num_key_value_heads``, ``head_dim`` | ``d_hidden``, ``eps``, ``n_kv_heads``, ``d_head`` |
| ``rope_theta``; ``rope_scaling`` of type "linear" or "llama3" | ``rotary_base``, ``rotary_scaling`` |
| ``rope_parameters``, which holds both | the same |
| ``attention_bias`` and ``mlp_bias`` of Llama, both of them | ``nobias=False`` |
| ``tie_word_embeddings`` | ``tied`` |

What would change the result and is not supported raises. Names that are missing have the values that they have there by default;
those of the sizes must be given.
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
"""The options in which Llama differs from GPT-2, but for its sizes."""

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""The file of the weights in a folder: the first of these that is there."""

GELU = dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_fast"), "gelu_tanh")
ACTIVATIONS = {**GELU, "gelu": "gelu", "relu": "relu", "silu": "silu", "swish": "silu"}
"""The activations of GPT-2."""

ONLY: dict[str, dict[str, Any]] = {
    "gpt2": {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False},
    "llama": {"hidden_act": "silu", "partial_rotary_factor": 1.0},
    "mistral": {"hidden_act": "silu", "partial_rotary_factor": 1.0, "attention_bias": False},
    "qwen2": {"hidden_act": "silu", "partial_rotary_factor": 1.0},
}
"""Names of each model whose other values are not supported. Those values are the ones by default."""


def options_of(path: Path) -> dict[str, Any]:
    """The options of `GPT` for the model that a ``config.json`` describes.

    Raises `WeightsError` for a file that is broken or describes something that is not supported, `MissingWeightsError` if there
    is none.
    """
    config = _Config(path)
    try:
        kind = config.choice("model_type", {kind: kind for kind in ONLY}, None)
        for name, value in {"quantization_config": None, **ONLY[kind]}.items():
            config.choice(name, {value: value}, value)
        return _gpt2(config) if kind == "gpt2" else _llama(config, kind)
    except (ArgumentError, DTypeError) as error:
        start = "" if error.message.startswith(str(path)) else f"{path}: "
        raise WeightsError(f"{start}{error.message}") from error


def weights_in(folder: Path) -> Path:
    """The file of the weights in a folder, or their index. Raises `MissingWeightsError` if there is none."""
    for name in WEIGHTS:
        if (folder / name).exists():
            return folder / name
    raise MissingWeightsError(f"{folder}: there is no {' and no '.join(WEIGHTS)} in it; get one of them")


def verify_sizes(path: Path, options: dict[str, Any]) -> None:
    """Raise `WeightsError` unless the files of the weights are whole, and hold layers of the sizes in ``options``.

    No array is read, and none is made, so that a wrong configuration takes no memory.
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
                f"{path}: there is no {name}, and config.json describes one {shape}; get the files that belong together"
            )
        if shapes[name] != shape:
            raise WeightsError(
                f"{path}: {name} is {shapes[name]}, and config.json describes one {shape}; get the files that belong together"
            )


class _Config:
    """The values in a configuration; null is like a name that is missing."""

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
        """What a value is called here. Raises `WeightsError` for one that is not among those known."""
        value = self.values.get(name, default)
        if isinstance(value, (dict, list)) or value not in known:
            others = ", ".join(map(repr, known))
            raise WeightsError(
                f"{self.path}: {self.within}{name} is {shown(value)}, which is not supported; supported: {others}"
            )
        return known[value]

    def part(self, name: str) -> _Config:
        """The values in a dict; without it, none."""
        values = self.values.get(name, {})
        if not isinstance(values, dict):
            raise WeightsError(f"{self.path}: {self.within}{name} is {shown(values)}, and should be an object")
        return _Config(self.path, f"{self.within}{name}.", values)

    def _value(self, name: str, default: Any) -> Any:
        value = self.values.get(name, default)
        if value is None:
            raise WeightsError(
                f"{self.path}: {self.within}{name} is missing; get the configuration that belongs to the weights"
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
    # Old configurations of Llama do not have the name, and null stands for all heads everywhere.
    all_heads = n_heads if kind == "llama" or "num_key_value_heads" in config.names else None
    rope = config.part("rope_parameters" if "rope_parameters" in config.values else "rope_scaling")
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
    """How many keys a query sees."""
    if kind == "mistral" and "sliding_window" not in config.names:
        return 4096
    limited = kind == "mistral" or (kind == "qwen2" and config.flag("use_sliding_window", False))
    return config.count("sliding_window") if limited and "sliding_window" in config.values else LONGEST


def _has_biases(config: _Config) -> bool:
    attention, mlp = config.flag("attention_bias", False), config.flag("mlp_bias", False)
    if attention != mlp:
        raise WeightsError(
            f"{config.path}: attention_bias is {attention} and mlp_bias is {mlp}, which is not supported; supported: both or none"
        )
    return attention


def _scaling(rope: _Config) -> RotaryScaling | None:
    """The scaling of the frequencies."""
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
