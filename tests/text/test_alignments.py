"""Greedy and beam search for CTC labels, compared with sums over all alignments."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Variable
from passus.errors import ArgumentError, LabelError, ShapeError
from passus.text import ctc_beam_search, ctc_greedy
from tests.table.nn.ctc import ctc_loss as loss_by_all_alignments


def test_greedy_labels_collapse_the_best_alignment() -> None:
    best = np.array([[0, 1, 1, 0, 1, 2, 2], [2, 2, 2, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0]])
    x = np.where(best[:, :, None] == np.arange(3), 5.0, 0.0)
    assert [labels.tolist() for labels in ctc_greedy(x)] == [[1, 1, 2], [2, 1], []]
    assert [labels.tolist() for labels in ctc_greedy(Variable(x), [4, 6, 0])] == [[1], [2], []]
    assert [labels.tolist() for labels in ctc_greedy(x, blank=2)] == [[0, 1, 0, 1], [0, 1], [0]]


@pytest.mark.parametrize("blank", [0, 2])
def test_a_beam_of_all_labels_is_exact(blank: int, rng: np.random.Generator) -> None:
    for T in (0, 1, 4):
        x = 1.5 * rng.standard_normal((2, T, 3))
        lengths = np.array([T, max(0, T - 1)])
        found = ctc_beam_search(x, lengths, width=100, count=100, blank=blank)
        labels = [c for c in range(3) if c != blank]
        for n, hypotheses in enumerate(found):
            count = 0
            for k in range(lengths[n] + 1):
                for target in itertools.product(labels, repeat=k):
                    t = np.array([target], int).reshape(1, k)
                    if k + sum(a == b for a, b in itertools.pairwise(target)) > lengths[n]:
                        continue
                    loss = loss_by_all_alignments(x[n : n + 1, : lengths[n]], t, blank=blank, reduction="sum")
                    (match,) = [h for h in hypotheses if tuple(h.tokens.tolist()) == target]
                    assert match.log_prob == pytest.approx(-loss, rel=1e-9, abs=1e-9)
                    count += 1
            assert len(hypotheses) == count
            assert [h.score for h in hypotheses] == sorted([h.score for h in hypotheses], reverse=True)
            total = np.exp([h.log_prob for h in hypotheses]).sum()
            assert total == pytest.approx(1.0), "the probabilities of all labels add up to 1"


def test_labels_are_recovered_from_confident_scores(rng: np.random.Generator) -> None:
    labels = rng.integers(1, 30, 40)
    path = np.repeat(np.stack([labels, 0 * labels], axis=1).ravel(), 2)
    x = (np.where(path[:, None] == np.arange(30), 8.0, 0.0) + rng.standard_normal((160, 30)))[None]
    (best,) = ctc_beam_search(x)[0]
    np.testing.assert_array_equal(best.tokens, labels)
    np.testing.assert_array_equal(ctc_greedy(x)[0], labels)
    exact = -float(F.ctc_loss(x, labels[None], reduction="sum"))
    (wide,) = ctc_beam_search(x, width=300)[0]
    assert exact - 0.2 < best.log_prob < wide.log_prob < exact, "a wider beam prunes fewer alignments"


@pytest.mark.parametrize("search", [ctc_greedy, ctc_beam_search])
def test_invalid_arguments_of_label_searches_raise(search: Any) -> None:
    x = np.zeros((2, 4, 3))
    for error, match, args, options in (
        (ShapeError, r"x \(4, 3\) must have the axes \(N, T, C\)", (x[0],), {}),
        (LabelError, "blank 3 is out of range", (x,), {"blank": 3}),
        (ArgumentError, "x contains NaN", (x + np.nan,), {}),
        (ShapeError, r"lengths has shape \(1,\)", (x, [1]), {}),
        (ArgumentError, "lengths must lie between 0 and 4", (x, [1, 5]), {}),
    ):
        with pytest.raises(error, match=match):
            search(*args, **options)
    with pytest.raises(ArgumentError, match="count=3 exceeds width=2"):
        ctc_beam_search(x, width=2, count=3)
