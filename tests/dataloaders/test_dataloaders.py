"""Loaders: every example once, the same order from the same seed, and an epoch that goes on where it was saved."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passus.config import Config, no_grad
from passus.dataloaders import DataLoader, SeqDataLoader, collate
from passus.datasets import ArrayDataset, Dataset
from passus.errors import (
    ArgumentError,
    DataError,
    DependencyError,
    DTypeError,
    LoaderTimeoutError,
    PassusError,
    ShapeError,
)
from passus.random import get_rng, load_rng_state, rng_state, seed, using_rng
from passus.transforms import Compose, Flatten, Normalize, RandomHorizontalFlip

WORKERS = pytest.mark.parametrize("workers", [0, 3])


class Squares(Dataset):
    def prepare(self) -> None:
        self.data = np.arange(10, dtype=np.float32)
        self.label = np.arange(10) ** 2


class OneByOne:
    """A dataset that can only be asked for one example, and takes its time."""

    def __init__(self, size: int = 10) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> tuple[float, int]:
        time.sleep(0.0005 * (i % 3))
        return float(i), i


class Noisy(OneByOne):
    """Examples that hold a random number."""

    def __getitem__(self, i: int) -> tuple[float, int]:
        return get_rng().random(), i


class Ramps(Dataset):
    """Rows that tell whether they were flipped."""

    def prepare(self) -> None:
        self.data = np.tile(np.arange(2.0), (10, 1))


def loader_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("passus-loader")]


def seen(batches: Any) -> list[list[Any]]:
    return [x.tolist() for x, _ in batches]


def seen_rows(batches: Any) -> np.ndarray:
    return np.concatenate([x for x, _ in batches])


# What is in a batch.


def test_all_examples_come_once_with_their_labels() -> None:
    batches = list(DataLoader(Squares(), 3))
    assert [len(x) for x, _ in batches] == [3, 3, 3, 1]
    x, t = (np.concatenate(part) for part in zip(*batches))
    assert sorted(x) == list(range(10))
    assert (x**2 == t).all()
    assert x.dtype == np.float32
    assert t.dtype.kind == "i"


def test_shuffling_differs_between_epochs_and_can_be_switched_off() -> None:
    shuffled = DataLoader(Squares(), 10)
    assert seen(shuffled) != seen(shuffled)
    assert seen(DataLoader(Squares(), 5, shuffle=False)) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_drop_last() -> None:
    loader = DataLoader(Squares(), 3, drop_last=True)
    assert len(loader) == loader.max_iter == 3
    assert [len(x) for x, _ in loader] == [3, 3, 3]


def test_whole_batches_equal_examples_one_by_one() -> None:
    class Slow(Squares):
        def __getitem__(self, index: int) -> Any:
            return super().__getitem__(index)

    assert Squares().batch is not None
    assert Slow().batch is None
    for whole, single in zip(DataLoader(Squares(), 4, shuffle=False), DataLoader(Slow(), 4, shuffle=False)):
        for a, b in zip(whole, single):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_transforms_that_know_batches_do_not_slow_down() -> None:
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


def test_lists_and_arrays_are_datasets_too() -> None:
    pairs = [[np.float32([i, i]), i] for i in range(4)]
    x, t = next(iter(DataLoader(pairs, 4, shuffle=False)))
    np.testing.assert_array_equal(x, np.float32([[0, 0], [1, 1], [2, 2], [3, 3]]))
    assert t.tolist() == [0, 1, 2, 3]
    assert next(iter(DataLoader(np.arange(4), 2, shuffle=False))).tolist() == [0, 1]


def test_a_batch_is_nobodys_memory() -> None:
    data = ArrayDataset(np.zeros((4, 2), np.float32))
    (x,) = next(iter(DataLoader(data, 4, shuffle=False)))
    x += 1
    assert (data.arrays[0] == 0).all()


def test_read_only_and_strided_arrays() -> None:
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
def test_collate_keeps_the_kind_of_numbers(examples: Any, expected: np.ndarray) -> None:
    got = collate(examples)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


def test_collate_keeps_the_structure() -> None:
    x, more = collate([({"a": 1, "name": "p"}, (2, None)), ({"a": 3, "name": "q"}, (4, None))])
    assert x["a"].tolist() == [1, 3]
    assert x["name"] == ["p", "q"]
    assert more[0].tolist() == [2, 4]
    assert more[1] is None


@pytest.mark.parametrize(
    "examples",
    [[np.zeros(2), np.zeros(3)], [(1, 2), (1,)], [({"a": 1},), ({"b": 1},)], [[1, 2], [1, 2, 3]]],
)
def test_collate_refuses_examples_that_are_not_alike(examples: Any) -> None:
    with pytest.raises(ShapeError, match="example 1"):
        collate(examples)


@pytest.mark.parametrize("examples", [["a", 1], ["a", None], [("a", 1), (2, 1)], [None, "a"]])
def test_collate_refuses_names_among_other_things(examples: Any) -> None:
    with pytest.raises(ShapeError, match="example 0 of the batch has type"):
        collate(examples)


def test_collate_takes_names_of_all_kinds() -> None:
    batch = collate([{"x": 1, 2: 3.0}, {2: 4.0, "x": 5}])
    np.testing.assert_array_equal(batch["x"], [1, 5])
    np.testing.assert_array_equal(batch[2], np.float32([3, 4]))


def test_collate_takes_arrays_of_examples_and_nothing_single() -> None:
    np.testing.assert_array_equal(collate(np.arange(6).reshape(3, 2)), np.arange(6).reshape(3, 2))
    with pytest.raises(DTypeError, match="an int is not a list of examples"):
        collate(5)


def test_collate_needs_an_example() -> None:
    with pytest.raises(ArgumentError, match="list of examples is empty"):
        collate([])


def test_a_collate_function_of_ones_own() -> None:
    assert list(DataLoader([3, 4, 5], 2, shuffle=False, collate=sum)) == [7, 5]
    assert list(DataLoader(np.array([3, 4, 5]), 2, shuffle=False, collate=sum)) == [7, 5]


# Epochs.


def test_a_break_does_not_make_the_next_epoch_start_in_the_middle() -> None:
    loader = DataLoader(Squares(), 4, shuffle=False)
    for _ in loader:
        break
    assert seen(loader)[0] == [0, 1, 2, 3]


def test_two_loops_over_one_loader_do_not_disturb_each_other() -> None:
    loader = DataLoader(Squares(), 5, shuffle=False)
    outer = []
    for x, _ in loader:
        assert seen(loader) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
        outer.append(x.tolist())
    assert outer == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_next_and_reset_as_in_dezero() -> None:
    loader = DataLoader(Squares(), 5, shuffle=False)
    assert loader.next()[0].tolist() == [0, 1, 2, 3, 4]
    assert loader.iteration == 1
    assert next(loader)[0].tolist() == [5, 6, 7, 8, 9]
    with pytest.raises(StopIteration):
        next(loader)
    assert loader.next()[0].tolist() == [0, 1, 2, 3, 4]
    loader.reset()
    assert loader.iteration == 0
    assert loader.next()[0].tolist() == [0, 1, 2, 3, 4]


@WORKERS
def test_a_seed_gives_the_same_order(workers: int) -> None:
    a, b = (DataLoader(OneByOne(), 3, rng=7, workers=workers) for _ in range(2))
    assert [seen(a), seen(a)] == [seen(b), seen(b)]
    assert seen(DataLoader(OneByOne(), 3, rng=8)) != seen(DataLoader(OneByOne(), 3, rng=7))


def test_shuffling_draws_from_the_current_generator() -> None:
    loader = DataLoader(Squares(), 10)
    orders = []
    for _ in range(2):
        seed(3)
        orders.append(seen(loader))
    assert orders[0] == orders[1]
    np.random.seed(0)  # noqa: NPY002 - the generator that must not be touched
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    seen(loader)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_an_evaluation_leaves_the_current_generator_alone() -> None:
    before = rng_state()
    seen(DataLoader(Squares(), 4, shuffle=False))
    assert rng_state() == before


def test_random_transforms_of_whole_batches_draw_as_one_by_one() -> None:
    flip = Compose([RandomHorizontalFlip()])
    fast, slow = Ramps(transform=flip), Ramps(transform=lambda x: flip(x))
    assert fast.is_random
    assert slow.batch is None
    a, b = (seen_rows(DataLoader(d, 9, rng=0, workers=w)) for d, w in ((fast, 2), (slow, 0)))
    np.testing.assert_array_equal(a, b)
    assert 0 < a[:, 0].sum() < 10
    assert not Squares().is_random


def test_random_examples_do_not_depend_on_the_threads() -> None:
    def numbers(workers: int) -> Any:
        return seen(DataLoader(Noisy(), 3, rng=0, workers=workers))

    assert numbers(0) == numbers(1) == numbers(4)
    assert len({v for batch in numbers(0) for v in batch}) == 10


class Drawing(OneByOne):
    """Examples from a generator of the dataset's own, asked directly."""

    def __init__(self, size: int = 10) -> None:
        super().__init__(size)
        self.rng = np.random.default_rng(5)

    def __getitem__(self, i: int) -> tuple[float, int]:
        return self.rng.random() + super().__getitem__(i)[0] * 0, i


def closing_over() -> Any:
    rng, options = np.random.default_rng(5), {"draw": None}
    options["draw"] = lambda: rng.random()
    return Squares(transform=lambda x: options["draw"]() + 0 * x)


SQUARES_RNG = np.random.default_rng(5)


class WithBatches(OneByOne):
    """Whole batches from the current generator, and no word about it."""

    def batch(self, index: np.ndarray) -> Any:
        time.sleep(0.0005 * (index[0] % 3))
        return get_rng().random(len(index)), index


HOLDERS = {
    "transform": lambda: Ramps(transform=RandomHorizontalFlip(rng=3)),
    "composed": lambda: Ramps(transform=Compose([lambda x: x, RandomHorizontalFlip(rng=3)])),
    "shared": lambda: (lambda flip: Ramps(transform=Compose([flip, lambda x: flip(x)])))(RandomHorizontalFlip(rng=3)),
    "its own": Drawing,
    "closure": closing_over,
    "global": lambda: Squares(transform=lambda x: SQUARES_RNG.random() + x * 0),
    "partial": lambda: Squares(transform=partial(lambda rng, x: rng.random() + x * 0, np.random.default_rng(5))),
    "mersenne": lambda: Ramps(transform=RandomHorizontalFlip(rng=np.random.Generator(np.random.MT19937(3)))),
    "current": lambda: Ramps(transform=lambda x: x + get_rng().random()),
    "batches": WithBatches,
    "transform with batches": lambda: Ramps(transform=Shifting()),
}


class Shifting:
    """A transform that knows batches and draws, and does not say so."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.batch(x[None])[0]

    def batch(self, x: np.ndarray) -> np.ndarray:
        return x + get_rng().random((len(x), 1))


def reset_global() -> None:
    SQUARES_RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state


@pytest.mark.parametrize("make", HOLDERS.values(), ids=HOLDERS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_random_numbers_do_not_depend_on_the_number_of_threads(make: Any, shuffle: bool) -> None:
    def epochs(workers: int) -> list[Any]:
        reset_global()
        seed(0)
        loader = DataLoader(make(), 2, shuffle=shuffle, workers=workers)
        return [seen(loader), seen(loader)]

    first, second = epochs(0)
    assert first != second, "each epoch has numbers of its own"
    assert len({str(batch) for batch in first + second}) > 2
    for workers in (1, 2, 4):
        assert epochs(workers) == [first, second]


@pytest.mark.parametrize("make", [make for name, make in HOLDERS.items() if name not in ("batches", "current")])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_goes_on_with_the_generators_of_its_dataset(make: Any, workers: int) -> None:
    seed(0)
    reset_global()
    loader = DataLoader(make(), 2, rng=0, workers=workers)
    seen(loader)
    batches = iter(loader)
    next(batches)
    next(batches)
    state = json.loads(json.dumps(loader.state_dict(), default=np.ndarray.tolist))
    after = rng_state()
    rest = seen(batches) + seen(loader)

    other = DataLoader(make(), 2, rng=99, workers=workers)
    SQUARES_RNG.random(7)
    other.load_state_dict(state)
    load_rng_state(after)
    assert seen(other) + seen(other) == rest


def test_a_seeded_transform_is_the_same_whatever_else_is_drawn() -> None:
    def numbers() -> Any:
        return seen(DataLoader(Ramps(transform=RandomHorizontalFlip(rng=3)), 2, shuffle=False))

    assert numbers() == numbers()


def test_a_dataset_of_any_kind_is_looked_through() -> None:
    class Strange:
        def __getattr__(self, name: str) -> Any:
            raise KeyError(name)

    class Odd(OneByOne):
        __slots__ = ("_slot",)

        def __init__(self) -> None:
            super().__init__()
            self.me, self.strange = self, Strange()
            self.many = list(range(100_000))
            self.proxy = type("Proxy", (), {"__getattr__": lambda self, name: 3, "__slots__": ()})()
            self.kind, self.module, self.text = Odd, np, "text"
            self.empty = lambda: [cell for cell in ()]  # noqa: C416

    def late() -> Any:
        def f(x: Any) -> Any:
            return x + (nothing if x is None else 0)

        if f is None:
            nothing = 1
        return f

    for workers in (0, 2):
        assert len(seen(DataLoader(Odd(), 5, workers=workers))) == 2
        assert len(seen(DataLoader(Squares(transform=late()), 5, workers=workers))) == 2


def test_threads_with_seeded_transforms_work_side_by_side() -> None:
    meeting = threading.Barrier(2)

    class Meeting:
        def __init__(self) -> None:
            self.flip = RandomHorizontalFlip(rng=0)

        def __call__(self, x: np.ndarray) -> np.ndarray:
            meeting.wait(timeout=60)
            return self.flip(x)

    assert len(seen(DataLoader(Ramps(transform=Meeting()), 5, workers=2))) == 2


# State.


@WORKERS
@pytest.mark.parametrize(
    "dataset", [Squares(), OneByOne(), Noisy(), Ramps(transform=RandomHorizontalFlip())], ids=lambda d: type(d).__name__
)
@pytest.mark.parametrize("stop", range(1, 5))
def test_a_restored_loader_goes_on_with_the_same_batches(dataset: Any, stop: int, workers: int) -> None:
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


def test_a_restored_loader_goes_on_with_next_too() -> None:
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


def test_a_state_survives_json_and_stays_as_it_was() -> None:
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
def test_a_state_that_does_not_fit_changes_nothing(change: dict[str, Any]) -> None:
    loader = DataLoader(Squares(), 3, rng=0)
    next(loader)
    state = loader.state_dict()
    with pytest.raises(ArgumentError):
        loader.load_state_dict({**state, **change})
    assert str(loader.state_dict()) == str(state)


# Threads.


@WORKERS
@pytest.mark.parametrize("where", ["dataset", "batch", "transform", "collate"])
def test_a_stop_iteration_does_not_end_the_epoch(where: str, workers: int) -> None:
    def exhausted(*_: Any) -> Any:
        return next(iter(()))

    class Ending(OneByOne):
        def __getitem__(self, i: int) -> Any:
            return exhausted() if i == 7 else super().__getitem__(i)

    class EndingBatches(OneByOne):
        def batch(self, index: np.ndarray) -> Any:
            return exhausted() if 7 in index else (index, index)

    loaders = {
        "dataset": lambda: DataLoader(Ending(), 2, shuffle=False, workers=workers),
        "batch": lambda: DataLoader(EndingBatches(), 2, shuffle=False, workers=workers),
        "transform": lambda: DataLoader(
            Squares(transform=lambda x: exhausted() if x == 7 else x), 2, shuffle=False, workers=workers
        ),
        "collate": lambda: DataLoader(
            OneByOne(),
            2,
            shuffle=False,
            workers=workers,
            collate=lambda e: exhausted() if e[-1][1] == 7 else collate(e),
        ),
    }
    loader, got = loaders[where](), []
    for _ in range(2):
        with pytest.raises(DataError, match="StopIteration for batch 3 of 5") as caught:
            got.extend(iter(loader))
    assert len(got) == 6
    if where in ("dataset", "transform"):
        assert "example 7" in caught.value.__notes__[0]
    with pytest.raises(DataError):
        list(iter(loader.next, None))
    assert loader_threads() == []


@WORKERS
def test_an_error_names_the_example(workers: int) -> None:
    class Broken(OneByOne):
        def __getitem__(self, i: int) -> Any:
            if i == 7:
                raise KeyError("no such file")
            return super().__getitem__(i)

    got = []
    batches = iter(DataLoader(Broken(), 2, shuffle=False, workers=workers))
    with pytest.raises(KeyError, match="no such file") as caught:
        got.extend(x.tolist() for x, _ in batches)
    assert caught.value.__notes__ == ["Raised by example 7: Broken[7]"]
    assert got == [[0, 1], [2, 3], [4, 5]]
    assert loader_threads() == []


def test_no_thread_stays_behind() -> None:
    loader = DataLoader(OneByOne(40), 2, workers=3)
    for _ in loader:
        assert loader_threads()
        break
    assert loader_threads() == []
    next(loader)
    loader.reset()
    assert loader_threads() == []
    assert len(list(loader)) == 20
    assert loader_threads() == []


def test_threads_prepare_no_more_than_they_should() -> None:
    asked: list[int] = []

    class Counting(OneByOne):
        def __getitem__(self, i: int) -> Any:
            asked.append(i)
            return float(i), i

    batches = iter(DataLoader(Counting(100), 1, shuffle=False, workers=2))
    next(batches)
    time.sleep(0.05)
    batches.close()
    assert len(asked) <= 1 + 2 * 2


def test_threads_see_the_switches_of_the_caller() -> None:
    class Switch(OneByOne):
        def __getitem__(self, i: int) -> Any:
            return Config.enable_backprop

    with no_grad():
        batches = list(DataLoader(Switch(), 5, workers=2))
    assert not np.concatenate(batches).any()


class Hanging(OneByOne):
    """An example that does not come until the test is over."""

    def __init__(self) -> None:
        super().__init__()
        self.over = threading.Event()

    def __getitem__(self, i: int) -> Any:
        if i == 4:
            self.over.wait(timeout=60)
        return float(i), i


def test_a_batch_that_does_not_come_is_named_after_a_time() -> None:
    dataset, got = Hanging(), []
    loader = DataLoader(dataset, 2, shuffle=False, workers=2, timeout=0.2)
    with pytest.raises(LoaderTimeoutError, match=r"batch 2 was not ready after 0\.2 s"):
        got.extend(iter(loader))
    assert len(got) == 2
    assert issubclass(LoaderTimeoutError, TimeoutError)
    dataset.over.set()
    assert len(seen(loader)) == 5


def test_a_timeout_of_the_dataset_is_its_own() -> None:
    class Late(OneByOne):
        def __getitem__(self, i: int) -> Any:
            raise TimeoutError("no answer")

    with pytest.raises(TimeoutError, match="no answer"):
        next(DataLoader(Late(), 2, workers=2, timeout=5))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timeout": 1.0}, ArgumentError),
        ({"timeout": 0, "workers": 1}, ArgumentError),
        ({"timeout": float("nan"), "workers": 1}, ArgumentError),
        ({"timeout": "1", "workers": 1}, DTypeError),
    ],
)
def test_times_that_cannot_be(options: Any, error: Any) -> None:
    with pytest.raises(error, match="timeout"):
        DataLoader(Squares(), 2, **options)


SCRIPT = """
import time
from passus import DataLoader

class Hanging:
    def __len__(self):
        return 8
    def __getitem__(self, i):
        if i == 2:
            time.sleep(600)
        return float(i)

batches = iter(DataLoader(Hanging(), 1, shuffle=False, workers=2))
next(batches)
print("started", flush=True)
"""


@pytest.mark.parametrize("ending", ["", "for batch in batches: pass", "next(batches); next(batches)"])
def test_a_hanging_thread_stops_neither_the_end_of_a_program_nor_ctrl_c(ending: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT + ending], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "started\n"
        if ending:
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert ("KeyboardInterrupt" in errors) == bool(ending)
    assert process.returncode == (-signal.SIGINT if ending else 0)


def test_threads_that_cannot_start_cost_speed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert seen(DataLoader(OneByOne(), 3, rng=0, workers=2)) == seen(DataLoader(OneByOne(), 3, rng=0))


# Datasets that grow or shrink.


@pytest.mark.parametrize("kind", [list, OneByOne])
def test_an_epoch_takes_the_dataset_as_it_is_when_it_begins(kind: Any) -> None:
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
    assert len(loader) == 2, "the epoch under way is as long as it was"
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
def test_the_state_of_a_loader_that_cuts_in_another_way_is_refused(
    made: Any, other: Any, words: str, between: bool
) -> None:
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


# Shards.


@given(size=st.integers(1, 60), count=st.integers(1, 5), batch_size=st.integers(1, 7), drop_last=st.booleans())
def test_shards_have_equally_many_batches_and_cover_everything(
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


# Sequences.


def test_streams_run_on_from_batch_to_batch() -> None:
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


# Bad arguments.


@pytest.mark.parametrize("make", [DataLoader, SeqDataLoader])
@pytest.mark.parametrize(
    ("size", "batch_size", "error"),
    [(0, 1, ArgumentError), (3, 0, ArgumentError), (3, -1, ArgumentError), (3, 2.0, DTypeError), (3, True, DTypeError)],
)
def test_sizes_that_cannot_be(make: Any, size: int, batch_size: Any, error: type[PassusError]) -> None:
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
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        DataLoader(Squares(), **{"batch_size": 2, **options})


@pytest.mark.parametrize("switch", ["shuffle", "drop_last", "gpu"])
def test_a_switch_is_true_or_false(switch: str) -> None:
    with pytest.raises(DTypeError, match=rf"DataLoader: {switch} is a str \('no'\); give True or False"):
        DataLoader(Squares(), 2, **{switch: "no"})


def test_more_streams_than_examples() -> None:
    with pytest.raises(ArgumentError, match="batch_size=4 exceeds"):
        SeqDataLoader(np.arange(3), 4)


# Devices.


def test_without_cupy_the_gpu_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DependencyError):
        DataLoader(Squares(), 2, gpu=True)
    loader = DataLoader(Squares(), 2)
    with pytest.raises(DependencyError):
        loader.to_gpu()
    assert not loader.gpu


def test_batches_are_moved_to_the_gpu_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cupy:
        class ndarray:
            def __init__(self, x: Any) -> None:
                self.x = x

        asarray = ndarray

    monkeypatch.setitem(sys.modules, "cupy", Cupy)
    nested = [({"a": 1.0}, None, "name")] * 2
    (parts, nothing, names) = next(iter(DataLoader(nested, 2, gpu=True)))
    assert parts["a"].x.tolist() == [1, 1]
    assert nothing is None
    assert names == ["name", "name"]
    loader = DataLoader(Squares(), 2, gpu=True).to_cpu()
    assert isinstance(next(loader)[0], np.ndarray)
