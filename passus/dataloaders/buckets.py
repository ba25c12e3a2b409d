"""Batches of sequences of similar lengths, which need little padding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np

from passus.arguments import checked_count, checked_flag
from passus.backend import Array
from passus.dataloaders.base import Loader
from passus.dataloaders.fetching import Examples
from passus.dataloaders.padding import PaddingCollate
from passus.errors import ArgumentError, DTypeError
from passus.functions.checks import integers_of
from passus.random import RNG, get_rng
from passus.tree import Tree

__all__ = ["BucketDataLoader"]


@final
class BucketDataLoader(Loader):
    """Batches of examples of similar lengths, by default padded by `PaddingCollate`.

    In each epoch the examples are shuffled, every ``pool`` batches are sorted by length, and the batches are shuffled.
    ``shuffle=False``: all examples are sorted, the shortest first. ``lengths``: (N,), the length of each example; by
    default, the length of its first element, read at the start of an epoch. ``drop_last``: drop random examples until all
    batches have the same size. The other arguments are those of `DataLoader`.

    Raises `ArgumentError` if the numbers of lengths and examples differ, and the errors of `DataLoader`.

    >>> data = [np.arange(n) for n in (5, 1, 4, 2)]
    >>> loader = BucketDataLoader(data, batch_size=2, shuffle=False)
    >>> [lengths.tolist() for x, lengths in loader]
    [[1, 2], [4, 5]]
    """

    def __init__(
        self,
        dataset: Examples,
        batch_size: int,
        lengths: Any = None,
        *,
        shuffle: bool = True,
        pool: int = 100,
        drop_last: bool = False,
        rng: RNG = None,
        collate: Callable[[Sequence[Any]], Any] | None = None,
        workers: int = 0,
        timeout: float | None = None,
        processes: str | None = None,
        gpu: bool = False,
    ) -> None:
        name = "BucketDataLoader"
        batch_size = checked_count(name, "batch_size", batch_size)
        self.shuffle, self.drop_last = (
            checked_flag(name, "shuffle", shuffle),
            checked_flag(name, "drop_last", drop_last),
        )
        self.pool = checked_count(name, "pool", pool)
        self.lengths = None if lengths is None else integers_of(name, "lengths", lengths)
        collate = PaddingCollate() if collate is None else collate
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
        if self.lengths is not None and self.lengths.shape != (size,):
            raise ArgumentError(
                f"BucketDataLoader: lengths has shape {self.lengths.shape}; give one length for each of the {size} examples"
            )
        length = size - size % self.batch_size if self.drop_last else size
        if not length:
            raise ArgumentError(
                f"BucketDataLoader: {size} examples do not fill a batch of {self.batch_size}, and drop_last drops the rest; "
                "use a smaller batch_size"
            )
        return length, -(-length // self.batch_size)

    def _new_order(self, size: int) -> Array:
        lengths = np.array([_length(self.dataset[i]) for i in range(size)]) if self.lengths is None else self.lengths
        length = self._counts(size)[0]
        if not self.shuffle:
            return np.argsort(lengths, kind="stable")[:length]
        rng = get_rng(self._rng)
        order, pool_size = rng.permutation(size)[:length], self.pool * self.batch_size
        pools = [order[start : start + pool_size] for start in range(0, length, pool_size)]
        order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
        end = length // self.batch_size * self.batch_size  # A smaller last batch stays the last.
        batches = order[:end].reshape(-1, self.batch_size)
        return np.concatenate([batches[rng.permutation(len(batches))].ravel(), order[end:]])

    def _batching(self) -> Tree:
        return {**super()._batching(), "drop_last": self.drop_last}


def _length(example: Any) -> int:
    """The length of an example, or of its first element."""
    first = next(iter(example.values())) if isinstance(example, Mapping) else example
    first = first[0] if isinstance(first, (tuple, list)) and len(first) and np.ndim(first[0]) else first
    try:
        return len(first)
    except TypeError:
        raise DTypeError("BucketDataLoader: an example has no length; pass lengths=, one per example") from None
