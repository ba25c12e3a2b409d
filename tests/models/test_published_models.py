"""Folders of published language models: logits, options, weights, and memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import passus.functions as F
from passus import no_grad
from passus.errors import ArgumentError, MissingWeightsError, WeightsError
from passus.models import GPT
from passus.models.gpt_files import from_llama
from tests.models.language_models import Llama
from tests.models.published import LLAMA3, LLAMA_CONFIG, MODELS, Published

IDS = np.random.default_rng(0).integers(20, size=(2, 11))
every_model = pytest.mark.parametrize("name", MODELS)


@every_model
def test_from_folder_reproduces_the_logits_of_pytorch(tmp_path: Path, name: str) -> None:
    theirs = MODELS[name].write(tmp_path)
    with torch.no_grad():
        expected = theirs(torch.tensor(IDS)).numpy()
    model = GPT.from_folder(tmp_path)
    assert all(parameter.dtype == np.float32 for parameter in model.params())
    with no_grad():
        found = model(IDS).data
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        for steps in ([1] * 11, [4, 1, 6]):
            cache, pieces, start = model.new_cache(), [], 0
            for n in steps:
                pieces.append(model(IDS[:, start : start + n], cache=cache).data)
                start += n
            np.testing.assert_allclose(np.concatenate(pieces, axis=1), found, rtol=1e-4, atol=1e-4)
    assert abs(expected).max() > 0.5
    np.testing.assert_array_equal(
        model.generate(IDS[0, :3], 4, temperature=0), GPT.from_folder(tmp_path).generate(IDS[0, :3], 4, temperature=0)
    )


@pytest.mark.parametrize("scaling", [LLAMA3, {"type": "linear", "factor": 4.0}], ids=["llama3", "linear"])
def test_rotary_scaling_agrees_with_pytorch_at_large_positions(scaling: dict[str, Any]) -> None:
    theirs = Llama(20, 1, 2, 1, 16, 24, 10000.0, 1e-6, scaling=scaling)
    torch.manual_seed(1)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.3)
    ids = np.random.default_rng(1).integers(20, size=(1, 300))
    options = [scaling.get(n) for n in ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")]
    model = GPT.llama(
        20,
        1,
        2,
        16,
        300,
        n_kv_heads=1,
        d_hidden=24,
        eps=1e-6,
        rotary_scaling=F.RotaryScaling(scaling["factor"], *options),
    )
    unscaled = GPT.llama(20, 1, 2, 16, 300, n_kv_heads=1, d_hidden=24, eps=1e-6)
    for m in (model, unscaled):
        m.load_state_dict(from_llama({n: a.numpy() for n, a in theirs.state_dict().items()}))
    with torch.no_grad():
        expected = theirs(torch.tensor(ids)).numpy()
    np.testing.assert_allclose(model(ids).data, expected, rtol=1e-4, atol=1e-4)
    assert abs(unscaled(ids).data - expected).max() > 1e-2


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ((0.0,), "factor is 0"),
        ((float("nan"),), "factor is nan"),
        ((8.0, 1.0), "give all three, or none"),
        ((8.0, None, 4.0, 8192), "give all three, or none"),
        ((8.0, 4.0, 1.0, 8192), "high_freq_factor is 1.0; it must be 4 < high_freq_factor"),
        ((8.0, 1.0, 1.0, 8192), "high_freq_factor is 1.0"),
        ((8.0, 0.0, 4.0, 8192), "low_freq_factor is 0"),
        ((8.0, 1.0, 4.0, 0), "original_max_len is 0"),
    ],
)
def test_invalid_rotary_scaling_raises(options: tuple[Any, ...], match: str) -> None:
    with pytest.raises(ArgumentError, match=f"RotaryScaling: .*{match}"):
        F.RotaryScaling(*options)


def test_options_of_from_folder(tmp_path: Path) -> None:
    MODELS["Mistral"].write(tmp_path)
    model = GPT.from_folder(str(tmp_path), dtype=np.float64, dropout_ratio=0.25, recompute=True, max_len=16)
    assert {parameter.dtype for parameter in model.params()} == {np.dtype(np.float64)}
    assert (model.max_len, model.dropout_ratio, model.transformer.recompute) == (16, 0.25, True)
    assert GPT.from_folder(tmp_path).max_len == 32, "limited by the window"
    with pytest.raises(ArgumentError, match="max_len=33 must be at most 32"):
        GPT.from_folder(tmp_path, max_len=33)
    with pytest.raises(ArgumentError, match="max_len is 0"):
        GPT.from_folder(tmp_path, max_len=0)
    MODELS["GPT-2"].write(tmp_path)
    with pytest.raises(ArgumentError, match="max_len=8 must be 12"):
        GPT.from_folder(tmp_path, max_len=8)


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ({"model_type": "mistral", "max_position_embeddings": 9000}, 4096),
        ({"model_type": "mistral", "max_position_embeddings": 9000, "sliding_window": None}, 9000),
        ({"model_type": "llama", "sliding_window": 7}, 64),
        ({"model_type": "qwen2", "sliding_window": 7, "use_sliding_window": True}, 7),
        ({"model_type": "qwen2", "use_sliding_window": True}, 64),
    ],
)
def test_max_len_is_limited_by_the_sliding_window(tmp_path: Path, config: dict[str, Any], longest: int) -> None:
    options = {"qkv_bias": config["model_type"] == "qwen2"}
    Published(LLAMA_CONFIG | config, options).write(tmp_path)
    assert GPT.from_folder(tmp_path).max_len == longest


def test_single_weights_file_is_preferred_to_an_index(tmp_path: Path) -> None:
    MODELS["Llama"].write(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    GPT.from_folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"index\.json: .* has no weight_map"):
        GPT.from_folder(tmp_path)
    (tmp_path / "model.safetensors.index.json").unlink()
    with pytest.raises(MissingWeightsError, match=r"neither model\.safetensors nor model\.safetensors\.index\.json"):
        GPT.from_folder(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(MissingWeightsError, match=r"config\.json: no such file"):
        GPT.from_folder(tmp_path)


# Weights in the format of Llama.


def without(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {name: a for name, a in state.items() if not any(n in name for n in names)}


def reshaped(fragment: str, shape: tuple[int, ...]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {name: torch.zeros(shape) if fragment in name else a for name, a in state.items()}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            without("layers.1.self_attn.k_proj"),
            r"l\.safetensors: layers\.1\.self_attn\.k_proj\.weight missing beside .*q_proj",
        ),
        (
            without("0.mlp.gate_proj"),
            r"layers\.0\.mlp\.gate_proj\.weight missing beside layers\.0\.mlp\.up_proj\.weight",
        ),
        (without("q_proj", "k_proj", "v_proj"), r"missing: embed\.W"),
        (without("0.input_layernorm"), r"missing: transformer\.layers\.0\.norm1\.gamma"),
        (without("lm_head"), r"missing: head\.W"),
        (reshaped("layers.0.self_attn.k_proj", (8, 15)), r"k_proj\.weight \(8, 15\).* equally many inputs"),
        (reshaped("layers.0.self_attn.k_proj", (8,)), r"k_proj\.weight \(8,\).* equally many inputs"),
        (reshaped("layers.0.self_attn.v_proj", ()), r"v_proj\.weight \(\).* equally many inputs"),
        (reshaped("layers.0.self_attn.k_proj", (9, 16)), r"attention\.qkv\.W \(16, 33\) instead of \(16, 32\)"),
        (reshaped("model.norm", (17,)), r"norm\.gamma \(17,\) instead of \(16,\)"),
    ],
)
def test_incomplete_llama_file_raises_and_changes_nothing(
    tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], match: str
) -> None:
    state = {name: a.contiguous() for name, a in MODELS["Llama"].model().state_dict().items()}
    save_file(change(state), tmp_path / "l.safetensors")
    model = GPT.llama(20, 2, 4, 16, 12, n_kv_heads=2, d_hidden=24, rng=0)
    before = model.state_dict()
    with pytest.raises(WeightsError, match=match):
        model.load_weights(tmp_path / "l.safetensors")
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_qkv_biases_are_concatenated() -> None:
    state = Published(LLAMA_CONFIG, {"qkv_bias": True}).model().state_dict()
    ours = from_llama({name: a.numpy() for name, a in state.items()})
    biases = [state[f"model.layers.1.self_attn.{name}_proj.bias"].numpy() for name in "qkv"]
    np.testing.assert_array_equal(ours["transformer.layers.1.attention.qkv.b"], np.concatenate(biases))


def test_loading_uses_at_most_twice_the_memory_of_the_model(tmp_path: Path) -> None:
    theirs = Llama(2000, 2, 4, 2, 128, 512, 500.0, 1e-6)
    save_file({n: a.bfloat16().contiguous() for n, a in theirs.state_dict().items()}, tmp_path / "model.safetensors")
    sizes = {"vocab_size": 2000, "hidden_size": 128, "intermediate_size": 512}
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_CONFIG | sizes))
    GPT.from_folder(tmp_path)
    tracemalloc.start()
    try:
        model = GPT.from_folder(tmp_path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 2.1 * 4 * model.count_params()


def test_loading_weights_draws_no_random_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    MODELS["Llama"].write(tmp_path)
    monkeypatch.setattr("passus.models.gpt.normal", None)
    rng = np.random.default_rng(0)
    options = {"n_kv_heads": 2, "d_hidden": 24, "rng": rng, "weights": tmp_path / "model.safetensors"}
    GPT.llama(20, 2, 4, 16, 12, **options)
    assert rng.random() == np.random.default_rng(0).random()
