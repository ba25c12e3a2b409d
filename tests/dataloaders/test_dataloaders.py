"""Loaders: batches, shards, sequences, devices, and invalid arguments."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passus.dataloaders import DataLoader, SeqDataLoader, collate
from passus.datasets import ArrayDataset, Dataset
from passus.errors import (
    ArgumentError,
    DependencyError,
    DTypeError,
    PassusError,
    ShapeError,
)
from passus.transforms import Compose, Flatten, Normalize
from tests.dataloaders.examples import Squares, seen


def test_an_epoch_yields_each_example_once_with_its_label() -> None:
    batches = list(DataLoader(Squares(), 3))
    assert [len(x) for x, _ in batches] == [3, 3, 3, 1]
    x, t = (np.concatenate(part) for part in zip(*batches))
    assert sorted(x) == list(range(10))
    assert (x**2 == t).all()
    assert x.dtype == np.float32
    assert t.dtype.kind == "i"


def test_shuffling_differs_between_epochs_and_can_be_disabled() -> None:
    shuffled = DataLoader(Squares(), 10)
    assert seen(shuffled) != seen(shuffled)
    assert seen(DataLoader(Squares(), 5, shuffle=False)) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_drop_last_omits_the_incomplete_batch() -> None:
    loader = DataLoader(Squares(), 3, drop_last=True)
    assert len(loader) == loader.max_iter == 3
    assert [len(x) for x, _ in loader] == [3, 3, 3]


def test_batches_equal_collated_examples() -> None:
    class Slow(Squares):
        def __getitem__(self, index: int) -> Any:
            return super().__getitem__(index)

    assert Squares().batch is not None
    assert Slow().batch is None
    for whole, single in zip(DataLoader(Squares(), 4, shuffle=False), DataLoader(Slow(), 4, shuffle=False)):
        for a, b in zip(whole, single):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_transforms_of_batches_equal_those_of_single_examples() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 1, 4, 4), np.uint8)

    class Images(Dataset):
        def prepare(self) -> None:
            self.data = images

    fast = Images(transform=Compose([Flatten(), Normalize(0.0, 255.0)]))
    slow = Images(transform=lambda x: fast.transform(x))
    assert slow.batch is None
    (x, t), (x1, t1) = (next(iter(DataLoader(d, 6, shuffle=False))) for d in (fast, slow))
    np.testing.assert_array_equal(x, x1)
    assert x.shape == (6, 16)
    assert x.dtype == np.float32
    assert t is None
    assert t1 is None


def test_lists_and_arrays_are_datasets() -> None:
    pairs = [[np.float32([i, i]), i] for i in range(4)]
    x, t = next(iter(DataLoader(pairs, 4, shuffle=False)))
    np.testing.assert_array_equal(x, np.float32([[0, 0], [1, 1], [2, 2], [3, 3]]))
    assert t.tolist() == [0, 1, 2, 3]
    assert next(iter(DataLoader(np.arange(4), 2, shuffle=False))).tolist() == [0, 1]


def test_batches_do_not_share_memory_with_the_dataset() -> None:
    data = ArrayDataset(np.zeros((4, 2), np.float32))
    (x,) = next(iter(DataLoader(data, 4, shuffle=False)))
    x += 1
    assert (data.arrays[0] == 0).all()


def test_read_only_and_strided_arrays_are_accepted() -> None:
    x = np.arange(24.0).reshape(4, 6)[:, ::2]
    x.flags.writeable = False
    (got,) = next(iter(DataLoader(ArrayDataset(x), 4, shuffle=False)))
    np.testing.assert_array_equal(got, x)


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        ([1, 2], np.array([1, 2])),
        ([True, False], np.array([True, False])),
        ([1.0, 2.0], np.float32([1, 2])),
        ([np.float64(1.0), np.float64(2.0)], np.array([1.0, 2.0])),
        ([np.uint8(1), np.uint8(2)], np.array([1, 2], np.uint8)),
        ([np.zeros((0, 2), np.float32)] * 3, np.zeros((3, 0, 2), np.float32)),
        ([np.ones((2, 2), np.float32)[:, ::-1]], np.ones((1, 2, 2), np.float32)),
    ],
)
def test_collate_preserves_dtypes(examples: Any, expected: np.ndarray) -> None:
    got = collate(examples)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


def test_collate_preserves_structure() -> None:
    x, more = collate([({"a": 1, "name": "p"}, (2, None)), ({"a": 3, "name": "q"}, (4, None))])
    assert x["a"].tolist() == [1, 3]
    assert x["name"] == ["p", "q"]
    assert more[0].tolist() == [2, 4]
    assert more[1] is None


@pytest.mark.parametrize(
    "examples",
    [[np.zeros(2), np.zeros(3)], [(1, 2), (1,)], [({"a": 1},), ({"b": 1},)], [[1, 2], [1, 2, 3]]],
)
def test_collate_rejects_examples_of_different_structure(examples: Any) -> None:
    with pytest.raises(ShapeError, match="example 1"):
        collate(examples)


@pytest.mark.parametrize("examples", [["a", 1], ["a", None], [("a", 1), (2, 1)], [None, "a"]])
def test_collate_rejects_strings_mixed_with_other_types(examples: Any) -> None:
    with pytest.raises(ShapeError, match="example 0 of the batch has type"):
        collate(examples)


def test_collate_accepts_keys_of_different_types() -> None:
    batch = collate([{"x": 1, 2: 3.0}, {2: 4.0, "x": 5}])
    np.testing.assert_array_equal(batch["x"], [1, 5])
    np.testing.assert_array_equal(batch[2], np.float32([3, 4]))


def test_collate_accepts_arrays_and_rejects_scalars() -> None:
    np.testing.assert_array_equal(collate(np.arange(6).reshape(3, 2)), np.arange(6).reshape(3, 2))
    with pytest.raises(DTypeError, match="an int is not a list of examples"):
        collate(5)


def test_collate_rejects_an_empty_list() -> None:
    with pytest.raises(ArgumentError, match="list of examples is empty"):
        collate([])


def test_a_custom_collate_function_is_used() -> None:
    assert list(DataLoader([3, 4, 5], 2, shuffle=False, collate=sum)) == [7, 5]
    assert list(DataLoader(np.array([3, 4, 5]), 2, shuffle=False, collate=sum)) == [7, 5]


@given(size=st.integers(1, 60), count=st.integers(1, 5), batch_size=st.integers(1, 7), drop_last=st.booleans())
def test_shards_have_equal_numbers_of_batches_and_cover_the_dataset(
    size: int, count: int, batch_size: int, drop_last: bool
) -> None:
    def shard(index: int) -> DataLoader:
        return DataLoader(np.arange(size), batch_size, rng=0, drop_last=drop_last, shard=(index, count))

    if drop_last and size // count < batch_size:
        with pytest.raises(ArgumentError, match="drop_last"):
            shard(0)
        return
    shards = [[b.tolist() for b in shard(index)] for index in range(count)]
    assert len({tuple(len(b) for b in batches) for batches in shards}) == 1
    numbers = [i for batches in shards for b in batches for i in b]
    if drop_last:
        assert len(numbers) == len(set(numbers))
    else:
        assert set(numbers) == set(range(size))
        assert len(numbers) < size + count


def test_streams_continue_across_batches() -> None:
    class Curve(Dataset):
        def prepare(self) -> None:
            self.data, self.label = np.arange(12.0), np.arange(1, 13)

    loader = SeqDataLoader(Curve(), 3)
    batches = [x for x, _ in loader]
    assert batches[0].tolist() == [0, 4, 8]
    assert all((b - a == 1).all() for a, b in pairwise(batches))
    assert sorted(np.concatenate(batches)) == list(range(12))
    assert isinstance(loader, type(DataLoader(Curve(), 3)).__base__)


def test_streams_wrap_as_in_dezero_and_can_be_saved() -> None:
    loader = SeqDataLoader(np.arange(7), 3)
    expected = [[0, 2, 4], [1, 3, 5], [2, 4, 6]]
    assert [b.tolist() for b in loader] == expected
    next(loader)
    other = SeqDataLoader(np.arange(7), 3)
    other.load_state_dict(loader.state_dict())
    assert [b.tolist() for b in other] == expected[1:]


@pytest.mark.parametrize("make", [DataLoader, SeqDataLoader])
@pytest.mark.parametrize(
    ("size", "batch_size", "error"),
    [(0, 1, ArgumentError), (3, 0, ArgumentError), (3, -1, ArgumentError), (3, 2.0, DTypeError), (3, True, DTypeError)],
)
def test_invalid_sizes_raise(make: Any, size: int, batch_size: Any, error: type[PassusError]) -> None:
    with pytest.raises(error, match=make.__name__):
        make(np.arange(size), batch_size)


@pytest.mark.parametrize(
    "options",
    [
        {"shard": (2, 2), "rng": 0},
        {"shard": (-1, 2), "rng": 0},
        {"shard": (0, 0), "rng": 0},
        {"shard": (0, 2)},
        {"workers": -1},
        {"drop_last": True, "batch_size": 11},
        {"rng": -1},
    ],
    ids=str,
)
def test_invalid_options_raise(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        DataLoader(Squares(), **{"batch_size": 2, **options})


@pytest.mark.parametrize("switch", ["shuffle", "drop_last", "gpu"])
def test_switches_must_be_true_or_false(switch: str) -> None:
    with pytest.raises(DTypeError, match=rf"DataLoader: {switch} is a str \('no'\); give True or False"):
        DataLoader(Squares(), 2, **{switch: "no"})


def test_more_streams_than_examples_raise() -> None:
    with pytest.raises(ArgumentError, match="batch_size=4 exceeds"):
        SeqDataLoader(np.arange(3), 4)


def test_without_jax_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passus.backend.lookup.others", [])
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(DependencyError, match="needs jax: pip install jax"):
        DataLoader(Squares(), 2, gpu=True)
    loader = DataLoader(Squares(), 2)
    with pytest.raises(DependencyError):
        loader.to_gpu()
    assert not loader.gpu


def test_batches_are_moved_to_a_device_and_back() -> None:
    import jax

    nested = [({"a": 1.0}, None, "name")] * 2
    (parts, nothing, names) = next(iter(DataLoader(nested, 2).to_device("xla")))
    assert isinstance(parts["a"], jax.Array)
    assert parts["a"].tolist() == [1, 1]
    assert nothing is None
    assert names == ["name", "name"]
    loader = DataLoader(Squares(), 2).to_device("xla")
    assert loader.gpu
    assert isinstance(next(loader.to_cpu())[0], np.ndarray)
