"""Configurations of published language models that raise."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from passus.errors import PassusError, WeightsError
from passus.models import GPT
from tests.models.published import GPT2_CONFIG, LLAMA3, MODELS

CONFIGS: dict[str, tuple[str, dict[str, Any], str]] = {
    "another model": (
        "Llama",
        {"model_type": "bert"},
        "model_type is 'bert', .* supported: 'gpt2', 'llama', 'mistral', 'qwen2'",
    ),
    "no model": ("Llama", {"model_type": None}, "model_type is None"),
    "a list": ("Llama", {"model_type": []}, r"model_type is \[\]"),
    "quantized": (
        "Llama",
        {"quantization_config": {"bits": 4}},
        r"quantization_config is \{'bits': 4\}, which is not supported",
    ),
    "another activation": ("Llama", {"hidden_act": "gelu"}, "hidden_act is 'gelu', .* supported: 'silu'"),
    "another activation of GPT-2": ("GPT-2", {"activation_function": "tanh"}, "activation_function is 'tanh'"),
    "scaled by layer": ("GPT-2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
    "half rotated": ("Llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
    "some biases": ("Llama", {"attention_bias": True}, "attention_bias is True and mlp_bias is False"),
    "YaRN": (
        "Llama",
        {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}},
        r"rope_scaling\.rope_type is 'yarn', .* 'llama3'",
    ),
    "old YaRN": ("Llama", {"rope_scaling": {"type": "yarn", "factor": 2.0}}, r"rope_scaling\.type is 'yarn'"),
    "by layer": ("Llama", {"rope_parameters": {"full": {"rope_theta": 1.0}}}, r"rope_parameters\.rope_type is None"),
    "a number as a scaling": ("Llama", {"rope_scaling": 2.0}, r"rope_scaling is 2\.0; expected an object"),
    "no factor": ("Llama", {"rope_scaling": {"type": "linear"}}, r"rope_scaling\.factor is missing"),
    "a factor of 0": (
        "Llama",
        {"rope_scaling": {"type": "linear", "factor": 0}},
        r"config\.json: rope_scaling\.factor is 0",
    ),
    "incomplete llama3 scaling": (
        "Llama",
        {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
        r"low_freq_factor is missing",
    ),
    "factors in the wrong order": (
        "Llama",
        {"rope_scaling": LLAMA3 | {"low_freq_factor": 5.0}},
        r"config\.json: RotaryScaling: high_freq_factor is 4\.0",
    ),
    "no size": ("Llama", {"hidden_size": None}, r"config\.json: hidden_size is missing"),
    "no heads": ("Qwen2", {"num_key_value_heads": 0}, "num_key_value_heads is 0; it must be at least 1"),
    "a string as a size": ("Llama", {"vocab_size": "20"}, r"vocab_size is a str \('20'\); give an integer"),
    "infinite": ("Llama", {"rope_theta": 1e999}, r"config\.json: rope_theta is inf"),
    "a string as a flag": ("Llama", {"tie_word_embeddings": "yes"}, "tie_word_embeddings is a str"),
    "larger vocabulary": (
        "Llama",
        {"vocab_size": 10**12},
        r"embed_tokens\.weight has shape \(20, 16\); .* \(1000000000000, 16\)",
    ),
    "more layers": (
        "Llama",
        {"num_hidden_layers": 10**12},
        r"layers\.2\.self_attn\.q_proj\.weight is missing; .* \(16, 16\)",
    ),
    "wider": ("Llama", {"hidden_size": 10**9}, r"embed_tokens\.weight has shape \(20, 16\)"),
    "wider hidden layer": (
        "Llama",
        {"intermediate_size": 10**12},
        r"down_proj\.weight has shape \(16, 24\); .* \(16, 1000000000000\)",
    ),
    "wider heads": ("Llama", {"head_dim": 10**12}, r"q_proj\.weight has shape \(16, 16\)"),
    "longer": ("GPT-2", {"n_positions": 10**12}, r"wpe\.weight has shape \(12, 16\)"),
    "fewer layers": ("Llama", {"num_hidden_layers": 1}, r"model\.safetensors: .* extra: transformer\.layers\.1"),
    "another number of key heads": (
        "Llama",
        {"num_key_value_heads": 1},
        r"model\.safetensors: .*attention\.qkv\.W \(16, 32\) instead of",
    ),
    "indivisible heads": (
        "Llama",
        {"num_key_value_heads": 3},
        "n_heads=4 must be a multiple of n_kv_heads=3",
    ),
    "weights that should be tied": ("Llama", {"tie_word_embeddings": True}, "differs from its embedding"),
    "weights that should not be tied": ("Qwen2", {"tie_word_embeddings": False}, r"missing: head\.W"),
    "missing biases": (
        "Llama",
        {"model_type": "qwen2"},
        r"missing: transformer\.layers\.0\.attention\.qkv\.b",
    ),
    "unexpected biases": (
        "Qwen2",
        {"model_type": "llama"},
        r"extra: transformer\.layers\.0\.attention\.qkv\.b",
    ),
    "GPT-2 with weights of Llama": ("Llama", GPT2_CONFIG, r"wte\.weight is missing"),
}


@pytest.mark.parametrize("fault", CONFIGS)
def test_invalid_configuration_raises_before_allocating(tmp_path: Path, fault: str) -> None:
    name, change, message = CONFIGS[fault]
    published = MODELS[name]
    published.write(tmp_path)
    GPT.from_folder(tmp_path)
    config = published.config | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    tracemalloc.start()
    try:
        with pytest.raises(PassusError, match=message) as caught:
            GPT.from_folder(tmp_path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(caught.value, WeightsError) or fault == "indivisible heads"
    assert most < 1 << 22


def test_invalid_json_raises(tmp_path: Path) -> None:
    MODELS["Llama"].write(tmp_path)
    for content in ("", "{", "[1]", '{"model_type": "llama", "model_type": "gpt2"}'):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(WeightsError, match=r"config\.json: not a readable configuration in JSON"):
            GPT.from_folder(tmp_path)
