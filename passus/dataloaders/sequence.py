"""Batches for truncated backpropagation through time: several positions of one long sequence advance in parallel."""

from __future__ import annotations

from typing import final

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.dataloaders.base import Epoch, Loader
from passus.dataloaders.fetching import Examples
from passus.errors import ArgumentError

__all__ = ["SeqDataLoader"]


@final
class SeqDataLoader(Loader):
    """Row i of each batch continues row i of the previous batch: ``batch_size`` streams with evenly spaced starts.

    Used for truncated backpropagation through time. Batch k holds the examples ``(i * (N // batch_size) + k) % N``; if N
    is not a multiple of ``batch_size``, the streams overlap. ``workers``, ``timeout``, ``processes``: those of `DataLoader`.

    Raises `ArgumentError` for an empty dataset, and for more streams than examples.

    >>> [batch.tolist() for batch in SeqDataLoader(np.arange(6), batch_size=2)]
    [[0, 3], [1, 4], [2, 5]]
    """

    def __init__(
        self,
        dataset: Examples,
        batch_size: int,
        gpu: bool = False,
        *,
        workers: int = 0,
        timeout: float | None = None,
        processes: str | None = None,
    ) -> None:
        batch_size = checked_count("SeqDataLoader", "batch_size", batch_size)
        super().__init__(dataset, batch_size, workers=workers, timeout=timeout, processes=processes, gpu=gpu)

    def _counts(self, size: int) -> tuple[int, int]:
        if self.batch_size > size:
            raise ArgumentError(
                f"SeqDataLoader: batch_size={self.batch_size} exceeds the {size} examples; use a smaller batch_size"
            )
        return self.batch_size, -(-size // self.batch_size)

    def _new_order(self, size: int) -> Array:
        return np.arange(self.batch_size) * (size // self.batch_size)

    def _indices(self, epoch: Epoch, i: int) -> Array:
        return (epoch.order + i) % epoch.size
