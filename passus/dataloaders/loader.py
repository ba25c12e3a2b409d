"""Batches in random order or in the order of the dataset; all of them, or the shard of one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np

from passus.arguments import checked_count, checked_flag
from passus.backend import Array
from passus.dataloaders.base import Loader
from passus.dataloaders.fetching import Examples
from passus.errors import ArgumentError
from passus.random import RNG, get_rng
from passus.tree import Tree

__all__ = ["DataLoader"]


@final
class DataLoader(Loader):
    """The examples of ``dataset`` in batches of ``batch_size``, reshuffled in each epoch.

    ``dataset``: any object with a length and items; a `Dataset` or `ArrayDataset` of arrays is fastest, because whole
    batches are read at once. ``drop_last``: drop the last batch if it is smaller. ``rng``: a seed or a generator for
    shuffling; by default the current generator of `passus.random`. ``collate``: a function from a list of examples to a
    batch.

    ``workers``: number of threads that prepare batches ahead of time (for datasets that read files or decode pictures); it
    does not change the batches. ``processes``: "spawn" or "forkserver", the way to start processes instead of threads (for
    datasets that compute in Python, which one thread at a time does); they import the program, and are kept until `close`.
    ``timeout``: maximum seconds to wait for a batch, not counting the start of processes; by default no limit.

    ``shard``: ``(index, count)`` selects one of ``count`` shards of each epoch, one per process. All shards have the same
    number of examples: if the examples cannot be divided evenly, the first ones of the epoch are repeated, or with
    ``drop_last`` the last ones are dropped.

    Raises `ArgumentError` for an empty dataset, a batch size below 1, a shard index out of range, shuffled shards without
    ``rng``, and if ``drop_last`` leaves no batch; `DTypeError` for a batch size that is not an integer and a flag that is
    not a bool. Iteration raises `LoaderTimeoutError` for a batch that exceeds ``timeout``, `DataError` if the dataset raises
    StopIteration, `LoaderWorkerError` for a process that ends, and `DTypeError` for a dataset that cannot be pickled.

    >>> loader = DataLoader(np.arange(5), batch_size=2, shuffle=False)
    >>> [batch.tolist() for batch in loader], len(loader)
    ([[0, 1], [2, 3], [4]], 3)
    """

    def __init__(
        self,
        dataset: Examples,
        batch_size: int,
        shuffle: bool = True,
        gpu: bool = False,
        *,
        drop_last: bool = False,
        rng: RNG = None,
        collate: Callable[[Sequence[Any]], Any] | None = None,
        shard: tuple[int, int] = (0, 1),
        workers: int = 0,
        timeout: float | None = None,
        processes: str | None = None,
    ) -> None:
        batch_size = checked_count("DataLoader", "batch_size", batch_size)
        self.shuffle = checked_flag("DataLoader", "shuffle", shuffle)
        self.drop_last = checked_flag("DataLoader", "drop_last", drop_last)
        self.shard = _checked_shard(shard)
        if shuffle and rng is None and self.shard[1] > 1:
            raise ArgumentError("DataLoader: shards that are shuffled need rng=SEED, the same seed in each process")
        super().__init__(
            dataset,
            batch_size,
            rng=rng,
            collate=collate,
            workers=workers,
            timeout=timeout,
            processes=processes,
            gpu=gpu,
        )

    def _counts(self, size: int) -> tuple[int, int]:
        whole, rest = divmod(size, self.shard[1])
        length = whole if self.drop_last or not rest else whole + 1
        max_iter = length // self.batch_size if self.drop_last else -(-length // self.batch_size)
        if not max_iter:
            raise ArgumentError(
                f"DataLoader: {size} examples in {self.shard[1]} shards do not fill a batch of {self.batch_size}, and drop_last "
                "drops smaller ones; use a smaller batch_size"
            )
        return length, max_iter

    def _new_order(self, size: int) -> Array:
        index, count = self.shard
        order = get_rng(self._rng).permutation(size) if self.shuffle else np.arange(size)
        # np.resize repeats the first examples if the order is too short.
        return np.resize(order, self._counts(size)[0] * count)[index::count]

    def _batching(self) -> Tree:
        return {**super()._batching(), "drop_last": self.drop_last, "shard": list(self.shard)}


def _checked_shard(shard: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(shard, tuple) or len(shard) != 2:
        raise ArgumentError(f"DataLoader: shard is {shard!r}; give a pair (index, count)")
    index, count = (checked_count("DataLoader", "shard", number, 0) for number in shard)
    if index >= count:
        raise ArgumentError(f"DataLoader: shard {index} of {count} does not exist; indices start at 0")
    return index, count
