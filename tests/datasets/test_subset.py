"""Subsets of datasets and random splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus.random
from passus.dataloaders import DataLoader
from passus.datasets import (
    ArrayDataset,
    Dataset,
    Subset,
    random_split,
)
from passus.errors import ArgumentError, DTypeError, LabelError, ShapeError


class Labelled(Dataset):
    def prepare(self) -> None:
        self.data = np.arange(11, dtype=np.float32)
        self.label = np.arange(11)


KINDS = pytest.mark.parametrize(
    "make",
    [
        Labelled,
        lambda: Labelled(transform=lambda x: x),
        lambda: ArrayDataset(np.arange(11.0), np.arange(11)),
        lambda: [(float(i), i) for i in range(11)],
        lambda: Subset(Labelled(), range(11)),
    ],
)


@KINDS
@pytest.mark.parametrize("lengths", [[7, 4], [0.7, 0.3], [1, 0, 10], [1 / 3, 1 / 3, 1 / 3], [1.0], [0.1] * 10, [0, 11]])
def test_random_splits_are_disjoint_and_complete(make: Any, lengths: Any) -> None:
    dataset = make()
    parts = random_split(dataset, lengths, rng=0)
    assert len(parts) == len(lengths)
    labels = [int(part[i][1]) for part in parts for i in range(len(part))]
    assert sorted(labels) == list(range(11))
    assert labels != list(range(11))
    for part, n in zip(parts, lengths):
        assert abs(len(part) - (n if isinstance(n, int) else n * 11)) <= 1
    again = random_split(dataset, lengths, rng=0)
    assert [part.indices.tolist() for part in again] == [part.indices.tolist() for part in parts]
    for part in parts:
        if len(part):
            batches = list(DataLoader(part, 4, shuffle=False))
            np.testing.assert_array_equal(
                np.concatenate([t for _, t in batches]), [part[i][1] for i in range(len(part))]
            )


def test_random_split_draws_from_the_current_generator() -> None:
    splits = []
    for _ in range(2):
        passus.random.seed(3)
        splits.append(random_split(np.arange(20), [0.5, 0.5])[0].indices.tolist())
    assert splits[0] == splits[1] != random_split(np.arange(20), [0.5, 0.5])[0].indices.tolist()


def test_subsets_select_by_index_or_mask() -> None:
    x = np.arange(12.0).reshape(6, 2)
    subset = Subset(x, x[:, 0] > 5)
    assert len(subset) == 3
    np.testing.assert_array_equal(subset[-1], [10, 11])
    (batch,) = DataLoader(subset, 3, shuffle=False)
    np.testing.assert_array_equal(batch, x[3:])
    assert Subset(x, [-1, 0]).indices.tolist() == [5, 0]
    assert len(Subset(x, [])) == 0
    assert not subset.is_random
    nested = Subset(subset, [2, 0])
    np.testing.assert_array_equal(nested[1], x[3])
    assert not Subset(Labelled(), [1]).is_random
    assert Subset(Labelled(transform=RandomFlip()), [1]).is_random
    assert Subset([1, 2], [1]).batch is None


class RandomFlip:
    def __call__(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: random_split(range(5), [2, 2]), ArgumentError, "the 5 examples"),
        (lambda: random_split(range(5), [0.5, 0.4]), ArgumentError, "to 1 as fractions"),
        (lambda: random_split(range(5), [1.5, -0.5]), ArgumentError, "must sum"),
        (lambda: random_split(range(5), [6, -1]), ArgumentError, "at least 0"),
        (lambda: random_split(range(5), []), ArgumentError, "give a list"),
        (lambda: random_split(range(5), 0.8), ArgumentError, "give a list"),
        (lambda: Subset(range(5), [5]), LabelError, "index 5 is out of range"),
        (lambda: Subset(range(5), [-6]), LabelError, "index -6 is out of range"),
        (lambda: Subset(range(5), [0.5]), DTypeError, "integers"),
        (lambda: Subset(range(5), 3), DTypeError, "integers"),
        (lambda: Subset(range(5), [True, False]), ShapeError, "5 examples"),
        (lambda: Subset(iter([]), []), DTypeError, "__len__"),
        (lambda: Subset(range(5), [1])[1], LabelError, "index 1 is out of range"),
        (lambda: Subset(range(5), [1])[:1], DTypeError, "one integer"),
        (lambda: DataLoader(Subset(range(5), []), 1), ArgumentError, "at least 1"),
    ],
)
def test_invalid_subsets_and_splits_raise(call: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        call()
