"""Epochs of loaders: the order is determined by seeds, independently of threads."""

from __future__ import annotations

import json
import threading
import time
from functools import partial
from typing import Any

import numpy as np
import pytest

from passus.dataloaders import DataLoader
from passus.random import get_rng, load_rng_state, rng_state, seed
from passus.transforms import Compose, RandomHorizontalFlip
from tests.dataloaders.examples import WORKERS, Noisy, OneByOne, Ramps, Squares, seen, seen_rows


def test_a_new_epoch_after_a_break_starts_at_the_beginning() -> None:
    loader = DataLoader(Squares(), 4, shuffle=False)
    for _ in loader:
        break
    assert seen(loader)[0] == [0, 1, 2, 3]


def test_nested_loops_over_one_loader_are_independent() -> None:
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


def test_an_unshuffled_epoch_does_not_advance_the_current_generator() -> None:
    before = rng_state()
    seen(DataLoader(Squares(), 4, shuffle=False))
    assert rng_state() == before


def test_random_transforms_draw_the_same_for_batches_and_examples() -> None:
    flip = Compose([RandomHorizontalFlip()])
    fast, slow = Ramps(transform=flip), Ramps(transform=lambda x: flip(x))
    assert fast.is_random
    assert slow.batch is None
    a, b = (seen_rows(DataLoader(d, 9, rng=0, workers=w)) for d, w in ((fast, 2), (slow, 0)))
    np.testing.assert_array_equal(a, b)
    assert 0 < a[:, 0].sum() < 10
    assert not Squares().is_random


def test_random_examples_do_not_depend_on_the_number_of_threads() -> None:
    def numbers(workers: int) -> Any:
        return seen(DataLoader(Noisy(), 3, rng=0, workers=workers))

    assert numbers(0) == numbers(1) == numbers(4)
    assert len({v for batch in numbers(0) for v in batch}) == 10


class Drawing(OneByOne):
    """Examples drawn directly from a generator of the dataset."""

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
    """Batches drawn from the current generator, without declaring is_random."""

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
    """A random transform of batches that does not declare is_random."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.batch(x[None])[0]

    def batch(self, x: np.ndarray) -> np.ndarray:
        return x + get_rng().random((len(x), 1))


def reset_global() -> None:
    SQUARES_RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state


@pytest.mark.parametrize("make", HOLDERS.values(), ids=HOLDERS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_random_datasets_do_not_depend_on_the_number_of_threads(make: Any, shuffle: bool) -> None:
    def epochs(workers: int) -> list[Any]:
        reset_global()
        seed(0)
        loader = DataLoader(make(), 2, shuffle=shuffle, workers=workers)
        return [seen(loader), seen(loader)]

    first, second = epochs(0)
    assert first != second, "each epoch draws new numbers"
    assert len({str(batch) for batch in first + second}) > 2
    for workers in (1, 2, 4):
        assert epochs(workers) == [first, second]


@pytest.mark.parametrize("make", [make for name, make in HOLDERS.items() if name not in ("batches", "current")])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_restored_epoch_continues_the_generators_of_its_dataset(make: Any, workers: int) -> None:
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


def test_a_seeded_transform_is_independent_of_other_generators() -> None:
    def numbers() -> Any:
        return seen(DataLoader(Ramps(transform=RandomHorizontalFlip(rng=3)), 2, shuffle=False))

    assert numbers() == numbers()


def test_datasets_with_unusual_attributes_are_searched_for_generators() -> None:
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


def test_threads_with_seeded_transforms_run_concurrently() -> None:
    meeting = threading.Barrier(2)

    class Meeting:
        def __init__(self) -> None:
            self.flip = RandomHorizontalFlip(rng=0)

        def __call__(self, x: np.ndarray) -> np.ndarray:
            meeting.wait(timeout=60)
            return self.flip(x)

    assert len(seen(DataLoader(Ramps(transform=Meeting()), 5, workers=2))) == 2
