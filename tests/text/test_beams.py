"""Beam search against exhaustive search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import Variable
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.text import beam_search


def hypotheses_by_hand(
    table: np.ndarray, end: int | None, max_length: int, alpha: float
) -> list[tuple[float, list[int]]]:
    """All sequences with their scores; ``table[k, i, j]`` is the log-probability of token j after i at step k."""
    found = []

    def grow(tokens: list[int], log_p: float) -> None:
        if tokens and (tokens[-1] == end or len(tokens) == max_length):
            text = tokens[:-1] if tokens[-1] == end else tokens
            found.append((log_p / ((5 + len(tokens)) / 6) ** alpha, text))
            return
        for token in range(table.shape[-1]):
            grow([*tokens, token], log_p + table[len(tokens), tokens[-1] if tokens else 0, token])

    grow([], 0.0)
    return sorted(found, key=lambda pair: -pair[0])


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("end", [None, 2])
def test_a_beam_of_all_hypotheses_equals_exhaustive_search(
    end: int | None, alpha: float, rng: np.random.Generator
) -> None:
    for _ in range(10):
        table = F.log_softmax(2 * rng.standard_normal((4, 4, 4)), axis=2)
        start = np.zeros((2, 3), int)
        found = beam_search(
            lambda ids, state, table=table: (table[ids.shape[1] - 3, ids[:, -1]], state),
            start,
            end=end,
            max_length=4,
            width=256,
            count=7,
            length_penalty=alpha,
        )
        expected = hypotheses_by_hand(table, end, 4, alpha)[:7]
        for hypotheses in found:
            assert [h.tokens.tolist() for h in hypotheses] == [tokens for _, tokens in expected]
            np.testing.assert_allclose([h.score for h in hypotheses], [score for score, _ in expected], rtol=1e-12)


def test_a_wider_beam_finds_a_better_hypothesis() -> None:
    table = np.log(np.array([[0.0001, 0.55, 0.4499], [0.34, 0.33, 0.33], [0.98, 0.01, 0.01]]))

    def search(width: int) -> list[int]:
        step = lambda ids, state: (table[ids[:, -1]], state)  # noqa: E731
        tokens: list[int] = beam_search(step, [[0]], end=0, max_length=6, width=width)[0][0].tokens.tolist()
        return tokens

    assert search(1) == [1]
    assert search(2) == [2]


def test_states_are_reordered_with_their_sequences(rng: np.random.Generator) -> None:
    """A state that sums the generated tokens follows its row, in any nested structure."""
    table = rng.standard_normal((5, 5))
    seen = 0

    def step(ids: np.ndarray, state: Any) -> tuple[Any, Any]:
        nonlocal seen
        sums, (parts, nothing), number = state["sums"], state["more"], state["number"]
        np.testing.assert_array_equal(sums.data + ids[:, -1], ids.sum(axis=1))
        np.testing.assert_array_equal(parts[:, 0], ids[:, 0])
        assert nothing is None
        assert number == 3
        seen += 1
        new = {"sums": Variable(sums.data + ids[:, -1]), "more": (parts, None), "number": 3}
        return Variable(table[ids[:, -1]]), new

    start = np.array([[1], [2], [3]])
    state = {"sums": Variable(np.zeros(3)), "more": (start.copy(), None), "number": 3}
    found = beam_search(step, start, end=0, max_length=8, width=3, count=3, state=state)
    assert seen > 2
    assert [len(hypotheses) for hypotheses in found] == [3, 3, 3]
    alone = beam_search(
        lambda ids, state: (table[ids[:, -1]], state), start[1:2], end=0, max_length=8, width=3, count=3
    )
    for together, single in zip(found[1], alone[0], strict=True):
        np.testing.assert_array_equal(together.tokens, single.tokens)
        assert together.score == pytest.approx(single.score)


def test_the_search_stops_when_no_better_score_is_possible() -> None:
    calls = []

    def step(ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        calls.append(len(ids))
        return np.tile([5.0, 0.0, 0.0], (len(ids), 1)), state

    (best,) = beam_search(step, [[1]], end=0, max_length=1000, width=2)[0]
    assert best.tokens.tolist() == []
    assert best.finished
    assert len(calls) == 1
    (cut,) = beam_search(step, [[1]], max_length=3, width=2)[0]
    assert (cut.tokens.tolist(), cut.finished) == ([0, 0, 0], False)
    assert beam_search(step, np.zeros((0, 1), int), max_length=3) == []


def test_tokens_of_score_minus_infinity_are_never_chosen() -> None:
    def step(ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        return np.tile([-np.inf, 1.0, -np.inf], (len(ids), 1)), state

    assert [h.tokens.tolist() for h in beam_search(step, [[0]], max_length=2, width=4, count=4)[0]] == [[1, 1]]


@pytest.mark.parametrize(
    ("error", "match", "scores", "options"),
    [
        (DTypeError, r"step returned an ndarray; it must return a pair", lambda n: np.zeros((n, 3)), {}),
        (ShapeError, r"scores \(1, 2, 3\) for 1 rows.*logits\[:, -1\]", lambda n: (np.zeros((n, 2, 3)), None), {}),
        (ArgumentError, "step returned NaN", lambda n: (np.full((n, 3), np.nan), None), {}),
        (DTypeError, "cannot select rows of an object; pass reorder=", lambda n: (np.zeros((n, 3)), object()), {}),
        (ArgumentError, "count=5 exceeds width=4", lambda n: (np.zeros((n, 3)), None), {"count": 5}),
        (ShapeError, r"start \(1,\) must have the axes", lambda n: (np.zeros((n, 3)), None), {"start": [0]}),
        (DTypeError, "start must be integers", lambda n: (np.zeros((n, 3)), None), {"start": [[0.5]]}),
        (ArgumentError, "max_length", lambda n: (np.zeros((n, 3)), None), {"max_length": 0}),
    ],
)
def test_invalid_arguments_of_beam_search_raise(error: type[Exception], match: str, scores: Any, options: Any) -> None:
    given: dict[str, Any] = {"start": [[0]], "max_length": 3, **options}
    start = given.pop("start")
    with pytest.raises(error, match=match):
        beam_search(lambda ids, state: scores(len(ids)), start, **given)


def test_stacked_recurrent_states_require_reorder() -> None:
    lstm, out = L.LSTM(6, 5, num_layers=2, rng=0), L.Linear(5, in_size=6, rng=0)

    def step(ids: Any, state: Any) -> Any:
        y, state = lstm(np.eye(5, dtype=np.float32)[ids[:, -1:]], state, return_state=True)
        return out(y[:, -1]), state

    def step_by_step(ids: Any) -> Any:
        return out(lstm(np.eye(5, dtype=np.float32)[ids])[:, -1])

    options: dict[str, Any] = {"max_length": 4, "width": 3}
    with pytest.raises(ShapeError, match=r"an array \(2, 1, 6\) in the state must have 1 rows .* pass reorder="):
        beam_search(step, [[1]], **options)
    with pytest.raises(
        ShapeError, match="the initial h"
    ) as caught:  # The number of prompts equals the number of layers.
        beam_search(step, [[1], [2]], **options)
    assert any("pass reorder=" in note for note in caught.value.__notes__)
    found = beam_search(step, [[1], [2]], reorder=lambda state, rows: tuple(s[:, rows] for s in state), **options)
    (expected,) = beam_search(lambda ids, state: (step_by_step(ids), None), [[2]], **options)
    assert found[1][0].tokens.tolist() == expected[0].tokens.tolist()
    assert found[1][0].log_prob == pytest.approx(expected[0].log_prob, rel=1e-5)
