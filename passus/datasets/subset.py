"""Parts of a dataset: some of its examples, and all of them divided at random."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.datasets.base import checked_index
from passus.errors import ArgumentError, DTypeError, LabelError, ShapeError, kind_of
from passus.random import RNG, get_rng

__all__ = ["Subset", "random_split"]


class Subset:
    """The examples of ``dataset`` at ``indices``, in their order: ``subset[i]`` is ``dataset[indices[i]]``.

    ``dataset``: a dataset, an array or a list of examples. ``indices``: integers, or a boolean for each example. Batches
    are taken as a whole where the dataset can do that.

    Raises `LabelError` for an index that does not exist, `ShapeError` for booleans of another number, `DTypeError` for
    indices that are no integers.

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
            raise LabelError(f"Subset: there is no example {i}; there are {len(self)}")
        return self.dataset[int(self.indices[i])]

    @property
    def batch(self) -> Callable[[Array], Any] | None:
        """The function that takes many examples at once; None if the dataset has none."""
        if isinstance(self.dataset, np.ndarray):
            return lambda index: self.dataset.take(self.indices[index], axis=0)
        many = getattr(self.dataset, "batch", None)
        return (lambda index: many(self.indices[index])) if callable(many) else None

    @property
    def is_random(self) -> bool:
        """Whether examples may draw random numbers."""
        return bool(getattr(self.dataset, "is_random", not isinstance(self.dataset, np.ndarray)))


def random_split(dataset: Any, lengths: Sequence[float], rng: RNG = None) -> list[Subset]:
    """Divide a dataset at random into parts that have no example in common.

    ``lengths``: how many examples each part has, all of them together; or shares that add up to 1, where those left over
    by rounding go to the first parts. ``rng``: a seed gives the same parts each time.

    Raises `ArgumentError` for lengths or shares that do not add up, or are negative.

    >>> train, test = random_split(np.arange(10), [0.8, 0.2], rng=0)
    >>> len(train), len(test)
    (8, 2)
    """
    size = len(dataset)
    counts = _counts(lengths, size)
    order = get_rng(rng).permutation(size)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(counts)[:-1])]


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
            raise ShapeError(f"Subset: a mask of shape {array.shape} for {size} examples; give one boolean per example")
        return np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        if isinstance(indices, slice):
            raise DTypeError("Subset: indices is a slice; write np.arange(len(dataset))[start:stop]")
        raise DTypeError(f"Subset: indices must be integers (N,), not {array.dtype} {array.shape}")
    array = array.astype(np.int64)
    wrong = array[(array < -size) | (array >= size)]
    if wrong.size:
        raise LabelError(f"Subset: there is no example {wrong[0]}; the dataset has {size}")
    return np.where(array < 0, array + size, array)
