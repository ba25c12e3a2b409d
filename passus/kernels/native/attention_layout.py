"""The memory layout of the heads of arrays (..., T, D), and scratch memory for the kernels of attention."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from passus.backend import Array
from passus.kernels.native.attention_blocks import QUERIES, P
from passus.kernels.native.buffers import LINE

__all__ = [
    "FEW",
    "Layout",
    "added_mask",
    "block_of_queries",
    "carved",
    "head",
    "layout",
    "like",
    "offsets",
    "sharing",
    "steps",
    "with_rows_of_numbers",
]

FEW = 4
"""Queries up to which packing keys and values for the tile takes longer than it saves."""

NO_MASK = np.zeros((1, 1), np.float32)


def with_rows_of_numbers(x: Array) -> Array:
    """An array with contiguous rows, copied if necessary."""
    return x if x.strides[-1] == 4 or x.shape[-1] == 1 else np.ascontiguousarray(x)


def head(x: Array) -> Array:
    """The matrix of the first head."""
    return x if x.ndim == 2 else x[(0,) * (x.ndim - 2)]


def steps(matrices: list[Array]) -> tuple[int, ...]:
    """The distance of rows of each matrix in bytes; 0 for a single row, such as a mask that is shared by all queries."""
    return tuple([x.strides[0] if len(x) > 1 else 0 for x in matrices])


@lru_cache(maxsize=1 << 8)
def _offsets(shape: tuple[int, ...], strides: tuple[int, ...], lead: tuple[int, ...]) -> Array:
    strides = (0,) * (len(lead) - len(shape)) + tuple(0 if n == 1 else step for n, step in zip(shape, strides))
    found = np.zeros(lead, np.int64)
    for axis, (n, step) in enumerate(zip(lead, strides)):
        found += (np.arange(n) * step).reshape(-1, *[1] * (len(lead) - axis - 1))
    return found.reshape(-1)


def offsets(x: Array, lead: tuple[int, ...]) -> Array:
    """The offset of each head from the first one in bytes, with leading axes broadcast to ``lead``.

    >>> offsets(np.zeros((2, 3, 4), np.float32), (3, 2))
    array([ 0, 48,  0, 48,  0, 48])
    """
    return _offsets(x.shape[:-2], x.strides[:-2], lead)


@lru_cache(maxsize=1 << 8)
def sharing(of_keys: tuple[int, ...], lead: tuple[int, ...]) -> Array:
    """The heads of ``lead``, sorted by the head of the keys that they share.

    >>> sharing((2, 1), (2, 2)), sharing((2,), (2, 2))
    (array([0, 1, 2, 3]), array([0, 2, 1, 3]))
    """
    count = math.prod(of_keys)
    return np.argsort(np.broadcast_to(np.arange(count).reshape(of_keys), lead), axis=None, kind="stable")


def like(x: Array, shape: tuple[int, ...]) -> Array:
    """A new array with contiguous rows, whose axes are in memory in the order of those of ``x``."""
    y = np.empty_like(x, shape=shape) if x.ndim == len(shape) else np.empty(shape, np.float32)
    return y if y.strides[-1] == 4 else np.empty(shape, np.float32)


class Layout(NamedTuple):
    """The layout of the arguments of a forward kernel, without the number of keys."""

    shape: tuple[int, ...]
    """That of the result, (..., T, Dv)."""
    as_queries: bool
    """Whether its axes are in memory in the order of those of the queries."""
    offsets: tuple[Array, ...]
    """`attention_arguments.Offsets`."""
    steps: tuple[int, ...]
    """`attention_arguments.RowSteps`."""
    heads: int
    rows: int
    """Queries in a block."""
    blocks: int


@lru_cache(maxsize=1 << 8)
def layout(
    of_q: tuple[tuple[int, ...], tuple[int, ...]],
    of_k: tuple[tuple[int, ...], tuple[int, ...]],
    of_v: tuple[int, tuple[int, ...]],
    of_mask: tuple[tuple[int, ...], tuple[int, ...]],
) -> Layout:
    """The layout for the shape and strides of queries, the leading axes and strides of keys, the number of features and
    strides of values, and the leading axes and strides of a mask: as long as a cache grows, it stays the same.
    """
    (*_, T, _), (V, _) = of_q[0], of_v
    lead = np.broadcast_shapes(of_q[0][:-2], of_k[0])
    q: Array = np.lib.stride_tricks.as_strided(NO_MASK, *of_q, writeable=False)  # Only its shape and strides are used.
    y = like(q, (*lead, T, V))
    leading_axes = of_q[0][:-2], of_k[0], of_k[0], of_mask[0][:-1], lead
    strides = of_q[1], of_k[1], of_v[1], of_mask[1], y.strides
    of_heads = [_offsets(axes, step[:-2], lead) for axes, step in zip(leading_axes, strides)]
    of_rows = tuple([step[-2] for step in strides])
    if of_mask[0][-1] == 1:
        of_rows = (*of_rows[:3], 0, of_rows[4])
    rows, blocks = (T, 1) if T <= FEW else block_of_queries(T)
    as_queries = y.ndim == q.ndim and y.strides == np.empty_like(q, shape=y.shape).strides
    return Layout(y.shape, as_queries, (*of_heads, sharing(of_k[0], lead)), of_rows, math.prod(lead), rows, blocks)


def added_mask(mask: Array | None) -> Array:
    """An additive mask with contiguous rows; a single 0 if there is no mask."""
    if mask is None:
        return NO_MASK
    if mask.dtype == bool:
        mask = np.where(mask, np.float32(0), np.float32(-np.inf))
    return with_rows_of_numbers(mask)


def block_of_queries(count: int) -> tuple[int, int]:
    """Number of queries in a block, if blocks share ``count`` evenly, and number of blocks.

    >>> blocks = [block_of_queries(n) for n in (1, QUERIES, QUERIES + 1)]
    >>> [(rows % P, number) for rows, number in blocks]
    [(0, 1), (0, 1), (0, 2)]
    """
    number = -(-count // QUERIES)
    rows = -(-count // number)
    return -(-rows // P) * P, number


def carved(*counts: int) -> tuple[Array, ...]:
    """Arrays of these sizes from one allocation, each at the beginning of a line of the cache."""
    memory: Any = np.empty(sum(counts) + LINE * (len(counts) + 1), np.float32)
    first, arrays = -memory.ctypes.data % (4 * LINE) // 4, []
    for count in counts:
        arrays.append(memory[first : first + count])
        first += -(-count // LINE) * LINE
    return tuple(arrays)
