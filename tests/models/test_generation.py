"""Sampling of tokens, and generation of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus
from passus import no_grad
from passus.config import enable_backprop, train
from passus.errors import ArgumentError, DTypeError, LabelError, ShapeError
from passus.models import GPT
from passus.models.sampling import CANDIDATES, GROWTH, Sampler, most_likely

P = np.array([0.1, 0.4, 0.2, 0.05, 0.25])
LOGITS = np.log(P)[None] + 3.0


def renormalized(*tokens: int) -> list[float]:
    candidates = np.where(np.isin(np.arange(5), tokens), P, 0)
    return (candidates / candidates.sum()).tolist()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, P.tolist()),
        ({"temperature": 2.0}, (P**0.5 / (P**0.5).sum()).tolist()),
        ({"temperature": 0}, [0, 1, 0, 0, 0]),
        ({"temperature": 1e-300}, [0, 1, 0, 0, 0]),
        ({"top_k": 1}, [0, 1, 0, 0, 0]),
        ({"top_k": 3}, renormalized(1, 2, 4)),
        ({"top_k": 99}, P.tolist()),
        ({"top_p": 1e-9}, [0, 1, 0, 0, 0]),
        ({"top_p": 0.39}, [0, 1, 0, 0, 0]),
        ({"top_p": 0.41}, renormalized(1, 4)),
        ({"top_p": 0.66}, renormalized(1, 4, 2)),
        ({"top_p": 1.0}, P.tolist()),
        ({"top_k": 3, "top_p": 0.7}, renormalized(1, 4)),  # Of the three, these two have 0.65 / 0.85.
        ({"top_k": 3, "top_p": 0.8}, renormalized(1, 4, 2)),
    ],
)
def test_probabilities_are_exact(options: dict[str, Any], expected: list[float]) -> None:
    p = Sampler(**options).probabilities(LOGITS)
    np.testing.assert_allclose(p, [expected], rtol=1e-12, atol=1e-15)
    many = np.repeat(LOGITS, 20000, axis=0)
    counts = np.bincount(Sampler(**options, rng=0)(many), minlength=5) / 20000
    np.testing.assert_allclose(counts, expected, atol=0.015)
    assert set(np.flatnonzero(counts)) <= set(np.flatnonzero(expected))


def test_ties_are_resolved_in_favour_of_the_first_token() -> None:
    p = Sampler(top_k=2).probabilities(np.zeros((1, 4), np.float32))
    np.testing.assert_array_equal(p, [[0.5, 0.5, 0, 0]])
    assert Sampler(temperature=0)(np.zeros((3, 4))).tolist() == [0, 0, 0]


@pytest.mark.parametrize("spread", [0.0, 0.5, 5.0])
@pytest.mark.parametrize(
    "options", [{"top_k": 3}, {"top_k": 700}, {"top_p": 0.3}, {"top_p": 0.999}, {"top_k": 700, "top_p": 0.5}]
)
def test_partial_sort_of_large_vocabularies_equals_a_full_sort(spread: float, options: dict[str, Any]) -> None:
    """Similar logits need several rounds to collect the requested probability."""
    x = (np.random.default_rng(0).standard_normal((3, CANDIDATES * GROWTH + 9)) * spread).round(1)
    x[1, :200] = -np.inf
    order = np.argsort(-x, axis=-1, kind="stable")[:, : options.get("top_k")]
    p = np.take_along_axis(np.exp(x - x.max(axis=-1, keepdims=True)), order, axis=-1)
    p /= p.sum(axis=-1, keepdims=True)
    p[p.cumsum(axis=-1) - p >= options.get("top_p", 1.0)] = 0
    expected = np.zeros_like(x)
    np.put_along_axis(expected, order, p / p.sum(axis=-1, keepdims=True), axis=-1)
    p = Sampler(**options).probabilities(x)
    np.testing.assert_array_equal(p > 0, expected > 0)
    np.testing.assert_allclose(p, expected, rtol=1e-12)
    bounds, draws = expected.cumsum(axis=-1), np.random.default_rng(5).random((3, 1))
    np.testing.assert_array_equal(Sampler(**options, rng=5)(x), (bounds <= draws * bounds[:, -1:]).sum(axis=-1))


@pytest.mark.parametrize("count", [1, 2, 5, 8, 9, 99])
def test_most_likely_equals_a_stable_sort(count: int) -> None:
    rng = np.random.default_rng(count)
    for x in (rng.integers(-2, 2, (4, 9)).astype(np.float16), rng.standard_normal((2, 9)), np.full((2, 9), -np.inf)):
        np.testing.assert_array_equal(most_likely(x, count), np.argsort(-x, axis=-1, kind="stable")[:, :count])


def test_token_of_probability_zero_is_never_drawn() -> None:
    class Highest(np.random.Generator):
        def random(self, size: Any = None) -> Any:  # type: ignore[override]
            return np.full(size, np.nextafter(1.0, 0.0))

    for end in ([-np.inf], [-np.inf, -1e30]):
        logits = np.array([[0.1, 0.2, 0.3, *end]])
        assert Sampler(rng=Highest(np.random.PCG64(0)))(logits).tolist() == [2]
    assert Sampler(rng=0)(np.array([[-np.inf, 0.0, -np.inf]] * 50)).tolist() == [1] * 50


def test_options_out_of_range_raise() -> None:
    for options, match in (
        ({"temperature": -1}, "temperature is -1"),
        ({"temperature": np.nan}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 0}, "top_p is 0"),
        ({"top_p": 1.5}, "top_p is 1.5; it must be at most 1"),
    ):
        with pytest.raises(ArgumentError, match=match):
            Sampler(**options)
    for worst in (np.nan, np.inf):
        with pytest.raises(ArgumentError, match="logits contain NaN or infinity"):
            Sampler()(np.array([[0.0, worst]]))
    with pytest.raises(ArgumentError, match="minus infinity"):
        Sampler(temperature=0)(np.full((1, 2), -np.inf))


# Generation.

PROMPT = np.array([3, 1, 4])


@pytest.fixture(scope="module")
def model() -> GPT:
    gpt = GPT(20, n_layers=2, n_heads=2, d_model=16, max_len=12, dropout_ratio=0.3, rng=0)
    for parameter in gpt.params():
        if parameter.ndim > 1:
            parameter.data = parameter.data * 15
    return gpt


def by_hand(model: GPT, ids: np.ndarray, count: int) -> np.ndarray:
    """The most likely tokens, without a cache."""
    with no_grad(), passus.test_mode():
        for _ in range(count):
            ids = np.append(ids, model(ids[None]).data[0, -1].argmax())
    return ids


def test_greedy_generation_selects_the_most_likely_token(model: GPT) -> None:
    expected = by_hand(model, PROMPT, 10)
    assert len(expected) == 13
    np.testing.assert_array_equal(model.generate(PROMPT, 10, temperature=0), expected)
    np.testing.assert_array_equal(model.generate(PROMPT, 10, top_k=1), expected)
    np.testing.assert_array_equal(model.generate(PROMPT.tolist(), 10, temperature=0), expected)
    assert list(model.stream(PROMPT, 10, temperature=0)) == expected[3:].tolist()
    assert len(set(expected[3:].tolist())) > 2, "the model must not repeat one token"


def test_seeds_are_reproducible(model: GPT) -> None:
    first = model.generate(PROMPT, 10, rng=5, top_p=0.9)
    np.testing.assert_array_equal(model.generate(PROMPT, 10, rng=5, top_p=0.9), first)
    assert any((model.generate(PROMPT, 10, rng=seed, top_p=0.9) != first).any() for seed in range(3))
    with passus.random.using_rng(7):
        drawn = model.generate(PROMPT, 10)
    np.testing.assert_array_equal(model.generate(PROMPT, 10, rng=7), drawn)
    generator = np.random.default_rng(7)
    np.testing.assert_array_equal(model.generate(PROMPT, 10, rng=generator), drawn)
    assert (model.generate(PROMPT, 10, rng=generator) != drawn).any(), "a generator continues its sequence"


def test_batch_generation_equals_row_by_row_generation(model: GPT) -> None:
    ids = np.random.default_rng(0).integers(20, size=(4, 5))
    together = model.generate(ids, 6, temperature=0)
    assert together.shape == (4, 11)
    for row, alone in zip(together, ids):
        np.testing.assert_array_equal(row, by_hand(model, alone, 6))
    steps = list(model.stream(ids, 6, temperature=0))
    np.testing.assert_array_equal(np.stack(steps, axis=1), together[:, 5:])


@pytest.mark.parametrize("positions", ["learned", "rotary", "alibi", "sinusoidal"])
def test_prompts_of_different_lengths(positions: str) -> None:
    model = GPT(20, 2, 2, 16, 12, positions=positions, rng=0)
    for parameter in model.params():
        parameter.data = parameter.data * (15 if parameter.ndim > 1 else 1)
    prompts = [[3, 1, 4, 1, 5], [9], [2, 6, 5]]
    results = model.generate(prompts, 6, temperature=0)
    assert [len(row) for row in results] == [11, 7, 9]
    for row, prompt in zip(results, prompts):
        np.testing.assert_array_equal(row, by_hand(model, np.array(prompt), 6))


def test_stop_token_ends_a_row(model: GPT) -> None:
    ids = np.random.default_rng(0).integers(20, size=(3, 4))
    whole = model.generate(ids, 8, temperature=0)
    stop = int(whole[0, 6])
    stopped = model.generate(ids, 8, temperature=0, stop=stop)
    for row, full_row in zip(stopped, whole):
        ends = np.flatnonzero(full_row[4:] == stop)
        end = 4 + int(ends[0]) + 1 if len(ends) else 12
        np.testing.assert_array_equal(row[: min(end, len(row))], full_row[: min(end, len(row))])
        assert (row[end:] == stop).all(), "padded with the stop token"
    single = model.generate(ids[0], 8, temperature=0, stop=[stop, 99])
    end = 4 + int(np.flatnonzero(whole[0, 4:] == stop)[0])
    np.testing.assert_array_equal(single, whole[0, : end + 1])
    ragged = model.generate([ids[0].tolist(), ids[1].tolist()], 8, temperature=0, stop=stop)
    np.testing.assert_array_equal(ragged[0], single)


def test_max_len_and_sliding_window(model: GPT) -> None:
    ids = np.arange(12)
    assert model.generate(ids, 0).tolist() == ids.tolist()
    np.testing.assert_array_equal(model.generate(ids, 1, temperature=0), by_hand(model, ids, 1))
    with pytest.raises(ArgumentError, match=r"GPT\.generate: 12 tokens and 2 new ones exceed max_len=12.*window=True"):
        model.generate(ids, 2)
    with pytest.raises(ArgumentError, match="exceed max_len"):
        model.stream(ids, 2)  # Immediately, not at the first token.
    long = model.generate(np.arange(15), 30, temperature=0, window=True)
    assert long.shape == (45,)
    np.testing.assert_array_equal(long[:15], np.arange(15))
    # Each token is the most likely one for some preceding window.
    with no_grad(), passus.test_mode():
        for i in range(15, 45):
            starts = range(max(0, i - 12), i - 5)
            assert any(model(long[None, s:i]).data[0, -1].argmax() == long[i] for s in starts)
    np.testing.assert_array_equal(
        model.generate([[1, 2], [3, 4, 5]], 9, temperature=0, window=True)[1],
        model.generate(np.array([3, 4, 5]), 9, temperature=0),
    )
    assert [len(r) for r in model.generate([[1, 2], [3, 4, 5]], 40, window=True, rng=0)] == [42, 43]


def test_switches_are_restored_between_tokens(model: GPT) -> None:
    for _ in model.stream(PROMPT, 3, rng=0):
        assert enable_backprop.get()
        assert train.get()


def test_switches_are_plain_values_inside_a_step(model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a generator they would be scope objects, which are slower to read."""
    found, next_logits = [], model.next_logits

    def recording(*args: Any) -> Any:
        found.extend([enable_backprop.get(), train.get()])
        return next_logits(*args)

    monkeypatch.setitem(model.__dict__, "next_logits", recording)
    model.generate(PROMPT, 2, rng=0)
    assert found == [False] * 4
    assert {type(value) for value in found} == {bool}


def test_invalid_prompts_raise(model: GPT) -> None:
    for ids, error, match in (
        ([], ShapeError, "at least one token"),
        (np.zeros((2, 0), int), ShapeError, r"ids \(2, 0\)"),
        (np.zeros((1, 1, 1), int), ShapeError, r"ids \(1, 1, 1\)"),
        ([[1], []], ShapeError, r"ids \(0,\)"),
        (np.zeros(3), DTypeError, "ids are float64"),
        (np.array([20]), LabelError, "out of range"),
    ):
        with pytest.raises(error, match=match):
            model.generate(ids, 2)
    with pytest.raises(DTypeError, match="stop is a str"):
        model.generate(PROMPT, 2, stop="ab")
    with pytest.raises(ArgumentError, match="max_new_tokens is -1"):
        model.generate(PROMPT, -1)
