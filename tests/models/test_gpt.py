"""Language models: logits, tied weights, files, and training."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import passus.functions as F
from passus import no_grad
from passus.errors import ArgumentError, DTypeError, LabelError, ShapeError, WeightsError
from passus.models import GPT
from passus.optimizers import AdamW
from passus.serializers import load_checkpoint, read_weights, save_checkpoint
from passus.testing import check_grads
from tests.models.language_models import GPT2, Llama

IDS = np.random.default_rng(0).integers(20, size=(2, 7))

KINDS: dict[str, dict[str, Any]] = {
    "GPT-2": {},
    "Llama": {
        "positions": "rotary",
        "norm": "rms",
        "activation": "swiglu",
        "nobias": True,
        "tied": False,
        "n_kv_heads": 2,
        "d_hidden": 12,
    },
    "Llama 3": {
        "positions": "rotary",
        "rotary_base": 500.0,
        "rotary_scaling": F.RotaryScaling(8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_len=32),
        "norm": "rms",
        "activation": "swiglu",
        "nobias": True,
        "n_kv_heads": 2,
        "d_head": 8,
    },
    "Qwen2": {
        "positions": "rotary",
        "rotary_scaling": F.RotaryScaling(2.0),
        "norm": "rms",
        "activation": "swiglu",
        "nobias": True,
        "qkv_bias": True,
        "tied": False,
        "n_kv_heads": 1,
    },
    "ALiBi": {"positions": "alibi", "activation": "relu"},
    "sinusoidal": {"positions": "sinusoidal", "activation": "gelu", "n_kv_heads": 1},
}


def model_of(kind: str, **options: Any) -> GPT:
    """A small model with weights large enough for positions to affect the logits."""
    model = GPT(20, n_layers=2, n_heads=4, d_model=16, max_len=12, rng=1, **(KINDS[kind] | options))
    for parameter in model.params():
        if parameter.ndim > 1:
            parameter.data = parameter.data * 10
    return model


every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_logits_depend_on_the_order_of_earlier_tokens_only(kind: str) -> None:
    model = model_of(kind)
    logits = model(IDS).data
    assert logits.shape == (2, 7, 20)
    later = IDS.copy()
    later[:, 4:] = 3
    np.testing.assert_allclose(model(later).data[:, :4], logits[:, :4], rtol=1e-5, atol=1e-5)
    swapped = IDS.copy()
    swapped[:, [0, 1]] = IDS[:, [1, 0]]
    assert abs(model(swapped).data[:, 3:] - logits[:, 3:]).max() > 1e-3


@every_kind
def test_cached_and_uncached_logits_agree(kind: str) -> None:
    model = model_of(kind)
    with no_grad():
        whole = model(IDS).data
        for steps in ([7], [1] * 7, [3, 1, 3]):
            cache, pieces, start = model.new_cache(), [], 0
            for n in steps:
                pieces.append(model(IDS[:, start : start + n], cache=cache).data)
                start += n
            np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, rtol=1e-4, atol=1e-4)


@every_kind
def test_padding_does_not_affect_the_result(kind: str) -> None:
    model = model_of(kind)
    with no_grad():
        alone = model(IDS[:1, :4]).data
        left = np.concatenate([np.full((1, 3), 9), IDS[:1, :4]], axis=1)
        np.testing.assert_allclose(
            model(left, key_mask=np.arange(7)[None] >= 3).data[:, 3:], alone, rtol=1e-4, atol=1e-4
        )
        right = np.concatenate([IDS[:1, :4], np.full((1, 3), 9)], axis=1)
        np.testing.assert_allclose(
            model(right, key_mask=np.arange(7)[None] < 4).data[:, :4], alone, rtol=1e-4, atol=1e-4
        )


@every_kind
def test_model_is_differentiable_twice(kind: str) -> None:
    model = GPT(
        5, n_layers=1, n_heads=2, d_model=4, max_len=3, rng=0, dtype=np.float64, **(KINDS[kind] | {"d_hidden": 6})
    )
    ids = np.array([[1, 4, 1]])
    W, first = model.embed.W, model.embed.W.data

    def loss(rows: Any) -> Any:
        # check_grads passes the matrix as a Variable, which replaces the parameter.
        del model.embed.W
        model.embed.W = rows
        return model(ids)

    check_grads(loss, first * 10)
    del model.embed.W
    model.embed.W = W


def test_initial_values_follow_gpt2() -> None:
    model = GPT(200, n_layers=8, n_heads=4, d_model=64, max_len=32, rng=0)
    stds = {path: float(p.data.std()) for path, p in model.named_params() if p.ndim > 1}
    for path, std in stds.items():
        residual = path.endswith("out.W")
        assert std == pytest.approx(0.02 / 4 if residual else 0.02, rel=0.05), path
    loss = F.softmax_cross_entropy(model(np.arange(32)[None]).reshape(-1, 200), np.arange(32)[::-1].copy())
    assert float(loss.data) == pytest.approx(np.log(200), rel=0.02)


def test_llama_defaults() -> None:
    model = GPT.llama(30, 2, 4, 48, 16, n_kv_heads=2, rng=0)
    assert [path for path, _ in model.named_params()] == [
        "embed.W",
        *[
            f"transformer.layers.{i}.{name}"
            for i in range(2)
            for name in (
                "attention.qkv.W",
                "attention.out.W",
                "norm1.gamma",
                "feed_forward.gate_up.W",
                "feed_forward.out.W",
                "norm2.gamma",
            )
        ],
        "transformer.norm.gamma",
        "head.W",
    ]
    assert model.transformer.layers[0].feed_forward.out.W.shape == (128, 48)
    assert model.transformer.layers[0].attention.qkv.W.shape == (48, 96)


def test_equal_seeds_give_equal_models_with_different_layers() -> None:
    a, b = [GPT(9, 2, 2, 8, 4, rng=3).state_dict() for _ in range(2)]
    for path in a:
        np.testing.assert_array_equal(a[path], b[path])
    first, second = (a[f"transformer.layers.{i}.attention.qkv.W"] for i in range(2))
    assert abs(first - second).max() > 0


def test_invalid_inputs_raise() -> None:
    model = GPT(9, 1, 2, 8, 4)
    with pytest.raises(ShapeError, match="GPT: 5 tokens exceed max_len=4"):
        model(np.zeros((1, 5), int))
    with no_grad():
        cache = model.new_cache()
        model(np.zeros((1, 3), int), cache=cache)
        with pytest.raises(ShapeError, match="GPT: 2 tokens after 3 in the cache exceed max_len=4"):
            model(np.zeros((1, 2), int), cache=cache)
    with pytest.raises(ShapeError, match=r"ids \(3,\) must be \(N, T\)"):
        model(np.zeros(3, int))
    with pytest.raises(DTypeError, match="ids are float64"):
        model(np.zeros((1, 3)))
    with pytest.raises(LabelError, match="index 9 is out of range"):
        model(np.full((1, 2), 9))
    with pytest.raises(ShapeError, match=r"key_mask bool\[1, 2\] must be booleans \(1, 3\)"):
        model(np.zeros((1, 3), int), key_mask=np.ones((1, 2), bool))
    with pytest.raises(ArgumentError, match="positions must be one of learned, sinusoidal, rotary, alibi, not 'none'"):
        GPT(9, 1, 2, 8, 4, positions="none")
    with pytest.raises(ArgumentError, match="n_layers is 0"):
        GPT(9, 0, 2, 8, 4)


def test_summary_of_gpt() -> None:
    model = GPT(9, 2, 2, 8, 4)
    table = model.summary(IDS[:, :4] % 9)
    assert "transformer" in table
    assert f"{model.count_params():,}" in table


@pytest.mark.parametrize("length", [1, 3])
def test_empty_batch_and_single_token(length: int) -> None:
    model = GPT(9, 1, 2, 8, 4)
    assert model(np.zeros((0, length), int)).shape == (0, length, 9)
    assert model(np.zeros((1, length), np.uint8)).shape == (1, length, 9)


# Tied weights.


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_file_contains_the_tied_matrix_once(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"gpt.{suffix}"
    model, other = (GPT(20, 1, 2, 8, 8, rng=seed) for seed in range(2))
    model.save_weights(path)
    matrices = [name for name, array in read_weights(path).items() if 20 in array.shape]
    assert matrices == ["embed.W"]
    other.load_weights(path)
    np.testing.assert_array_equal(other(IDS).data, model(IDS).data)
    other.embed.W.data = other.embed.W.data * 2
    assert abs(other(IDS).data - model(IDS).data).max() > 0


def test_tied_weights_sum_both_gradients_and_stay_tied_in_copies(tmp_path: Path) -> None:
    def trained(model: GPT, steps: int) -> GPT:
        optimizer = AdamW(1e-2).setup(model)
        for _ in range(steps):
            loss = F.softmax_cross_entropy(model(IDS[:, :-1]).reshape(-1, 20), IDS[:, 1:].reshape(-1))
            model.cleargrads()
            loss.backward()
            optimizer.update()
        return model

    model = GPT(20, 1, 2, 8, 8, rng=0)
    untied = GPT(20, 1, 2, 8, 8, rng=0, tied=False)
    state = model.state_dict()
    untied.load_state_dict(state | {"head.W": state["embed.W"].T})
    for m in (model, untied):
        F.sum(F.square(m(IDS))).backward()
    embed, head, tied = untied.embed.W.grad, untied.head.W.grad, model.embed.W.grad
    np.testing.assert_allclose(tied.data, embed.data + head.data.T, rtol=1e-5, atol=1e-5)

    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        trained(copied, 2)
        expected = copied.features(IDS).data @ copied.embed.W.data.T
        np.testing.assert_allclose(copied(IDS).data, expected, rtol=1e-5, atol=1e-6)

    path = tmp_path / "run.safetensors"
    save_checkpoint(path, model=trained(model, 2))
    after, other = trained(model, 3), GPT(20, 1, 2, 8, 8, rng=5)
    load_checkpoint(path, model=other)
    for (name, a), (_, b) in zip(after.named_params(), trained(other, 3).named_params()):
        np.testing.assert_array_equal(a.data, b.data, err_msg=name)


# Files of other libraries.


@pytest.fixture
def gpt2(tmp_path: Path) -> tuple[GPT2, Path]:
    torch.manual_seed(0)
    theirs = GPT2(20, 2, 4, 16, 12)
    state = {name: a.contiguous().clone() for name, a in theirs.state_dict().items()}
    path = tmp_path / "gpt2.safetensors"
    save_file(state, path)
    return theirs, path


def their_logits(theirs: torch.nn.Module) -> np.ndarray:
    with torch.no_grad():
        logits: np.ndarray = theirs(torch.tensor(IDS)).numpy()
    return logits


def test_gpt2_weights_reproduce_the_logits_of_pytorch(gpt2: tuple[GPT2, Path], tmp_path: Path) -> None:
    theirs, path = gpt2
    expected = their_logits(theirs)
    model = GPT(20, 2, 4, 16, 12, weights=path)
    np.testing.assert_allclose(model(IDS).data, expected, rtol=1e-4, atol=1e-4)
    # Published files omit the prefix and the second name of the tied matrix.
    named = {k.removeprefix("transformer."): v for k, v in torch.load(saved_state(theirs, tmp_path)).items()}
    del named["lm_head.weight"]
    save_file({k: v.clone() for k, v in named.items()}, tmp_path / "bare.safetensors")
    bare = GPT(20, 2, 4, 16, 12, weights=tmp_path / "bare.safetensors")
    np.testing.assert_array_equal(bare(IDS).data, model(IDS).data)
    untied = GPT(20, 2, 4, 16, 12, tied=False, weights=path)
    np.testing.assert_allclose(untied(IDS).data, expected, rtol=1e-4, atol=1e-4)


def saved_state(theirs: torch.nn.Module, folder: Path) -> Path:
    torch.save(theirs.state_dict(), folder / "state.pt")
    return folder / "state.pt"


@pytest.mark.parametrize(("shared", "bias"), [(4, False), (2, False), (1, True)])
def test_llama_weights_reproduce_the_logits_of_pytorch(tmp_path: Path, shared: int, bias: bool) -> None:
    torch.manual_seed(0)
    theirs = Llama(20, 2, 4, shared, 16, 24, 500.0, 1e-6, qkv_bias=bias)
    state = theirs.state_dict() | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2)}
    path = tmp_path / "llama.safetensors"
    save_file({name: a.contiguous() for name, a in state.items()}, path)
    options = {"n_kv_heads": shared, "d_hidden": 24, "rotary_base": 500.0, "eps": 1e-6, "qkv_bias": bias}
    model = GPT.llama(20, 2, 4, 16, 12, rng=0, **options)
    model.load_weights(path)
    np.testing.assert_allclose(model(IDS).data, their_logits(theirs), rtol=1e-4, atol=1e-4)


def test_mismatched_file_raises_and_changes_nothing(gpt2: tuple[GPT2, Path]) -> None:
    theirs, path = gpt2
    model = GPT(20, 2, 4, 16, 10, rng=0)
    before = model.state_dict()
    with pytest.raises(WeightsError, match=r"position\.W"):
        model.load_weights(path)
    with pytest.raises(WeightsError, match="does not fit"):
        GPT.llama(20, 2, 4, 16, 12).load_weights(path)
    with torch.no_grad():
        theirs.lm_head.weight = torch.nn.Parameter(theirs.lm_head.weight + 1)
    save_file({name: a.contiguous() for name, a in theirs.state_dict().items()}, path)
    with pytest.raises(WeightsError, match=r"differs from its embedding.*tied=False"):
        GPT(20, 2, 4, 16, 12, weights=path)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    report = GPT(20, 2, 4, 16, 10, tied=False).load_weights(path, strict=False)
    assert report is not None
    assert report.misfits == ["position.W"]
    assert not report.missing
    assert not report.unexpected


# Training.


@every_kind
def test_gpt_learns_a_sequence(kind: str) -> None:
    options = {"dropout_ratio": 0.05} if kind == "GPT-2" else {}
    model = GPT(12, n_layers=2, n_heads=4, d_model=32, max_len=16, rng=0, **(KINDS[kind] | options | {"d_hidden": 64}))
    text = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2])
    optimizer = AdamW(5e-3).setup(model)
    for _ in range(80):
        loss = F.softmax_cross_entropy(model(text[None, :-1]).reshape(-1, 12), text[1:])
        model.cleargrads()
        loss.backward()
        optimizer.update()
    assert float(loss.data) < 0.2
    np.testing.assert_array_equal(model.generate(text[:3], 14, temperature=0), text)
