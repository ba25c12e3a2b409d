"""Published language models: configurations, and folders written by plain PyTorch code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file

from tests.models.language_models import GPT2, Llama

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
GPT2_CONFIG = {
    "model_type": "gpt2",
    "vocab_size": 20,
    "n_layer": 2,
    "n_head": 4,
    "n_embd": 16,
    "n_positions": 12,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "attn_pdrop": 0.1,
    "torch_dtype": "float32",
}
LLAMA_CONFIG = {
    "model_type": "llama",
    "vocab_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 16,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-6,
    "rope_theta": 500.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
}


class Published(NamedTuple):
    """A published model: its configuration, and the options of the same model in plain PyTorch."""

    config: dict[str, Any]
    options: dict[str, Any] = {}  # noqa: RUF012 - never modified
    dtype: torch.dtype = torch.float32
    shards: int = 1
    without: tuple[str, ...] = ()

    def model(self) -> torch.nn.Module:
        torch.manual_seed(0)
        if self.config["model_type"] == "gpt2":
            theirs: torch.nn.Module = GPT2(20, 2, 4, 16, 12)
        else:
            base = self.options.get("base", 500.0)
            options = {"shared": 2, **{name: o for name, o in self.options.items() if name != "base"}}
            theirs = Llama(20, 2, 4, width=16, hidden=24, base=base, eps=1e-6, **options)
        return theirs.to(self.dtype).float()

    def write(self, folder: Path) -> torch.nn.Module:
        theirs = self.model()
        config = {name: value for name, value in self.config.items() if name not in self.without}
        (folder / "config.json").write_text(json.dumps(config))
        state = {name: a.to(self.dtype).contiguous().clone() for name, a in theirs.state_dict().items()}
        if config.get("tie_word_embeddings", config["model_type"] == "gpt2"):
            del state["lm_head.weight"]
        if self.shards == 1:
            save_file(state, folder / "model.safetensors")
            return theirs
        files = [f"model-{i + 1:05}-of-{self.shards:05}.safetensors" for i in range(self.shards)]
        weight_map = {name: files[i % self.shards] for i, name in enumerate(state)}
        for file in files:
            save_file({name: a for name, a in state.items() if weight_map[name] == file}, folder / file)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
        return theirs


MODELS = {
    "GPT-2": Published(GPT2_CONFIG),
    "Llama": Published(LLAMA_CONFIG),
    "Llama with defaults omitted": Published(
        LLAMA_CONFIG,
        {"shared": 4, "base": 10000.0},
        without=("num_key_value_heads", "rope_theta", "hidden_act", "rms_norm_eps"),
    ),
    "Llama 3": Published(
        LLAMA_CONFIG | {"rope_scaling": LLAMA3, "head_dim": 8, "tie_word_embeddings": True},
        {"scaling": LLAMA3, "size": 8, "tied": True},
        torch.bfloat16,
        shards=3,
    ),
    "Llama with rope_parameters": Published(
        LLAMA_CONFIG | {"rope_parameters": LLAMA3 | {"rope_theta": 700.0}, "rope_scaling": None},
        {"scaling": LLAMA3, "base": 700.0},
        without=("rope_theta",),
    ),
    "Llama with linear scaling": Published(
        LLAMA_CONFIG | {"rope_scaling": {"type": "linear", "factor": 2}},
        {"scaling": {"type": "linear", "factor": 2.0}},
        torch.float16,
    ),
    "Llama with biases": Published(LLAMA_CONFIG | {"attention_bias": True, "mlp_bias": True}, {"bias": True}),
    "Mistral": Published(LLAMA_CONFIG | {"model_type": "mistral", "sliding_window": 32}, dtype=torch.bfloat16),
    "Qwen2": Published(
        LLAMA_CONFIG
        | {"model_type": "qwen2", "tie_word_embeddings": True, "use_sliding_window": False, "sliding_window": 4},
        {"qkv_bias": True, "tied": True},
        torch.bfloat16,
        shards=2,
    ),
}
