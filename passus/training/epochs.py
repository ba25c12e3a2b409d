"""The batches of a loader, cut into epochs: once through the loader, or a fixed number of steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol, TypeAlias

from passus.arguments import checked_count
from passus.backend import is_array
from passus.datasets.base import ArrayDataset, Dataset
from passus.datasets.subset import Subset
from passus.errors import ArgumentError, DTypeError, WeightsError, kind_of
from passus.loading import Loading, Verified, leaf
from passus.tree import Stateful, Tree, check_tree

__all__ = ["Batches", "Epochs", "Stream", "check_batches", "checked_loader"]


class Batches(Protocol):
    """What is gone through in an epoch: a DataLoader, or a list of batches."""

    def __len__(self) -> int:
        """How many batches there are."""

    def __iter__(self) -> Iterator[Any]:
        """The batches."""


Stream: TypeAlias = Batches | Iterable[Any]
"""Batches whose number need not be known."""


class Epochs(Verified):
    """A loader whose epochs have ``steps`` batches; None: as many as the loader has.

    Epochs of a fixed number of steps continue each other: one begins where the one before ended, and at the end of the loader it
    is gone through again.

    >>> epochs = Epochs(["a", "b", "c"], steps=2)
    >>> [list(epochs.rest(0)) for _ in range(3)]
    [['a', 'b'], ['c', 'a'], ['b', 'c']]
    """

    def __init__(self, loader: Stream, steps: int | None) -> None:
        self.loader: Any = loader
        self.steps = steps
        self.taken = 0
        """How many batches of the current pass through the loader are done, where epochs have a fixed number of steps."""
        self._moved = False
        """Whether the loader was gone through by others, and put back where it was."""
        self._batches: Iterator[Any] | None = None
        """The current pass through a loader that does not know where it is."""

    def __len__(self) -> int:
        return len(self.loader) if self.steps is None else self.steps

    def rest(self, done: int) -> Iterator[Any]:
        """The batches of an epoch that are still to come when so many are done."""
        if self.steps is not None:
            return self._continued(self.steps - done)
        return islice(self._resumed() if done else self.loader, 0 if self._knows else done, None)

    def _continued(self, count: int) -> Iterator[Any]:
        """So many batches of a loader that is gone through again and again. Raises `ArgumentError` if it yields none."""
        batches = self._batches or self._pass()
        for _ in range(count):
            if self._moved:
                batches, self._moved = self._pass(), False
            for _ in range(3):  # A pass that was left behind its last batch is empty, and the next one must not be.
                self._batches = None  # Until the next batch is there, for an error ends most iterators.
                batch = next(batches, END)
                if batch is not END:
                    break
                self.taken, batches = 0, iter(self.loader)
            else:
                raise ArgumentError(
                    "Trainer: the loader yields no more batches; give one that can be iterated more than once"
                )
            self.taken += 1
            self._batches = None if self._knows else batches
            yield batch

    def _pass(self) -> Iterator[Any]:
        if self._knows:
            return iter(self._resumed() if self.taken else self.loader)
        return islice(self.loader, self.taken, None)

    def _resumed(self) -> Any:
        """The loader; one that knows where it is continues there, as after it has loaded a state."""
        if self._knows:
            self.loader.load_state_dict(self.loader.state_dict())
        return self.loader

    @property
    def _knows(self) -> bool:
        return isinstance(self.loader, Stateful)

    @contextmanager
    def kept_by(self, loader: Any) -> Iterator[None]:
        """Let others go through a loader. If it is this one, and epochs continue each other, it is then where it was."""
        before = (
            self.loader.state_dict() if loader is self.loader and self._knows and self.steps and self.taken else None
        )
        try:
            yield
        finally:
            if before is not None:
                self.loader.load_state_dict(before)
                self._moved = True

    def state_dict(self) -> Tree:
        """Where the current pass is; nothing if an epoch is a pass."""
        return {} if self.steps is None else {"steps_per_epoch": self.steps, "taken": self.taken}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """What `load_state_dict` does first. Raises `WeightsError` for epochs of another number of steps."""
        check_tree("Trainer.load_state_dict: epochs", state)
        steps = leaf(state.get("steps_per_epoch"))
        if steps != self.steps:
            raise WeightsError(
                f"Trainer: the state is of a trainer with steps_per_epoch={steps}, and this one has steps_per_epoch={self.steps}; "
                "create it as it was created when the state was saved"
            )
        if self.steps is not None:
            check_tree("Trainer.load_state_dict: epochs", state, ["taken"])
            taken = checked_count("Trainer.load_state_dict", "taken", leaf(state["taken"]), low=0)
            loading.put(self, "taken", taken)
            loading.put(self, "_batches", None)


END: Any = object()
"""What stands for a batch behind the last one."""


def checked_loader(name: str, loader: Any, steps: int | None = None) -> Any:
    """A loader, if it has batches; where epochs have a fixed number of steps, their number need not be known.

    Raises `DTypeError` for what is none, `ArgumentError` for one without batches.
    """
    if isinstance(loader, (Dataset, ArrayDataset, Subset)):
        raise DTypeError(
            f"Trainer: {name} ({type(loader).__name__}) yields examples, not batches; write "
            f"DataLoader(dataset, batch_size{', shuffle=False' if name != 'loader' else ''})"
        )
    if not hasattr(loader, "__len__"):
        if steps is not None and hasattr(loader, "__iter__"):
            return loader
        stream = name == "loader" and steps is None and hasattr(loader, "__iter__")
        hint = ", or steps_per_epoch for a loader without a length" if stream else ""
        raise DTypeError(f"Trainer: {name} is {kind_of(loader)}; give a DataLoader, or a list of batches{hint}")
    if not len(loader):
        raise ArgumentError(
            f"Trainer: {name} has no batches; check the size of the dataset, the batch size and drop_last"
        )
    return loader


def check_batches(name: str, loader: Any) -> None:
    """Raise `DTypeError` for arrays where batches of inputs and targets are needed."""
    if is_array(loader) or (isinstance(loader, (tuple, list)) and loader and all(map(is_array, loader))):
        raise DTypeError(f"Trainer: {name} holds arrays, not batches; write DataLoader(ArrayDataset(x, t), batch_size)")
