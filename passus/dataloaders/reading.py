"""Reading one batch: what each worker of a loader does, a thread or a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from passus.backend import Array
from passus.dataloaders.collate import collate
from passus.dataloaders.fetching import Examples, batch_reader, read_examples
from passus.dataloaders.generators import Generators
from passus.errors import DataError
from passus.random import using_rng

__all__ = ["Reader", "Task"]


@dataclass(frozen=True)
class Task:
    """Batch ``i`` of an epoch of ``count`` batches: its examples, and the seeds of its random numbers."""

    i: int
    count: int
    index: Array
    seed: int = 0
    seeds: Mapping[str, int] | None = None

    def __str__(self) -> str:
        return str(self.i)


class Reader:
    """A function from tasks to batches of a dataset; a copy in another process gives the same batches.

    ``name``: the loader, for messages. ``shared``: generators that are not reseeded for each batch, because the program
    draws from them elsewhere.

    >>> Reader("DataLoader", ["a", "b", "c"], None)(Task(0, 1, np.array([2, 0])))
    ['c', 'a']
    """

    def __init__(
        self,
        name: str,
        dataset: Examples,
        collate: Callable[[Sequence[Any]], Any] | None,
        shared: Sequence[np.random.Generator] = (),
    ) -> None:
        self.name, self.dataset, self.collate, self.shared = name, dataset, collate, shared
        self._read_batch = batch_reader(dataset) if collate is None else None

    def __reduce__(self) -> tuple[type[Reader], tuple[Any, ...]]:
        return Reader, (self.name, self.dataset, self.collate, self.shared)

    @property
    def is_random(self) -> bool:
        """Whether examples may draw random numbers; assumed for user-defined datasets unless ``is_random`` is False."""
        return self._read_batch is None or getattr(self.dataset, "is_random", not isinstance(self.dataset, np.ndarray))

    @cached_property
    def generators(self) -> Generators:
        """The generators that preparing a batch may draw from."""
        return Generators({"dataset": self.dataset, "collate": self.collate}, self.shared)

    def __call__(self, task: Task) -> Any:
        """The batch. A StopIteration would end the epoch silently; it is replaced by a `DataError`."""
        read = self._read_batch or self._one_by_one
        try:
            if not self.is_random:
                return read(task.index)
            with using_rng(np.random.default_rng([task.seed, task.i])):
                return self.generators.run(task.seeds or {}, task.i, lambda: read(task.index))
        except StopIteration as error:
            raise self._unexpected_stop(task, error) from error

    def _one_by_one(self, index: Array) -> Any:
        return (self.collate or collate)(read_examples(self.dataset, index))

    def _unexpected_stop(self, task: Task, error: StopIteration) -> DataError:
        new = DataError(
            f"{self.name}: the dataset, a transform or collate raised StopIteration for batch {task.i} of "
            f"{task.count}; check its calls of next() for an exhausted iterator"
        )
        for note in getattr(error, "__notes__", ()):
            new.add_note(note)
        return new
