"""The state of loaders: an epoch resumes where it was saved; datasets may grow or shrink between epochs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from passus.dataloaders import DataLoader, SeqDataLoader
from passus.errors import (
    ArgumentError,
)
from passus.random import load_rng_state, rng_state, using_rng
from passus.transforms import RandomHorizontalFlip
from tests.dataloaders.examples import WORKERS, Noisy, OneByOne, Ramps, Squares, seen


@WORKERS
@pytest.mark.parametrize(
    "dataset", [Squares(), OneByOne(), Noisy(), Ramps(transform=RandomHorizontalFlip())], ids=lambda d: type(d).__name__
)
@pytest.mark.parametrize("stop", range(1, 5))
def test_a_restored_loader_continues_with_the_same_batches(dataset: Any, stop: int, workers: int) -> None:
    loader = DataLoader(dataset, 3, rng=0, workers=workers)
    seen(loader)
    rest = []
    for i, (x, _) in enumerate(loader, start=1):
        if i > stop:
            rest.append(x.tolist())
        elif i == stop:
            state = loader.state_dict()
    rest += seen(loader) + seen(loader)

    other = DataLoader(dataset, 3, rng=99, workers=workers)
    next(other)
    other.load_state_dict(state)
    assert other.iteration == stop
    assert seen(other) + seen(other) + seen(other) == rest


def test_a_restored_loader_continues_with_next() -> None:
    loader = DataLoader(Squares(), 3, rng=0)
    next(loader)
    state = loader.state_dict()
    rest = [next(loader)[0].tolist() for _ in range(3)]
    other = DataLoader(Squares(), 3, rng=1)
    other.load_state_dict(state)
    assert [other.next()[0].tolist() for _ in range(3)] == rest


def test_a_state_between_epochs_begins_a_new_one() -> None:
    loader = DataLoader(Squares(), 3, rng=0)
    seen(loader)
    other = DataLoader(Squares(), 3, rng=5)
    other.load_state_dict(loader.state_dict())
    assert seen(other) == seen(loader)
    assert len(seen(other)) == 4


def test_without_an_rng_the_current_generator_is_saved_beside_the_loader() -> None:
    loader = DataLoader(Squares(), 3)
    next(loader)
    state, random = loader.state_dict(), rng_state()
    rest = [next(loader)[0].tolist() for _ in range(3)] + seen(loader)
    with using_rng(123):
        other = DataLoader(Squares(), 3)
        other.load_state_dict(state)
        load_rng_state(random)
        assert seen(other) + seen(other) == rest


def test_a_state_survives_json_and_is_not_modified() -> None:
    loader = DataLoader(Squares(), 3, rng=0)
    next(loader)
    state = loader.state_dict()
    text = json.dumps(state, default=np.ndarray.tolist)
    rest = [next(loader)[0].tolist() for _ in range(3)]
    assert json.dumps(state, default=np.ndarray.tolist) == text
    other = DataLoader(Squares(), 3, rng=0)
    other.load_state_dict(json.loads(text))
    assert seen(other) == rest


@pytest.mark.parametrize(
    "change",
    [
        {"order": np.arange(9)},
        {"order": np.arange(1, 11)},
        {"order": np.arange(10.0)},
        {"iteration": 5},
        {"iteration": -1},
        {"iteration": "two"},
        {"rng": {"bit_generator": "MT19937"}},
        {"more": 1},
    ],
    ids=str,
)
def test_an_invalid_state_raises_and_changes_nothing(change: dict[str, Any]) -> None:
    loader = DataLoader(Squares(), 3, rng=0)
    next(loader)
    state = loader.state_dict()
    with pytest.raises(ArgumentError):
        loader.load_state_dict({**state, **change})
    assert str(loader.state_dict()) == str(state)


@pytest.mark.parametrize("kind", [list, OneByOne])
def test_an_epoch_uses_the_length_at_its_start(kind: Any) -> None:
    def resize(n: int) -> None:
        if kind is list:
            dataset[:] = range(n)
        else:
            dataset.size = n

    def count(batches: Any) -> int:
        return sum(len(batch[1] if isinstance(batch, tuple) else batch) for batch in batches)

    dataset: Any = kind(range(10)) if kind is list else kind()
    loader, sequences = DataLoader(dataset, 3), SeqDataLoader(dataset, 2)
    for n, batches in ((10, 4), (13, 5), (4, 2)):
        resize(n)
        assert len(loader) == loader.max_iter == batches
        assert [count(loader), count(loader)] == [n, n]
        assert len(sequences) == -(-n // 2)
        assert count(sequences) == 2 * len(sequences)
    epoch = iter(loader)
    next(epoch)
    resize(30)
    assert len(loader) == 2, "the current epoch has its original length"
    assert count(epoch) == 1
    state = next(loader) is not None and loader.state_dict()
    resize(29)
    with pytest.raises(ArgumentError, match="had 30 examples, this one has 29"):
        loader.load_state_dict(state)
    resize(0)
    with pytest.raises(ArgumentError, match="at least 1"):
        list(loader)
    resize(1)
    with pytest.raises(ArgumentError, match="batch_size=2 exceeds"):
        list(sequences)


@pytest.mark.parametrize(
    ("made", "other", "words"),
    [
        ({"batch_size": 2}, {"batch_size": 5}, "batch_size is 2 in the state and 5 here"),
        ({"shard": (0, 2)}, {"shard": (1, 2)}, r"shard is \[0, 2\] in the state and \[1, 2\] here"),
        ({"shard": (0, 2)}, {"batch_size": 1}, "batch_size is 2 in the state and 1 here"),
        ({"drop_last": True}, {"drop_last": False}, "drop_last is True"),
    ],
)
@pytest.mark.parametrize("between", [False, True])
def test_a_state_with_other_batching_is_rejected(made: Any, other: Any, words: str, between: bool) -> None:
    loader = DataLoader(Squares(), **{"batch_size": 2, "rng": 0} | made)
    if not between:
        next(loader)
    resumed = DataLoader(Squares(), **{"batch_size": 2, "rng": 0} | other)
    before = str(resumed.state_dict())
    with pytest.raises(ArgumentError, match=words):
        resumed.load_state_dict(loader.state_dict())
    assert str(resumed.state_dict()) == before
    sequences = SeqDataLoader(Squares(), 2)
    next(sequences)
    with pytest.raises(ArgumentError, match="batch_size is 2 in the state and 5 here"):
        SeqDataLoader(Squares(), 5).load_state_dict(sequences.state_dict())
