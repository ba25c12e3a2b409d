"""What all loaders do: go through a dataset batch by batch, and remember where they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from passus.answers import CheckedOptions
from passus.arguments import checked_callable, checked_count, checked_flag, checked_number, shown
from passus.backend import Array
from passus.cuda import as_cupy
from passus.dataloaders.collate import collate
from passus.dataloaders.fetching import Examples, ahead, checked_length, one_by_one, whole_batches
from passus.dataloaders.generators import Generators
from passus.errors import ArgumentError, DataError, kind_of
from passus.loading import Loading, Verified, leaf
from passus.random import RNG, get_rng, rng_state, using_rng, verify_rng_state
from passus.tree import Tree, check_tree

__all__ = ["Epoch", "Loader"]


@dataclass
class Epoch:
    """One way through the dataset, and how far it has been gone."""

    order: Array
    size: int
    """How many examples the dataset had when it began."""
    seed: int = 0
    """For what is random in the examples: batch i draws from a generator of its own, made of this and i."""
    seeds: dict[str, int] = field(default_factory=dict)
    """The same in place of each generator that the dataset holds."""
    iteration: int = 0


class Loader(Verified, ABC, CheckedOptions):
    """A dataset, batch by batch. A subclass says how many there are and in which order: `_counts`, `_new_order`, `_indices`.

    ``for x, t in loader`` always begins a new epoch, except once after `load_state_dict`, where it goes on with the
    epoch that was saved. A dataset that has grown or shrunk is taken as it is when an epoch begins.

    What is random in a transform depends on the epoch and on the number of the batch alone, so that an epoch which goes
    on, or which threads prepare, is the same to the bit: `passus.random.get_rng` is another generator for each batch, and
    so are generators that the dataset, its transforms and ``collate`` hold. Only ``np.random`` itself, and a generator that
    is hidden from the loader (in a module that they import), depend on which thread comes first.
    """

    def __init__(
        self,
        dataset: Examples,
        batch_size: int,
        *,
        rng: RNG = None,
        collate: Callable[[Sequence[Any]], Any] | None = None,
        workers: int = 0,
        timeout: float | None = None,
        gpu: bool = False,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self._counts(self._size())
        self.workers = checked_count(type(self).__name__, "workers", workers, 0)
        self.timeout = _checked_timeout(type(self).__name__, timeout, self.workers)
        self._collate = None if collate is None else checked_callable(type(self).__name__, "collate", collate)
        self._rng = None if rng is None else get_rng(rng)
        self._epoch: Epoch | None = None
        self._goes_on = False
        self._running: Generator[Any, None, None] | None = None
        self.gpu = False
        if checked_flag(type(self).__name__, "gpu", gpu):
            self.to_gpu()

    @abstractmethod
    def _counts(self, size: int) -> tuple[int, int]:
        """How many numbers the order of an epoch has, and how many batches there are, for so many examples.

        Raises `ArgumentError` if they fill no batch.
        """

    @abstractmethod
    def _new_order(self, size: int) -> Array:
        """The numbers from which `_indices` makes the batches of one epoch."""

    @abstractmethod
    def _indices(self, epoch: Epoch, i: int) -> Array:
        """Which examples are in batch ``i``."""

    # Going through.

    @property
    def iteration(self) -> int:
        """How many batches of the current epoch were handed out; 0 between two epochs."""
        return self._epoch.iteration if self._epoch else 0

    @property
    def max_iter(self) -> int:
        """How many batches the current epoch has, or else the next one."""
        return self._counts(self._epoch.size if self._epoch else self._size())[1]

    def __len__(self) -> int:
        return self.max_iter

    def __iter__(self) -> Generator[Any, None, None]:
        epoch = self._epoch if self._goes_on else None
        self.reset()
        self._epoch = epoch or self._new_epoch()
        return self._batches(self._epoch)

    def __next__(self) -> Any:
        if self._running is None:
            self._running = iter(self)
        try:
            return next(self._running)
        except StopIteration:
            self._running = None
            raise

    def next(self) -> Any:
        """The next batch, of a new epoch if none is under way; `StopIteration` at the end of one."""
        return next(self)

    def reset(self) -> None:
        """Leave the current epoch; what comes next is the first batch of a new one."""
        self._epoch, self._goes_on = None, False
        if self._running is not None:
            self._running.close()
            self._running = None

    def _size(self) -> int:
        return checked_length(type(self).__name__, self.dataset)

    def _new_epoch(self) -> Epoch:
        size = self._size()
        order = self._new_order(size)
        # Where nothing is random nothing is drawn: an evaluation leaves the current generator alone.
        if not self._is_random():
            return Epoch(order, size)
        return Epoch(order, size, int(get_rng(self._rng).integers(2**63)), self._generators().new_seeds())

    def _generators(self) -> Generators:
        """Those that are drawn from while a batch is prepared."""
        return Generators({"dataset": self.dataset, "collate": self._collate}, but=self._rng)

    def _batches(self, epoch: Epoch) -> Generator[Any, None, None]:
        take, random, generators = self._whole() or self._one_by_one, self._is_random(), self._generators()

        def fetch(i: int) -> Any:
            index = self._indices(epoch, i)
            try:
                if not random:
                    return take(index)
                with using_rng(np.random.default_rng([epoch.seed, i])):
                    return generators.run(epoch.seeds, i, lambda: take(index))
            except StopIteration as error:
                raise self._stopped(i, error) from error

        tasks = range(epoch.iteration, self._counts(epoch.size)[1])
        with closing(ahead(fetch, tasks, self.workers, self.timeout)) as batches:
            for batch in batches:
                epoch.iteration += 1
                yield _on_gpu(batch) if self.gpu else batch
        if self._epoch is epoch:
            self._epoch = None

    def _stopped(self, i: int, error: StopIteration) -> DataError:
        """What is raised instead of a StopIteration, which would end the epoch as if all were well."""
        new = DataError(
            f"{type(self).__name__}: the dataset, a transform or collate raised StopIteration for batch {i} of "
            f"{len(self)}; see where it calls next() on something that has come to its end"
        )
        for note in getattr(error, "__notes__", ()):
            new.add_note(note)
        return new

    def _one_by_one(self, index: Array) -> Any:
        return (self._collate or collate)(one_by_one(self.dataset, index))

    def _is_random(self) -> bool:
        """Whether examples may draw random numbers; those of a dataset of one's own always may, unless it says no."""
        return self._whole() is None or getattr(self.dataset, "is_random", not isinstance(self.dataset, np.ndarray))

    @property
    def has_generators(self) -> bool:
        """Whether it, or what it hands out, draws from other generators than the current one."""
        return self._rng is not None or bool(self._generators().all)

    def _whole(self) -> Callable[[Array], Any] | None:
        return whole_batches(self.dataset) if self._collate is None else None

    # Where the arrays are.

    def to_cpu(self) -> Self:
        """Hand out NumPy's arrays."""
        self.gpu = False
        return self

    def to_gpu(self) -> Self:
        """Hand out CuPy's arrays. Raises `DependencyError` if CuPy is not installed."""
        as_cupy(np.empty(0))
        self.gpu = True
        return self

    @property
    def data_size(self) -> int:
        """The number of examples in the dataset."""
        return len(self.dataset)

    # Its state.

    def state_dict(self) -> Tree:
        """Where the loader is: its epoch's order, how many batches it handed out, the generators that it and its dataset
        hold, and how the batches are cut.

        Batches that threads have prepared but not handed out count as not yet seen. A loader that was given no ``rng``
        draws from the current generator, whose state is saved with `passus.random.rng_state`.
        """
        epoch = self._epoch or Epoch(np.empty(0, np.int64), self._size())
        state: Tree = {**vars(epoch), **self._cut(), "generators": self._generators().states()}
        return state if self._rng is None else {**state, "rng": rng_state(self._rng)}

    def _cut(self) -> Tree:
        """How the examples are divided into batches: what must be the same where a state is taken back."""
        return {"batch_size": self.batch_size}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """What `load_state_dict` does first; the next ``for`` goes on where the state was saved.

        Raises `ArgumentError` for a state of another loader or dataset.
        """
        epoch, generators = self._checked_epoch(state), self._generators()
        generators.verify_states(state["generators"], loading)
        if self._rng is not None:
            verify_rng_state(state["rng"], self._rng, loading)
        for attribute, value in (("_running", None), ("_epoch", epoch), ("_goes_on", epoch is not None)):
            loading.put(self, attribute, value)

    def _checked_epoch(self, state: Tree) -> Epoch | None:
        check_tree(f"{type(self).__name__}.load_state_dict", state)
        own = self.state_dict()
        if set(state) != set(own):
            raise self._misfit(f"the state has {_listed(state)}, and this loader {_listed(own)}")
        for name, value in self._cut().items():
            given = leaf(state[name])
            if type(given) is not type(value) or given != value:
                raise self._misfit(f"its {name} is {shown(given)}, and here it is {value!r}")
        for name in ("generators", "seeds"):
            check_tree(f"{type(self).__name__}.load_state_dict: {name}", state[name])
        if set(state["generators"]) != set(own["generators"]):
            raise self._misfit(
                f"its dataset has the generators {_listed(state['generators'])}, and this one {_listed(own['generators'])}"
            )
        order, seeds = _as_order(state["order"]), {path: leaf(seed) for path, seed in state["seeds"].items()}
        size, seed, iteration = (leaf(state[name]) for name in ("size", "seed", "iteration"))
        numbers = (size, seed, iteration, *seeds.values())
        if not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
            raise self._misfit(
                f"the size {shown(size)}, seed {shown(seed)}, seeds {shown(seeds)} and iteration {shown(iteration)}"
            )
        if not isinstance(order, np.ndarray):
            raise self._misfit(f"the order is {kind_of(order)}, not an array")
        if not order.size:
            return None
        if size != len(self.dataset):
            raise self._misfit(f"its dataset had {size} examples, and this one has {len(self.dataset)}")
        length, max_iter = self._counts(size)
        if order.shape != (length,) or order.dtype.kind not in "iu":
            raise self._misfit(
                f"the order has shape {order.shape} and dtype {order.dtype}, not ({length},) and integers"
            )
        if order.min() < 0 or order.max() >= size:
            raise self._misfit(f"the order goes up to {order.max()}, and there are {size} examples")
        if iteration > max_iter or (self._is_random() and set(seeds) != set(own["generators"])):
            raise self._misfit(f"batch {iteration} of an epoch of {max_iter} batches, with the seeds {shown(seeds)}")
        return Epoch(order.copy(), size, seed, seeds, iteration)

    def _misfit(self, what: str) -> ArgumentError:
        return ArgumentError(
            f"{type(self).__name__}: this is the state of another loader: {what}. Make the loader as it was made when "
            "the state was saved; nothing was changed"
        )


def _checked_timeout(name: str, timeout: float | None, workers: int) -> float | None:
    if timeout is None:
        return None
    if not workers:
        raise ArgumentError(f"{name}: timeout needs threads; pass workers=1 or more")
    return checked_number(name, "timeout", timeout, open_low=True)


def _as_order(order: Any) -> Any:
    """A list of integers, as JSON gives one, as an array; all else as it is."""
    return np.array(order) if isinstance(order, list) and all(type(i) is int for i in order) else order


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, names)))[:200] or "none"


def _on_gpu(batch: Any) -> Any:
    if isinstance(batch, tuple):
        return tuple(_on_gpu(part) for part in batch)
    if isinstance(batch, dict):
        return {name: _on_gpu(part) for name, part in batch.items()}
    return as_cupy(batch) if isinstance(batch, np.ndarray) else batch
