"""Splitting features into the heads of attention, and merging heads into features."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

from passus.arguments import checked_count
from passus.backend import Array
from passus.core import Function, Operand, Result, Unary
from passus.errors import ShapeError
from passus.functions.checks import array_of
from passus.kernels.neighbours import concatenated

__all__ = ["MergeHeads", "SplitHeads", "merge_heads", "split_heads"]


class SplitHeads(Function):
    """Views (..., H, T, D) of consecutive groups of heads."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        self.counts = counts

    def forward(self, x: Array) -> Any:
        total = sum(self.counts)
        heads = _heads_first(x.reshape(*x.shape[:-1], total, x.shape[-1] // total))
        if len(self.counts) == 1:
            return heads
        return tuple([heads[index] for index in _group_indices(self.counts)])

    def backward(self, *gys: Any) -> Any:
        shape = self.operands[0].shape
        groups = [_heads_first(gy) for gy in gys]
        return concatenated(groups, -2, self.xp).reshape(shape)


class MergeHeads(Unary):
    def forward(self, x: Array) -> Array:
        return _heads_first(x).reshape(*x.shape[:-3], x.shape[-2], x.shape[-3] * x.shape[-1])

    def backward(self, gy: Any) -> Any:
        shape = self.operands[0].shape
        return _heads_first(gy.reshape(*shape[:-3], shape[-2], shape[-3], shape[-1]))


@lru_cache(maxsize=32)
def _group_indices(counts: tuple[int, ...]) -> list[Any]:
    """The index of each group of heads."""
    return [
        (..., slice(start, stop), slice(None), slice(None)) for start, stop in pairwise(accumulate(counts, initial=0))
    ]


def _heads_first(x: Any) -> Any:
    """Swap the axes of positions and heads."""
    return x.swapaxes(-2, -3)


def split_heads(x: Operand, n_heads: int | Sequence[int]) -> Any:
    """The features of a sequence as heads: (..., T, H * D) to (..., H, T, D), a view.

    ``n_heads``: H, or a sequence of numbers of heads for a tuple of arrays, such as queries, keys and values from one
    product: (..., T, (H0 + H1 + H2) * D) to (..., H0, T, D), (..., H1, T, D) and (..., H2, T, D).

    Raises `ShapeError` if the number of features is no multiple of the heads, or if ``x`` has fewer than two axes;
    `ArgumentError` for fewer than one head.

    >>> import numpy as np
    >>> split_heads(np.ones((2, 5, 12)), 4).shape
    (2, 4, 5, 3)
    >>> [x.shape for x in split_heads(np.ones((2, 5, 12)), (2, 1, 1))]
    [(2, 2, 5, 3), (2, 1, 5, 3), (2, 1, 5, 3)]
    """
    single = not isinstance(n_heads, (tuple, list))
    groups = list(n_heads) if isinstance(n_heads, (tuple, list)) else [n_heads]
    counts = tuple([checked_count("split_heads", "n_heads", n) for n in groups])
    shape = array_of("split_heads", x).shape
    if len(shape) < 2 or not counts or shape[-1] % sum(counts):
        raise ShapeError(
            f"split_heads: x {shape} must be (..., T, C) with C a multiple of the {sum(counts)} heads; choose another "
            "n_heads or number of features"
        )
    y = SplitHeads(counts)(x)
    return y if single or len(counts) > 1 else (y,)


def merge_heads(x: Operand) -> Result:
    """The heads of a sequence as features, the inverse of `split_heads`: (..., H, T, D) to (..., T, H * D).

    Raises `ShapeError` for fewer than three axes.

    >>> import numpy as np
    >>> merge_heads(np.ones((2, 4, 5, 3))).shape
    (2, 5, 12)
    """
    shape = array_of("merge_heads", x).shape
    if len(shape) < 3:
        raise ShapeError(f"merge_heads: x {shape} must be (..., H, T, D); for one head write x[None]")
    return MergeHeads()(x)
