"""What all loaders do: go through a dataset batch by batch, and remember where they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from passus.arguments import checked_callable, checked_count, checked_flag
from passus.backend import Array
from passus.cuda import as_cupy
from passus.dataloaders.collate import collate
from passus.dataloaders.fetching import Examples, ahead, one_by_one, whole_batches
from passus.errors import ArgumentError
from passus.random import RNG, get_rng, load_rng_state, rng_state, using_rng
from passus.tree import Tree, check_tree

__all__ = ["Epoch", "Loader"]


@dataclass
class Epoch:
    """One way through the dataset, and how far it has been gone."""

    order: Array
    seed: int
    """For what is random in the examples: batch i draws from a generator of its own, made of this and i."""
    iteration: int = 0


class Loader(ABC):
    """A dataset, batch by batch. A subclass says in which order: `_new_order` and `_indices`.

    ``for x, t in loader`` always begins a new epoch, except once after `load_state_dict`, where it goes on with the
    epoch that was saved. What is random in a transform depends on the epoch and on the number of the batch
    alone, so that an epoch which goes on, or which threads prepare, is the same to the bit.
    """

    def __init__(
        self,
        dataset: Examples,
        batch_size: int,
        max_iter: int,
        order_length: int,
        *,
        rng: RNG = None,
        collate: Callable[[Sequence[Any]], Any] | None = None,
        workers: int = 0,
        gpu: bool = False,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.workers = checked_count(type(self).__name__, "workers", workers, 0)
        self._order_length = order_length
        self._collate = None if collate is None else checked_callable(type(self).__name__, "collate", collate)
        self._rng = None if rng is None else get_rng(rng)
        self._epoch: Epoch | None = None
        self._goes_on = False
        self._running: Generator[Any, None, None] | None = None
        self.gpu = False
        if checked_flag(type(self).__name__, "gpu", gpu):
            self.to_gpu()

    @abstractmethod
    def _new_order(self) -> Array:
        """The numbers from which `_indices` makes the batches of one epoch."""

    @abstractmethod
    def _indices(self, order: Array, i: int) -> Array:
        """Which examples are in batch ``i``."""

    # Going through.

    @property
    def iteration(self) -> int:
        """How many batches of the current epoch were handed out; 0 between two epochs."""
        return self._epoch.iteration if self._epoch else 0

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

    def _new_epoch(self) -> Epoch:
        order = self._new_order()
        # Where nothing is random nothing is drawn: an evaluation leaves the current generator alone.
        return Epoch(order, int(get_rng(self._rng).integers(2**63)) if self._is_random() else 0)

    def _batches(self, epoch: Epoch) -> Generator[Any, None, None]:
        take, random = self._whole() or self._one_by_one, self._is_random()

        def fetch(i: int) -> Any:
            index = self._indices(epoch.order, i)
            if not random:
                return take(index)
            with using_rng(np.random.default_rng([epoch.seed, i])):
                return take(index)

        with closing(ahead(fetch, range(epoch.iteration, self.max_iter), self.workers)) as batches:
            for batch in batches:
                epoch.iteration += 1
                yield _on_gpu(batch) if self.gpu else batch
        if self._epoch is epoch:
            self._epoch = None

    def _one_by_one(self, index: Array) -> Any:
        return (self._collate or collate)(one_by_one(self.dataset, index))

    def _is_random(self) -> bool:
        """Whether examples may draw random numbers; a dataset of one's own always may."""
        return self._whole() is None or getattr(self.dataset, "is_random", False)

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

    # Its state.

    def state_dict(self) -> Tree:
        """Where the loader is: its epoch's order, how many batches it handed out, and its own generator if it has one.

        Batches that threads have prepared but not handed out count as not yet seen. A loader that was given no ``rng``
        draws from the current generator, whose state is saved with `passus.random.rng_state`.
        """
        epoch = self._epoch or Epoch(np.empty(0, np.int64), 0)
        state: Tree = {"order": epoch.order, "seed": epoch.seed, "iteration": epoch.iteration}
        return state if self._rng is None else {**state, "rng": rng_state(self._rng)}

    def load_state_dict(self, state: Tree) -> None:
        """Take back a state: the next ``for`` goes on where it was saved.

        Raises `ArgumentError` for a state of another loader or dataset; nothing has changed then.
        """
        epoch = self._checked_epoch(state)
        if self._rng is not None:
            load_rng_state(state["rng"], self._rng)
        self.reset()
        self._epoch, self._goes_on = epoch, epoch is not None

    def _checked_epoch(self, state: Tree) -> Epoch | None:
        check_tree(f"{type(self).__name__}.load_state_dict", state)
        names = ["order", "seed", "iteration"] + ["rng"] * (self._rng is not None)
        if sorted(state) != sorted(names):
            raise self._misfit(f"the state has {', '.join(sorted(state))}, and this loader {', '.join(sorted(names))}")
        order, seed, iteration = np.asarray(state["order"]), state["seed"], state["iteration"]
        if not isinstance(seed, int) or not isinstance(iteration, int):
            raise self._misfit(f"the seed {seed!r} and the iteration {iteration!r} are not both integers")
        if not order.size:
            return None
        mine = self._order_length
        if order.shape != (mine,) or order.dtype.kind not in "iu":
            raise self._misfit(f"the order has shape {order.shape} and dtype {order.dtype}, not ({mine},) and integers")
        if order.min() < 0 or order.max() >= len(self.dataset):
            raise self._misfit(f"the order goes up to {order.max()}, and there are {len(self.dataset)} examples")
        if not 0 <= iteration <= self.max_iter or seed < 0:
            raise self._misfit(f"batch {iteration} of an epoch of {self.max_iter} batches, with the seed {seed}")
        return Epoch(order, seed, iteration)

    def _misfit(self, what: str) -> ArgumentError:
        return ArgumentError(
            f"{type(self).__name__}: this is the state of another loader: {what}. Make the loader as it was made when "
            "the state was saved; nothing was changed"
        )


def _on_gpu(batch: Any) -> Any:
    if isinstance(batch, tuple):
        return tuple(_on_gpu(part) for part in batch)
    if isinstance(batch, dict):
        return {name: _on_gpu(part) for name, part in batch.items()}
    return as_cupy(batch) if isinstance(batch, np.ndarray) else batch
