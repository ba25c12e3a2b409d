"""Matrices and weights laid out for the tile: the columns of a tile are side by side, row after row."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.native.buffers import LINE, aligned_zeros
from passus.kernels.native.compiling import FLAT, INTEGER, compiled, inlined
from passus.kernels.native.loops import for_vectors
from passus.kernels.native.simd import LANES, all_lanes, number_at, prefetch, store, vector_at
from passus.kernels.native.transposing import copy_transposed
from passus.kernels.threads import split

__all__ = ["MATRIX", "PIECE", "columns_of_tile", "pack", "packed_weights"]

PIECE = 1 << 16
"""Numbers that are worth a thread."""

ROWS_PER_READ = 8
"""Rows of a matrix that are read at the same time."""

AHEAD = 8
"""Distance in rows by which they are prefetched: processors do not foresee steps as large as a row."""

MATRIX = numba.types.Array(numba.float32, 2, "A", readonly=True)

WEIGHTS = numba.types.Array(numba.float32, 5, "A", readonly=True)


def columns_of_tile(o: int) -> int:
    """Number of columns of a tile, for a matrix of ``o`` columns: one vector or two."""
    return LANES if o <= LANES else 2 * LANES


def packed_weights(W: Array, b: Array | None, columns: int) -> tuple[Array, Array]:
    """Weights (groups, O / groups, C / groups, KH, KW) as (groups * tiles, KH, KW, C / groups, columns), flat, and a bias (O,)
    as (groups * tiles * columns,). Both are padded with zeros.
    """
    groups, o, c, kh, kw = W.shape
    width = -(-o // columns) * columns
    tiles, size = groups * (width // columns), columns * c * kh * kw
    w = aligned_zeros(tiles * size)
    split(lambda start, stop: _pack_weights(W, w, columns, start, stop), tiles, PIECE // (1 + size))
    bias = np.zeros((groups, width), np.float32)
    if b is not None:
        bias[:, :o] = b.reshape(groups, o)
    return w, bias.reshape(-1)


@inlined
def _copy_vector(arguments: Any, lane: Any, lanes: Any) -> None:
    x, at, packed, to = arguments
    store(packed, to + lane, vector_at(x, at + 4 * lane, lanes), all_lanes())


@inlined
def _pack_rows(
    x: Any, at: Any, rows: Any, row_step: Any, lane_step: Any, lanes: Any, packed: Any, to: Any, columns: Any
) -> None:
    """Rows of one tile: ``packed[to + row * columns + lane]`` is the number ``at + row * row_step + lane * lane_step`` bytes
    after the first one of x.
    """
    if lane_step == 4:
        for row in range(rows):
            prefetch(x, (at + (row + AHEAD) * row_step) // 4)
            for_vectors(_copy_vector, (x, at + row * row_step, packed, to + row * columns), lanes)
    elif row_step == 4:
        for lane in range(0, lanes, LANES):
            start, target, some = at + lane * lane_step, to + lane, min(LANES, lanes - lane)
            for row in range(0, rows, LANES):
                count = min(LANES, rows - row)
                copy_transposed(x, start + 4 * row, lane_step, some, count, packed, target + row * columns, columns)
    else:
        for begin in range(0, rows, LINE):
            for lane in range(lanes):
                for row in range(begin, min(begin + LINE, rows)):
                    number = number_at(x, at + row * row_step + lane * lane_step)
                    packed[np.uint64(to + row * columns + lane)] = number


@compiled(numba.void(MATRIX, FLAT, INTEGER, INTEGER, INTEGER), allocates=False)
def pack(x: Any, packed: Any, columns: Any, start: Any, stop: Any) -> None:
    """Tiles from ``start`` to ``stop`` of a matrix (K, M), as (tiles, K, columns)."""
    (K, M), (row_step, lane_step) = x.shape, x.strides
    # A few rows of all tiles at a time if rows are contiguous: whole lines of the cache are read and written.
    height = ROWS_PER_READ if lane_step == 4 else K
    for begin in range(0, K, max(1, height)):
        rows = min(height, K - begin)
        for tile in range(start, stop):
            at, to = begin * row_step + tile * columns * lane_step, (tile * K + begin) * columns
            _pack_rows(x, at, rows, row_step, lane_step, min(columns, M - tile * columns), packed, to, columns)


@inlined
def _pack_positions(
    W: Any, at: Any, positions: Any, step: Any, lane_step: Any, lanes: Any, w: Any, to: Any, next_: Any
) -> None:
    """One vector of outputs for one channel, at all positions of a kernel that are contiguous."""
    lowest = 0 if step > 0 else positions - 1
    apart = next_ if step > 0 else -next_
    for i in range(0, positions, LANES):
        begin, target = at + lowest * step + 4 * i, to + lowest * next_ + i * apart
        copy_transposed(W, begin, lane_step, lanes, min(LANES, positions - i), w, target, apart)


@compiled(numba.void(WEIGHTS, FLAT, INTEGER, INTEGER, INTEGER), allocates=False)
def _pack_weights(W: Any, w: Any, columns: Any, start: Any, stop: Any) -> None:
    """Tiles from ``start`` to ``stop`` of weights, in the order of `packed_weights`."""
    _, o, c, kh, kw = W.shape
    group, output, channel, row, column = W.strides
    tiles, positions, next_ = -(-o // columns), kh * kw, c * columns
    # The positions of the kernel may be contiguous, in either direction.
    step = column if kw > 1 else row
    run = positions > 1 and output != 4 and abs(step) == 4 and (kw == 1 or kh == 1 or row == kw * column)
    for tile in range(start, stop):
        first, to = tile % tiles * columns, tile * positions * next_
        at, lanes = tile // tiles * group + first * output, min(columns, o - first)
        if run:
            for lane in range(0, lanes, LANES):
                for k in range(c):
                    start_k, target = at + lane * output + k * channel, to + lane + k * columns
                    _pack_positions(W, start_k, positions, step, output, min(LANES, lanes - lane), w, target, next_)
        else:
            for i in range(positions):
                begin = at + i // kw * row + i % kw * column
                _pack_rows(W, begin, c, channel, output, lanes, w, to + i * next_, columns)
