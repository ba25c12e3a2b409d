"""The base class of loaders: iteration in batches, with a position that can be saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from passus.arguments import checked_callable, checked_count, checked_flag, checked_number, shown
from passus.backend import Array, Device, to_device
from passus.constructors import CheckedOptions
from passus.dataloaders.fetching import Examples, checked_length, prefetch
from passus.dataloaders.generators import Generators
from passus.dataloaders.processes import Processes
from passus.dataloaders.reading import Reader, Task
from passus.dataloaders.starting import checked_start_method
from passus.display import ShowsFields
from passus.errors import ArgumentError, kind_of
from passus.loading import Loading, Verified, leaf
from passus.random import RNG, get_rng, rng_state, verify_rng_state
from passus.tree import Tree, check_tree

__all__ = ["Epoch", "Loader"]


@dataclass
class Epoch:
    """One pass over the dataset, and the position in it."""

    order: Array
    size: int
    """Number of examples at the start of the epoch."""
    seed: int = 0
    """Seed of the current generator: batch i draws from a separate generator, seeded with this and i."""
    seeds: dict[str, int] = field(default_factory=dict)
    """Likewise for each generator that the dataset refers to, by its path."""
    iteration: int = 0


class Loader(ShowsFields, Verified, ABC, CheckedOptions):
    """Iterates over a dataset in batches. Subclasses define their number and order: `_counts` and `_new_order`.

    ``for x, t in loader`` starts a new epoch, except once after `load_state_dict`, when it resumes the saved epoch. The
    length of the dataset is read at the start of each epoch.

    Random numbers depend only on the epoch and the index of the batch, so a resumed epoch and one prepared by workers are
    identical bit for bit: each batch has separate generators in place of `passus.random.get_rng` and of those that the
    dataset, its transforms and ``collate`` refer to. The exceptions are ``np.random`` itself and generators that the loader
    cannot find (in an imported module); with several threads, these depend on timing. Processes seed them for each batch.

    With ``processes``, workers have copies of the dataset and ``collate`` as they are at the start of an epoch. A process
    computes with one thread (`passus.set_num_threads`); it has the caller's switches (`passus.config`), treatment of
    errors by NumPy and filters of warnings.
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
        processes: str | None = None,
        gpu: bool = False,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self._counts(self._size())
        self.workers = checked_count(type(self).__name__, "workers", workers, 0)
        self.timeout = _checked_timeout(type(self).__name__, timeout, self.workers)
        self.processes = checked_start_method(type(self).__name__, processes, self.workers)
        self._processes = Processes()
        self._collate = None if collate is None else checked_callable(type(self).__name__, "collate", collate)
        self._rng = None if rng is None else get_rng(rng)
        self._epoch: Epoch | None = None
        self._resumes = False
        self._running: Generator[Any, None, None] | None = None
        self.device: Device = "cpu"
        """Where the arrays of batches are; see `to_device`."""
        if checked_flag(type(self).__name__, "gpu", gpu):
            self.to_gpu()

    @abstractmethod
    def _counts(self, size: int) -> tuple[int, int]:
        """The length of an epoch's order, and the number of batches, for ``size`` examples.

        Raises `ArgumentError` if there is no batch.
        """

    @abstractmethod
    def _new_order(self, size: int) -> Array:
        """The order of one epoch, an array that `_indices` divides into batches."""

    def _indices(self, epoch: Epoch, i: int) -> Array:
        """The indices of the examples in batch ``i``: consecutive numbers of the order."""
        return epoch.order[i * self.batch_size : (i + 1) * self.batch_size]

    # Iteration.

    @property
    def iteration(self) -> int:
        """Number of batches of the current epoch returned so far; 0 between epochs."""
        return self._epoch.iteration if self._epoch else 0

    @property
    def max_iter(self) -> int:
        """Number of batches in the current epoch, or in the next one between epochs."""
        return self._counts(self._epoch.size if self._epoch else self._size())[1]

    def __len__(self) -> int:
        return self.max_iter

    def _fields(self) -> dict[str, object]:
        return {
            "dataset": f"{type(self.dataset).__name__} of {self._size():,} examples",
            "batch size": self.batch_size,
            "batches": self.max_iter,
            "shuffle": getattr(self, "shuffle", False),
            "position": f"batch {self.iteration} of the epoch" if self._epoch else "between epochs",
            "workers": f"{self.workers} processes ({self.processes})" if self.processes else self.workers,
        }

    def __iter__(self) -> Generator[Any, None, None]:
        epoch = self._epoch if self._resumes else None
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
        """The next batch; starts an epoch if necessary. Raises `StopIteration` at the end of an epoch."""
        return next(self)

    def reset(self) -> None:
        """Abandon the current epoch; the next batch is the first of a new one."""
        self._epoch, self._resumes = None, False
        if self._running is not None:
            self._running.close()
            self._running = None

    def _size(self) -> int:
        return checked_length(type(self).__name__, self.dataset)

    def _new_epoch(self) -> Epoch:
        size = self._size()
        order = self._new_order(size)
        # Draw no seed if nothing is random: an evaluation leaves the current generator unchanged.
        if not self._is_random():
            return Epoch(order, size)
        return Epoch(order, size, int(get_rng(self._rng).integers(2**63)), self._generators().new_seeds())

    def _reader(self) -> Reader:
        shared = [get_rng()] if self._rng is None else [get_rng(), self._rng]
        return Reader(type(self).__name__, self.dataset, self._collate, shared)

    def _generators(self) -> Generators:
        """The generators that preparing a batch may draw from."""
        return self._reader().generators

    def _batches(self, epoch: Epoch) -> Generator[Any, None, None]:
        count = self._counts(epoch.size)[1]
        tasks = (
            Task(i, count, self._indices(epoch, i), epoch.seed, epoch.seeds) for i in range(epoch.iteration, count)
        )
        with closing(self._prefetched(tasks)) as batches:
            for batch in batches:
                epoch.iteration += 1
                yield batch if self.device == "cpu" else _on_device(batch, self.device)
        if self._epoch is epoch:
            self._epoch = None

    def _prefetched(self, tasks: Iterable[Task]) -> Generator[Any, None, None]:
        if self.processes is None or not self.workers:
            return prefetch(self._reader(), tasks, self.workers, self.timeout)
        return self._processes.prefetch(self._reader(), tasks, self.workers, self.processes, self.timeout)

    def _is_random(self) -> bool:
        return self._reader().is_random

    @property
    def has_generators(self) -> bool:
        """Whether the loader or its dataset draws from generators other than the current one."""
        return self._rng is not None or bool(self._generators().all)

    # Processes.

    def close(self) -> None:
        """Abandon the current epoch and stop worker processes; a new epoch starts others.

        The processes also stop when the loader is deleted and when the program ends.
        """
        self.reset()
        self._processes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Devices.

    def to_cpu(self) -> Self:
        """Return batches of NumPy arrays."""
        return self.to_device("cpu")

    def to_gpu(self) -> Self:
        """Return batches on the first GPU. Raises `DependencyError` without JAX or a GPU."""
        return self.to_device("gpu")

    def to_device(self, device: Device) -> Self:
        """Return batches on a device: ``"cpu"``, ``"gpu"``, ``"tpu"`` or ``"xla"``, as `passus.layers.Layer.to_device` does.

        Floating-point numbers of 64 bits become float32 there, unless JAX computes in them. Raises `DependencyError` without JAX
        or such a device.

        >>> from passus import DataLoader
        >>> DataLoader(np.arange(5), 2).to_device("cpu").device
        'cpu'
        """
        to_device(np.empty(0, np.float32), device)
        self.device = device
        return self

    @property
    def gpu(self) -> bool:
        """Whether batches are on a device, not in main memory."""
        return bool(self.device != "cpu")

    @property
    def data_size(self) -> int:
        """The number of examples in the dataset."""
        return len(self.dataset)

    # State.

    def state_dict(self) -> Tree:
        """The state: the order and position of the epoch, the batching options, and the states of all generators.

        Batches that threads have prepared but that were not returned yet count as unseen. A loader without ``rng`` draws
        from the current generator, whose state is saved with `passus.random.rng_state`.
        """
        epoch = self._epoch or Epoch(np.empty(0, np.int64), self._size())
        state: Tree = {**vars(epoch), **self._batching(), "generators": self._generators().states()}
        return state if self._rng is None else {**state, "rng": rng_state(self._rng)}

    def _batching(self) -> Tree:
        """The options that divide examples into batches; they must agree with those of a loaded state."""
        return {"batch_size": self.batch_size}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state; once it is loaded, the next ``for`` loop resumes the saved epoch.

        Raises `ArgumentError` for the state of a different loader or dataset.
        """
        epoch, generators = self._checked_epoch(state), self._generators()
        generators.verify_states(state["generators"], loading)
        if self._rng is not None:
            verify_rng_state(state["rng"], self._rng, loading)
        for attribute, value in (("_running", None), ("_epoch", epoch), ("_resumes", epoch is not None)):
            loading.assign(self, attribute, value)

    def _checked_epoch(self, state: Tree) -> Epoch | None:
        check_tree(f"{type(self).__name__}.load_state_dict", state)
        own = self.state_dict()
        if set(state) != set(own):
            raise self._mismatch(f"the state has {_listed(state)}, this loader {_listed(own)}")
        for name, value in self._batching().items():
            saved = leaf(state[name])
            if type(saved) is not type(value) or saved != value:
                raise self._mismatch(f"{name} is {shown(saved)} in the state and {value!r} here")
        for name in ("generators", "seeds"):
            check_tree(f"{type(self).__name__}.load_state_dict: {name}", state[name])
        if set(state["generators"]) != set(own["generators"]):
            raise self._mismatch(
                f"its dataset has the generators {_listed(state['generators'])}, this one {_listed(own['generators'])}"
            )
        order, seeds = _as_order(state["order"]), {path: leaf(seed) for path, seed in state["seeds"].items()}
        size, seed, iteration = (leaf(state[name]) for name in ("size", "seed", "iteration"))
        numbers = (size, seed, iteration, *seeds.values())
        if not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
            raise self._mismatch(
                f"the size {shown(size)}, seed {shown(seed)}, seeds {shown(seeds)} and iteration {shown(iteration)} must be "
                "integers of 0 or more"
            )
        if not isinstance(order, np.ndarray):
            raise self._mismatch(f"the order is {kind_of(order)}, not an array")
        if not order.size:
            return None
        if size != len(self.dataset):
            raise self._mismatch(f"its dataset had {size} examples, this one has {len(self.dataset)}")
        length, max_iter = self._counts(size)
        if order.shape != (length,) or order.dtype.kind not in "iu":
            raise self._mismatch(
                f"the order has shape {order.shape} and dtype {order.dtype}, not ({length},) and integers"
            )
        if order.min() < 0 or order.max() >= size:
            raise self._mismatch(f"the order has indices {order.min()} to {order.max()} for {size} examples")
        if iteration > max_iter or (self._is_random() and set(seeds) != set(own["generators"])):
            raise self._mismatch(f"batch {iteration} of an epoch of {max_iter} batches, with the seeds {shown(seeds)}")
        return Epoch(order.copy(), size, seed, seeds, iteration)

    def _mismatch(self, what: str) -> ArgumentError:
        return ArgumentError(
            f"{type(self).__name__}: this is the state of a different loader: {what}. Construct the loader with the same "
            "arguments as when the state was saved; nothing was changed"
        )


def _checked_timeout(name: str, timeout: float | None, workers: int) -> float | None:
    if timeout is None:
        return None
    if not workers:
        raise ArgumentError(f"{name}: timeout needs workers; pass workers=1 or more")
    return checked_number(name, "timeout", timeout, open_low=True)


def _as_order(order: Any) -> Any:
    """Convert a list of integers, as JSON returns it, to an array; other values are returned unchanged."""
    return np.array(order) if isinstance(order, list) and all(type(i) is int for i in order) else order


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, names)))[:200] or "none"


def _on_device(batch: Any, device: Device) -> Any:
    """A batch with its arrays on a device; float64 becomes float32, for inputs of a model have the dtype of its parameters."""
    if isinstance(batch, tuple):
        return tuple([_on_device(item, device) for item in batch])
    if isinstance(batch, dict):
        return {name: _on_device(item, device) for name, item in batch.items()}
    return (
        to_device(batch, device, narrow=True) if isinstance(batch, np.ndarray) and batch.dtype.kind in "fiub" else batch
    )
