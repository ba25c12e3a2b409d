"""Perplexity and bits per character against their formulas, edit distances against the textbook algorithm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import passus.functions as F
from passus import Variable
from passus.errors import ArgumentError, DTypeError, LabelError, PassusWarning, ShapeError
from passus.metrics import (
    Accuracy,
    BitsPerCharacter,
    CharacterErrorRate,
    Perplexity,
    TopKAccuracy,
    WordErrorRate,
    accuracy,
    bits_per_character,
    character_error_rate,
    edit_distance,
    perplexity,
    top_k_accuracy,
    word_error_rate,
)

CONSTANTS = np.random.default_rng(6)
Y, T = CONSTANTS.standard_normal((7, 5, 11)).astype(np.float32), CONSTANTS.integers(0, 11, (7, 5))


def loss(y: np.ndarray, t: np.ndarray, **options: Any) -> float:
    y, t = y.astype(np.float64).reshape(-1, y.shape[-1]), t.reshape(-1)
    return torch.nn.functional.cross_entropy(torch.tensor(y), torch.tensor(t), **options).item()


@pytest.mark.parametrize("ignored", [None, 3])
def test_perplexity_and_bits_are_weighted_by_tokens(ignored: int | None) -> None:
    mean = loss(Y, T, **({} if ignored is None else {"ignore_index": ignored}))
    for metric, expected in (
        (Perplexity(ignored), math.exp(mean)),
        (BitsPerCharacter(ignored), mean / math.log(2)),
        (BitsPerCharacter(ignored, characters_per_token=4.5), mean / math.log(2) / 4.5),
    ):
        for start, stop in ((0, 1), (1, 1), (1, 5), (5, 7)):
            metric.update(Variable(Y[start:stop]), T[start:stop])
        assert metric.compute() == pytest.approx(expected, rel=1e-6)
        copy = type(metric)()
        copy.load_state_dict(metric.state_dict())
        assert copy._mean.compute() == metric._mean.compute()
        metric.reset()
        with pytest.raises(ArgumentError, match="no values yet"):
            metric.compute()
    assert perplexity(Y, T, ignored) == pytest.approx(math.exp(mean), rel=1e-6)
    moved = np.moveaxis(Y, -1, 1)
    assert bits_per_character(moved, T, ignored, axis=1) == pytest.approx(mean / math.log(2), rel=1e-6)


def test_batches_of_ignored_tokens_change_nothing() -> None:
    metric = Perplexity(ignore_index=0)
    metric.update(Y, 0 * T)
    metric.update(Y[:, :0], T[:, :0])
    with pytest.raises(ArgumentError, match=r"^Perplexity: no values yet; .*with labels other than ignore_index"):
        metric.compute()
    metric.update(Y[:1], T[:1] % 10 + 1)
    assert metric.compute() == pytest.approx(math.exp(loss(Y[:1], T[:1] % 10 + 1)), rel=1e-6)


def test_probability_zero_gives_infinite_perplexity() -> None:
    y = np.zeros((1, 2, 3))
    y[..., 0] = 1e4
    assert perplexity(y, np.ones((1, 2), int)) == math.inf
    assert bits_per_character(y, np.ones((1, 2), int)) == pytest.approx(1e4 / math.log(2))


def test_invalid_arguments_of_perplexity_and_bits_raise() -> None:
    for metric in (Perplexity(), BitsPerCharacter()):
        name = type(metric).__name__
        with pytest.raises(ShapeError, match=rf"{name}: labels \(7, 4\) do not match y? ?x? ?\(7, 5, 11\).*axis -1"):
            metric.update(Y, T[:, :4])
        with pytest.raises(LabelError, match=rf"{name}: label \d+ is out of range: the 11 classes"):
            metric.update(Y, T + 11 * (T.max() == T))
    with pytest.raises(ArgumentError, match="characters_per_token"):
        BitsPerCharacter(characters_per_token=0)
    with pytest.raises(DTypeError, match="axis is"):
        Perplexity(axis=1.0)  # type: ignore[arg-type]


def test_accuracy_of_a_language_model_counts_tokens() -> None:
    expected = (Y.argmax(axis=-1) == T).mean()
    assert accuracy(Y, T, axis=-1) == pytest.approx(expected)
    assert F.accuracy(Y, T, axis=-1) == pytest.approx(expected)
    top = np.mean([t in np.argsort(y)[-3:] for y, t in zip(Y.reshape(-1, 11), T.ravel())])
    assert top_k_accuracy(Y, T, 3, axis=-1) == pytest.approx(top)
    metric = Accuracy(ignore_index=3, axis=-1)
    metric.update(Y, T)
    assert metric.compute() == pytest.approx((Y.argmax(axis=-1) == T)[T != 3].mean())
    for metric in (Accuracy(), TopKAccuracy(2)):
        with pytest.raises(ShapeError, match=r"for classes on axis 2 pass axis=2"):
            metric.update(Y, T)
    with pytest.raises(ShapeError, match=r"for classes on axis 2 pass axis=2"):
        F.softmax_cross_entropy(Y, T)


READING_LABELS: dict[str, Any] = {
    "softmax_cross_entropy": F.softmax_cross_entropy,
    "nll_loss": lambda y, t, **options: F.nll_loss(y - 5, t, **options),
    "accuracy": F.accuracy,
    "Accuracy": accuracy,
    "TopKAccuracy": lambda y, t, **options: top_k_accuracy(y, t, 2, **options),
}


@pytest.mark.parametrize("name", READING_LABELS)
def test_logits_of_as_many_tokens_as_positions_are_ambiguous(name: str) -> None:
    f, rng = READING_LABELS[name], np.random.default_rng(9)
    square = rng.standard_normal((3, 5, 5)).astype(np.float32)
    labels = rng.integers(0, 5, (3, 5))
    with pytest.warns(PassusWarning, match=rf"{name}: x \(3, 5, 5\) is read as .* pass axis=-1; pass axis=1") as caught:
        found = [f(square, labels) for _ in range(3)]
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert found[0] == f(square, labels, axis=1)
    assert f(square, labels, axis=-1) == f(np.moveaxis(square, -1, 1), labels, axis=1)
    # Images, scores of one element, and other lengths are unambiguous; a warning would fail the test.
    for shape in ((2, 4, 4, 4), (2, 1, 1), (2, 3, 4), (3, 3)):
        if name != "TopKAccuracy" or shape[1] > 1:
            f(rng.standard_normal(shape).astype(np.float32), np.zeros((shape[0], *shape[2:]), int))


# Edit distances.


def by_the_table(a: Any, b: Any) -> int:
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = range(len(a) + 1), range(len(b) + 1)
    for i, p in enumerate(a, 1):
        for j, q in enumerate(b, 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (p != q))
    return int(table[-1, -1])


@given(a=st.text("abc", max_size=12), b=st.text("abc", max_size=12))
def test_edit_distances_equal_the_dynamic_programming_table(a: str, b: str) -> None:
    expected = by_the_table(a, b)
    assert edit_distance(a, b) == edit_distance(b, a) == expected
    ids = [np.array([ord(c) for c in s], np.uint8) for s in (a, b)]
    assert edit_distance(*ids) == edit_distance(list(a), tuple(b)) == expected
    assert edit_distance(a.split("a"), b.split("a")) == by_the_table(a.split("a"), b.split("a"))


def test_edit_distances_of_long_sequences_are_exact(rng: np.random.Generator) -> None:
    a = rng.integers(0, 50, 2000)
    b = np.delete(a, rng.choice(2000, 100, replace=False))
    assert edit_distance(a, b) == 100


def test_error_rates_divide_by_the_length_of_the_references() -> None:
    right, found = ["the cat sat on the mat", "hello", ""], ["the cat sit on mat", "hello", "a b"]
    edits = sum(map(by_the_table, found, right))
    assert character_error_rate(found, right) == edits / sum(map(len, right))
    words = sum(by_the_table(f.split(), r.split()) for f, r in zip(found, right))
    assert word_error_rate(found, right) == words / 7
    metric = WordErrorRate()
    for f, r in zip(found, right):
        metric.update(f, r)
    assert metric.compute() == words / 7
    assert word_error_rate("a b c d", "x") == 4, "insertions may exceed the length of the reference"


@pytest.mark.parametrize("metric", [CharacterErrorRate(), WordErrorRate()])
def test_values_that_are_not_texts_raise(metric: Any) -> None:
    with pytest.raises(ShapeError, match="1 predictions for 2 references"):
        metric.update(["a"], ["a", "b"])
    with pytest.raises(DTypeError, match="expected a str or a list of str, not an ndarray; decode tokens first"):
        metric.update(np.array([1]), "a")
    with pytest.raises(DTypeError, match="decode tokens first"):
        metric.update([1], ["a"])
    with pytest.raises(ArgumentError, match="the list of texts is empty"):
        metric.update([], [])
    metric.update("a", "")
    with pytest.raises(ArgumentError, match=r"^\w+ErrorRate: no values yet; .*with a reference that is not empty"):
        metric.compute()


def test_values_that_are_not_sequences_raise() -> None:
    with pytest.raises(DTypeError, match="an int is not a sequence"):
        edit_distance(3, "a")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"expected a sequence \(T,\), not an array \(1, 2\)"):
        edit_distance(np.ones((1, 2)), "a")
    with pytest.raises(ShapeError, match=r"expected a sequence \(T,\), not an array \(\)"):
        edit_distance(np.array(1), "a")


@pytest.mark.parametrize("unhashable", [[[1]], [np.zeros(2)], [{}]])
def test_unhashable_elements_raise(unhashable: list[Any]) -> None:
    with pytest.raises(DTypeError, match=r"edit_distance: an element is .* not hashable"):
        edit_distance([1], unhashable)
