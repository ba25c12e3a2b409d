"""The batches of a loader in epochs: one pass through the loader each, or a fixed number of steps."""

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
    """The batches of an epoch: a DataLoader, or a list of batches."""

    def __len__(self) -> int:
        """Number of batches."""

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the batches."""


Stream: TypeAlias = Batches | Iterable[Any]
"""Batches, with or without a length."""


class Epochs(Verified):
    """A loader in epochs of ``steps`` batches; None: one pass through the loader.

    Epochs of a fixed number of steps continue each other: each starts where the previous one ended, and the loader is
    iterated again when it ends.

    >>> epochs = Epochs(["a", "b", "c"], steps=2)
    >>> [list(epochs.remaining(0)) for _ in range(3)]
    [['a', 'b'], ['c', 'a'], ['b', 'c']]
    """

    def __init__(self, loader: Stream, steps: int | None) -> None:
        self.loader: Any = loader
        self.steps = steps
        self.taken = 0
        """Number of batches of the current pass so far, if epochs have a fixed number of steps."""
        self._moved = False
        """Whether the loader was iterated elsewhere, and its position restored."""
        self._batches: Iterator[Any] | None = None
        """The current pass through a loader without a state."""

    def __len__(self) -> int:
        return len(self.loader) if self.steps is None else self.steps

    def remaining(self, done: int) -> Iterator[Any]:
        """The remaining batches of an epoch after the first ``done``."""
        if self.steps is not None:
            return self._continued(self.steps - done)
        return islice(self._resumed() if done else self.loader, 0 if self._has_state else done, None)

    def _continued(self, count: int) -> Iterator[Any]:
        """The next ``count`` batches, over several passes. Raises `ArgumentError` if the loader yields none."""
        batches = self._batches or self._pass()
        for _ in range(count):
            if self._moved:
                batches, self._moved = self._pass(), False
            for _ in range(3):  # A pass resumed after its last batch is empty; the next one must not be.
                self._batches = None  # Set again below: after an error, most iterators are exhausted.
                batch = next(batches, END)
                if batch is not END:
                    break
                self.taken, batches = 0, iter(self.loader)
            else:
                raise ArgumentError(
                    "Trainer: the loader yields no more batches; give one that can be iterated more than once"
                )
            self.taken += 1
            self._batches = None if self._has_state else batches
            yield batch

    def _pass(self) -> Iterator[Any]:
        if self._has_state:
            return iter(self._resumed() if self.taken else self.loader)
        return islice(self.loader, self.taken, None)

    def _resumed(self) -> Any:
        """The loader; one with a state continues at its position, as after loading the state."""
        if self._has_state:
            self.loader.load_state_dict(self.loader.state_dict())
        return self.loader

    @property
    def _has_state(self) -> bool:
        return isinstance(self.loader, Stateful)

    @contextmanager
    def preserved(self, loader: Any) -> Iterator[None]:
        """Restore the position after a block that iterates over ``loader``, if it is this loader."""
        before = (
            self.loader.state_dict()
            if loader is self.loader and self._has_state and self.steps and self.taken
            else None
        )
        try:
            yield
        finally:
            if before is not None:
                self.loader.load_state_dict(before)
                self._moved = True

    def state_dict(self) -> Tree:
        """The position in the current pass; empty if an epoch is one pass."""
        return {} if self.steps is None else {"steps_per_epoch": self.steps, "taken": self.taken}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state for `load_state_dict`. Raises `WeightsError` for epochs of another length."""
        check_tree("Trainer.load_state_dict: epochs", state)
        steps = leaf(state.get("steps_per_epoch"))
        if steps != self.steps:
            raise WeightsError(
                f"Trainer: the state is of a trainer with steps_per_epoch={steps}, and this one has "
                f"steps_per_epoch={self.steps}; "
                "create it with the same steps_per_epoch"
            )
        if self.steps is not None:
            check_tree("Trainer.load_state_dict: epochs", state, ["taken"])
            taken = checked_count("Trainer.load_state_dict", "taken", leaf(state["taken"]), low=0)
            loading.assign(self, "taken", taken)
            loading.assign(self, "_batches", None)


END: Any = object()
"""Marks the end of a pass."""


def checked_loader(name: str, loader: Any, steps: int | None = None) -> Any:
    """Return a loader; it needs a length unless epochs have a fixed number of steps.

    Raises `DTypeError` for any other object, `ArgumentError` for a loader without batches.
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
    """Raise `DTypeError` for arrays instead of batches of inputs and targets."""
    if is_array(loader) or (isinstance(loader, (tuple, list)) and loader and all(map(is_array, loader))):
        raise DTypeError(f"Trainer: {name} holds arrays, not batches; write DataLoader(ArrayDataset(x, t), batch_size)")
