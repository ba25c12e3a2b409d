"""Generation with a recorded step for each new token, beside generation without one."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import passus
from passus import no_grad
from passus.errors import PassusWarning
from passus.functions.nn.attention import cached_attention
from passus.kernels import start_using
from passus.layers import KeyValueCache
from passus.layers.cache import FixedCache
from passus.models import GPT
from passus.models.next_token import LEAST_CAPACITY, capacity_for

SINGLE, BATCH, RAGGED = np.array([3, 1, 4]), np.array([[3, 1], [2, 7]]), [[3, 1, 4], [5], [2, 7]]


def model_of(**options: Any) -> GPT:
    return GPT(**{"vocab_size": 20, "n_layers": 2, "n_heads": 4, "d_model": 16, "max_len": 100, "rng": 0} | options)


def programs(model: GPT) -> list[Any]:
    versions: list[Any] = vars(model)["_next_token"]._logits.versions
    return versions


def assert_same_tokens(model: GPT, prompt: Any, count: int, **options: Any) -> None:
    expected = model.generate(prompt, count, rng=0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = model.generate(prompt, count, rng=0, compile=True, **options)
    assert type(found) is type(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary", "alibi"])
@pytest.mark.parametrize("n_kv_heads", [4, 2, 1])
@pytest.mark.parametrize("prompt", [SINGLE, BATCH, RAGGED], ids=["single", "batch", "ragged"])
def test_tokens_are_those_of_the_model(positions: str, n_kv_heads: int, prompt: Any) -> None:
    model = model_of(positions=positions, n_kv_heads=n_kv_heads)
    for count in (50, 20):  # The second call finds the program of the first.
        assert_same_tokens(model, prompt, count)
    assert len(programs(model)) == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_dtypes(dtype: Any) -> None:
    assert_same_tokens(model_of(dtype=dtype), SINGLE, 20, temperature=0)


@pytest.mark.parametrize("options", [{"recompute": True}, {"dropout_ratio": 0.5}, {"tied": False}], ids=str)
def test_options_of_the_model(options: dict[str, Any]) -> None:
    assert_same_tokens(model_of(**options), BATCH, 20)


def test_kernels() -> None:
    start_using()
    model = model_of(d_model=64, vocab_size=300)
    assert_same_tokens(model, SINGLE, 20, temperature=0)


def test_one_program_for_a_size_of_the_cache() -> None:
    model = model_of()
    for length, count in ((1, 30), (5, 10), (7, 57)):
        assert_same_tokens(model, np.arange(length), count)
    assert len(programs(model)) == 1
    assert_same_tokens(model, np.arange(10), 80)
    assert len(programs(model)) == 2
    assert programs(model)[0].program.inputs[2].shape == (1, 4, 100, 4)


def test_stop_tokens_window_and_stream() -> None:
    model = model_of(max_len=12)
    expected = model.generate(SINGLE, 40, rng=1, window=True)
    assert_same_tokens(model, SINGLE, 40, window=True)
    assert_same_tokens(model, BATCH, 9, stop=int(expected[6]))
    streamed = list(model.stream(SINGLE, 40, rng=1, window=True, compile=True))
    np.testing.assert_array_equal(streamed, expected[3:])


def test_new_weights_are_noticed() -> None:
    model, other = model_of(), model_of(rng=5)
    model.generate(SINGLE, 20, compile=True)
    for (_, p), (_, q) in zip(model.named_params(), other.named_params(), strict=True):
        p.data = q.data
    assert_same_tokens(model, SINGLE, 20)
    for p in model.params():
        p.data[...] *= 0.5
        p.mark_edited()
    assert_same_tokens(model, SINGLE, 20)


def test_copies_have_no_program() -> None:
    model = model_of()
    model.generate(SINGLE, 20, compile=True)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert "_next_token" not in vars(other)
        assert_same_tokens(other, SINGLE, 20)


def test_switches_stay_as_they_are() -> None:
    model = model_of(dropout_ratio=0.5)
    for _ in model.stream(SINGLE, 5, compile=True):
        assert passus.Config.train
        assert passus.Config.enable_backprop


class Reading(GPT):
    """A model that reads numbers, so that it cannot be recorded."""

    def next_logits(self, ids: Any, key_mask: Any, cache: Any) -> Any:
        int(cache[0].length)
        return super().next_logits(ids, key_mask, cache)


def test_model_that_cannot_be_recorded_runs_without() -> None:
    model = Reading(20, 1, 2, 8, max_len=30, rng=0)
    with pytest.warns(PassusWarning, match="runs without a program"):
        tokens = model.generate(SINGLE, 20, rng=0, compile=True)
    np.testing.assert_array_equal(tokens, model.generate(SINGLE, 20, rng=0))
    assert_same_tokens(model, SINGLE, 20)  # Without another warning.


def test_large_activations_leave_the_program_and_the_cache_is_right() -> None:
    """The condition of a normalization fails after keys have been written into the cache; the call begins again."""
    model = model_of(positions="rotary", tied=False)
    W = model.embed.W.data
    W[10:] *= np.float32(1e25)
    model.embed.W.mark_edited()
    with np.errstate(all="ignore"):
        expected = model.generate(SINGLE, 30, rng=0)
        np.testing.assert_array_equal(model.generate(SINGLE, 30, rng=0, compile=True), expected)
    assert {*(expected >= 10)} == {True, False}
    assert len(programs(model)) > 1


def test_interrupted_token_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of()
    list(model.stream(SINGLE, 3, rng=0, compile=True))
    cache = model.new_cache(LEAST_CAPACITY)
    program, ids = vars(model)["_next_token"], np.array([[5]])
    with no_grad():
        model.next_logits(SINGLE[None], None, cache)
        expected = program(ids, None, copy.deepcopy(cache)).data

    def interrupted(*args: Any) -> Any:
        raise KeyboardInterrupt

    logits = program._logits
    monkeypatch.setattr(program, "_logits", lambda *args: (logits(*args), interrupted()))
    with pytest.raises(KeyboardInterrupt):
        program(ids, None, cache)
    assert [layer.length for layer in cache] == [3, 3]
    monkeypatch.setattr(program, "_logits", logits)
    np.testing.assert_array_equal(program(ids, None, cache).data, expected)
    assert [layer.length for layer in cache] == [4, 4]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("mask", ["none", "keys", "scores", "floating point"])
def test_cached_attention_is_attention_to_a_growing_cache(dtype: Any, groups: int, count: int, mask: str) -> None:
    rng = np.random.default_rng(0)
    heads, capacity = 2, 8

    def some(heads: int, length: int) -> Any:
        return rng.standard_normal((2, heads, length, 4)).astype(dtype)

    masks: dict[str, Any] = {
        "none": None,
        "keys": rng.random((2, 1, 1, capacity)) < 0.7,
        "scores": rng.random((2, heads * groups, count, capacity)) < 0.7,
        "floating point": rng.standard_normal((count, capacity)).astype(dtype),
    }
    plain = KeyValueCache(capacity)
    first = some(heads, 2), some(heads, 2)
    plain.append(*first)
    keys, values = plain.fixed()
    fixed = FixedCache(keys.copy(), values.copy(), np.array(2))
    q, k, v = some(heads * groups, count), some(heads, count), some(heads, count)
    found = fixed.attend(q, k, v, masks[mask], True)
    covered = None if mask == "none" else masks[mask][..., : 2 + count]
    expected = passus.functions.scaled_dot_product_attention(q, *plain.append(k, v), covered, is_causal=True)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)
    for a, b in zip(fixed.fixed(), plain.fixed(), strict=True):
        np.testing.assert_array_equal(a[..., : 2 + count, :], b[..., : 2 + count, :])


def test_recorded_attention_writes_into_the_arrays_of_the_caller() -> None:
    keys, values = np.zeros((1, 1, 4, 2)), np.zeros((1, 1, 4, 2))
    step = passus.compile(
        lambda q, keys, values, length: cached_attention(q * 2, q, q, keys, values, length, None, True) + 1
    )
    for length in (0, 1, 2):
        q = np.full((1, 1, 1, 2), float(length))
        copies = keys.copy(), values.copy()
        expected = cached_attention(q * 2, q, q, *copies, np.array(length), None, True) + 1
        np.testing.assert_array_equal(step(q, keys, values, np.array(length)), expected)
        np.testing.assert_array_equal(keys, copies[0])
    assert keys[0, 0, :, 0].tolist() == [0, 1, 2, 0]
    assert len(step.versions) == 1


def test_capacities() -> None:
    assert [capacity_for(n, 1000) for n in (1, 64, 65, 128, 129, 513, 1000)] == [64, 64, 128, 128, 256, 1000, 1000]
    assert capacity_for(5, 10) == 10
