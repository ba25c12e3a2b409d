"""Subsets of a dataset, and random splits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.datasets.base import checked_index
from passus.display import ShowsFields
from passus.errors import ArgumentError, DTypeError, LabelError, ShapeError, kind_of
from passus.random import RNG, get_rng

__all__ = ["Subset", "random_split"]


class Subset(ShowsFields):
    """The examples of ``dataset`` at ``indices``, in their order: ``subset[i]`` is ``dataset[indices[i]]``.

    ``dataset``: a dataset, an array or a list of examples. ``indices``: integers, or one boolean per example. Batches are
    read as a whole if the dataset supports it.

    Raises `LabelError` for an index out of range, `ShapeError` for a mask of the wrong length, `DTypeError` for indices
    that are not integers.

    >>> subset = Subset(["a", "b", "c", "d"], [3, 1])
    >>> subset[0], len(subset)
    ('d', 2)
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | Array) -> None:
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise DTypeError(f"Subset: {kind_of(dataset)} has no __len__ or __getitem__; give a dataset")
        self.dataset = dataset
        self.indices = _checked_indices(indices, len(dataset))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        i = checked_index("Subset", index)
        if not -len(self) <= i < len(self):
            raise LabelError(f"Subset: index {i} is out of range for {len(self)} examples")
        return self.dataset[int(self.indices[i])]

    def _fields(self) -> dict[str, object]:
        source = f"{type(self.dataset).__name__} of {len(self.dataset):,} examples"
        return {"examples": f"{len(self):,}", "dataset": source}

    @property
    def batch(self) -> Callable[[Array], Any] | None:
        """A function from an array of indices to a batch of examples; None if the dataset has none."""
        if isinstance(self.dataset, np.ndarray):
            return lambda index: self.dataset.take(self.indices[index], axis=0)
        batch = getattr(self.dataset, "batch", None)
        return (lambda index: batch(self.indices[index])) if callable(batch) else None

    @property
    def is_random(self) -> bool:
        """Whether reading an example may draw random numbers."""
        return bool(getattr(self.dataset, "is_random", not isinstance(self.dataset, np.ndarray)))


def random_split(dataset: Any, lengths: Sequence[float], rng: RNG = None) -> list[Subset]:
    """Split a dataset at random into disjoint subsets.

    ``lengths``: sizes that sum to the number of examples; or fractions that sum to 1, where the examples left over by
    rounding go to the first subsets. ``rng``: a seed makes the split reproducible.

    Raises `ArgumentError` for lengths that have another sum or are negative.

    >>> train, test = random_split(np.arange(10), [0.8, 0.2], rng=0)
    >>> len(train), len(test)
    (8, 2)
    """
    size = len(dataset)
    counts = _counts(lengths, size)
    order = get_rng(rng).permutation(size)
    return [Subset(dataset, indices) for indices in np.split(order, np.cumsum(counts)[:-1])]


def _counts(lengths: Sequence[float], size: int) -> list[int]:
    if not np.iterable(lengths) or not len(lengths):
        raise ArgumentError(f"random_split: lengths is {lengths!r}; give a list, such as [0.8, 0.2]")
    if all(isinstance(n, (int, np.integer)) for n in lengths) and sum(lengths) == size:
        return [checked_count("random_split", "a length", n, low=0) for n in lengths]
    if not all(n >= 0 for n in lengths) or not math.isclose(sum(lengths), 1.0, rel_tol=1e-6):
        raise ArgumentError(
            f"random_split: lengths are {list(lengths)}; they must sum to the {size} examples, or to 1 as fractions"
        )
    counts = [math.floor(n * size + 1e-6) for n in lengths]
    for i in range(size - sum(counts)):
        counts[i % len(counts)] += 1
    return counts


def _checked_indices(indices: Any, size: int) -> Array:
    array = np.asarray(indices)
    if array.dtype.kind == "b":
        if array.shape != (size,):
            raise ShapeError(f"Subset: mask of shape {array.shape} for {size} examples; give one boolean per example")
        return np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        if isinstance(indices, slice):
            raise DTypeError("Subset: indices is a slice; write np.arange(len(dataset))[start:stop]")
        raise DTypeError(f"Subset: indices must be integers (N,), not {array.dtype} {array.shape}")
    array = array.astype(np.int64)
    out_of_range = array[(array < -size) | (array >= size)]
    if out_of_range.size:
        raise LabelError(f"Subset: index {out_of_range[0]} is out of range for {size} examples")
    return np.where(array < 0, array + size, array)
