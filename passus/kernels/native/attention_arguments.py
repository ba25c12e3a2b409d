"""The arguments of the kernels of attention: plain tuples in calls from Python, named in kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types

from passus.backend import Array
from passus.kernels.attention import Settings
from passus.kernels.native.compiling import FLAT, INTEGER
from passus.kernels.native.simd import LANES

__all__ = [
    "INTEGERS",
    "MATRIX",
    "OFFSETS",
    "RESULT",
    "WEIGHTING",
    "Offsets",
    "RowSteps",
    "Weighting",
    "forward_signature",
    "weighting_of",
]

MATRIX = types.Array(numba.float32, 2, "A", readonly=True)
RESULT = types.Array(numba.float32, 2, "A")
OFFSETS = types.Array(numba.int64, 1, "C", readonly=True)
WORDS = types.Array(numba.uint32, 1, "C", readonly=True)

INTEGERS = {count: types.UniTuple(INTEGER, count) for count in (5, 6, 9, 10)}
"""Tuples of integers, by their length."""

WEIGHTING = types.Tuple((numba.float32, INTEGER, INTEGER, INTEGER, WORDS, WORDS, numba.uint32, numba.float32))

NO_WORDS = np.zeros(1, np.uint32)


class Weighting(NamedTuple):
    """How scores become weights: `kernels.attention.Settings`, flat."""

    scale: float
    causal: int
    masked: int
    dropped: int
    row_words: Array
    """The random keys of all queries; unused without dropout."""
    column_words: Array
    """The random keys of keys, with `LANES` more."""
    least: int
    kept_scale: float


class Offsets(NamedTuple):
    """The offset of each head from the first one, in bytes, and the heads in the order of the keys that they share."""

    q: Array
    k: Array
    v: Array
    mask: Array
    y: Array
    order: Array


class RowSteps(NamedTuple):
    """The distance of two rows, in bytes."""

    q: int
    k: int
    v: int
    mask: int
    y: int


def weighting_of(mask: Array | None, settings: Settings) -> tuple[Any, ...]:
    """A `Weighting` as a plain tuple."""
    dropping = settings.dropping
    words, least, kept_scale = [NO_WORDS] * 2, np.uint32(0), np.float32(1)
    if dropping is not None:
        words = [dropping.rows.reshape(-1), np.concatenate([dropping.columns, np.zeros(LANES, np.uint32)])]
        least, kept_scale = np.uint32(dropping.least), np.float32(dropping.scale)
    flags = int(settings.is_causal), int(mask is not None), int(dropping is not None)
    return np.float32(settings.scale), *flags, *words, least, kept_scale


def forward_signature(scratch: int) -> Any:
    """The types of the arguments of a forward kernel; ``scratch``: number of flat arrays of scratch memory.

    They are (q, k, v, mask) of the first head; (y, lse, an integer that is set to 1 if a number of y is not finite); `Offsets`;
    `RowSteps`; number of queries, keys, features of keys and of values, queries in a block and blocks; `Weighting`; scratch
    memory; and the first and last block.
    """
    return types.void(
        types.UniTuple(MATRIX, 4),
        types.Tuple((RESULT, FLAT, types.int64[::1])),
        types.UniTuple(OFFSETS, 6),
        INTEGERS[5],
        INTEGERS[6],
        WEIGHTING,
        *[types.UniTuple(FLAT, scratch)] * (scratch > 0),
        INTEGER,
        INTEGER,
    )
