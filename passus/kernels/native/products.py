"""Products of matrices in float32, with the tile of convolutions.

The right matrix is packed in vectors of columns. The left one is read in place where its rows are contiguous. A transposed one is copied,
some rows at a time. OpenBLAS is as fast on processors without AVX-512, but its threads spin while they wait for the next product
and occupy the processors that other kernels need.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.native.buffers import LINE, aligned
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.packing import MATRIX, columns_of_tile, pack
from passus.kernels.native.packing import PIECE as PIECE_OF_PACKING
from passus.kernels.native.pointers import At
from passus.kernels.native.simd import LANES, first_lanes, number_at, store, vector_at
from passus.kernels.native.tile import even_tiles_for, matrix_steps, multiply_tiles, rows_in_larger_tiles, tiles
from passus.kernels.native.transposing import copy_transposed
from passus.kernels.native.waiting import FLAGS, add_at
from passus.kernels.products import PRODUCTS_IN_FLOAT32
from passus.kernels.threads import added, collected, get_num_threads, split

__all__ = ["product"]

PIECE = LANES << 17
"""Multiplications that are worth a thread: some 15 µs of work."""

DEPTH = 512
"""Number of products that a tile adds up at a time, up to half as many again: the packed columns of a tile are 32 KiB."""

PACKED = 3 << 14
"""Packed numbers of the right matrix that a thread uses at a time, up to half as many again: 192 KiB."""

FEW_TILES = 4
"""A transposed left matrix is read in place for up to this many tiles of columns. For more, copying a panel is cheaper."""

BALANCED_TILES = 8
"""Number of tiles per thread from which an uneven distribution does not matter."""

MAX_SHARED_NUMBERS = 1 << 20
"""Maximum size of a left matrix that all threads read: it fits into their caches."""

SHARES = 6
"""Number of shares into which the work of a thread is cut, so that others can take some of them."""

TILES_PER_SHARE = 8
"""Number of tiles of rows in a share, if there are enough."""

COUNTER_STRIDE = 8
"""Distance of two counters: a cache line, so that threads do not share one."""

BUFFERED = 8
"""Number of tiles that are computed in a buffer where their columns are not all in the matrix."""

PANEL = 1 << 16
"""Numbers of the left matrix that are in use at a time, up to half as many again: 256 KiB."""

NOT_PACKED = aligned(0)

SHARED = numba.types.UniTuple(INTEGER, 4)


def product(a: Array, b: Array, bias: Array | None = None) -> Array:
    (n, k), m = a.shape, b.shape[1]
    if k > PRODUCTS_IN_FLOAT32:
        total = np.zeros((n, m)) if bias is None else np.tile(bias.astype(np.float64), (n, 1))
        for first in range(0, k, PRODUCTS_IN_FLOAT32):
            total += product(a[:, first : first + PRODUCTS_IN_FLOAT32], b[first : first + PRODUCTS_IN_FLOAT32])
        return total.astype(np.float32)
    if k >= 2 * max(n, m) and not a.flags.c_contiguous:
        # Each thread copies a part of both matrices; otherwise every thread would copy the whole left one.
        parts = collected(
            lambda first, last: _Product(a[:, first:last], b[first:last]).whole(), k, PIECE // max(1, n * m)
        )
        y = added(parts)
        return y if bias is None else np.add(y, bias, out=y)
    return _Product(a, b, bias).shared()


class _Product:
    """One product: the memory layout of its operands, and the kernel for them."""

    def __init__(self, a: Array, b: Array, bias: Array | None = None) -> None:
        self.a, self.b, (n, self.k), self.m = a, b, a.shape, b.shape[1]
        self.columns = columns_of_tile(self.m)
        # Vectors are full: masked instructions are slow on processors without AVX-512.
        of_rows, of_less, self.height, _ = even_tiles_for(n, self.columns, True)
        self.tiles = -(-self.m // self.columns)
        self.packed, self.start = NOT_PACKED, _zeros(self.tiles * self.columns)
        if bias is not None:
            self.start = self.start.copy()
            self.start[: self.m] = bias
        self.y = np.empty((n, self.m), np.float32)
        self.runs, self.steps = _in_place(a, self.tiles)
        of_row = tiles(1, self.columns // LANES, True)
        self.tile = of_rows, of_less, of_row, self.height, self.columns, *self.steps

    def whole(self) -> Array:
        """The result, computed by this thread."""
        self._compute(True, self._share(self.tiles), self.tiles, 1)
        return self.y

    def shared(self) -> Array:
        """The result, computed by all threads: each begins with its own shares, and then takes those of slower ones."""
        n, threads, columns = len(self.y), get_num_threads(), self.columns
        in_place, few = self.steps[0] > 0, n < self.height * threads
        even = self.tiles % threads == 0 or self.tiles >= BALANCED_TILES * threads
        if few or (in_place and (n <= self.m or (even and self.a.size <= MAX_SHARED_NUMBERS))):
            # A left matrix that is not read in place is copied for each share.
            least = max(1, PIECE // max(1, n * self.k * columns))
            share = max(least, -(-self.tiles // (threads * (SHARES if in_place else 1))))
            self._compute(True, self._share(share), self.tiles, threads)
            return self.y
        self.packed = aligned(self.tiles * self.k * columns)
        split(
            lambda first, last: pack(self.b, self.packed, columns, first, last),
            self.tiles,
            PIECE_OF_PACKING // (1 + self.k * columns),
        )
        # Each share reads the whole right matrix, so it has some tiles of rows.
        parts = threads * max(1, min(SHARES, n // (threads * TILES_PER_SHARE * self.height)))
        least = max(-(-n // parts), PIECE // max(1, self.k * self.m))
        share = -(-least // self.height) * self.height
        self._compute(False, share, n, threads)
        return self.y

    def _share(self, tiles: int) -> int:
        """At most this number of tiles of columns: as many as stay in the cache, unless the left matrix is copied for each share."""
        in_place = self.steps[0] > 0
        return min(tiles, max(1, PACKED // (min(self.k, DEPTH) * self.columns))) if in_place else tiles

    def _compute(self, by_tiles: bool, share: int, count: int, threads: int) -> None:
        """Compute shares of ``count`` tiles of columns, which are packed first, or of ``count`` rows."""
        queues = max(1, min(threads, -(-count // share)))
        arrays = self.tile, self.a, self.runs, self.b, self.packed, self.start, self.y.reshape(-1), self.m
        shares, counters = (int(by_tiles), share, count, queues), np.zeros(queues * COUNTER_STRIDE, np.int64)
        split(lambda queue, _: _product(*arrays, shares, counters, queue), queues)


@lru_cache(maxsize=1 << 6)
def _zeros(count: int) -> Array:
    zeros = np.zeros(count, np.float32)
    zeros.flags.writeable = False
    return zeros


def _in_place(a: Array, tiles: int) -> tuple[Array, tuple[int, int]]:
    """The left matrix as a flat array, and the distances of its rows and columns; distances of 0 where a panel is copied."""
    if a.flags.c_contiguous:
        return a.reshape(-1), (a.shape[1], 1)
    if a.flags.f_contiguous and tiles <= FEW_TILES:
        return a.T.reshape(-1), (1, a.shape[0])
    return aligned(0), (0, 0)


@compiled(INTEGER(MATRIX, FLAT, INTEGER, INTEGER, INTEGER, INTEGER))
def _copy_panel(a: Any, panel: Any, first: Any, last: Any, begin: Any, depth: Any) -> Any:
    """Rows from ``first`` to ``last`` of ``a``, and ``depth`` columns from ``begin`` on, with contiguous rows.

    Returns the distance of two rows.
    """
    (down, across), rows = a.strides, last - first
    # Where the depth is a power of two, rows that far apart would compete for the same cache lines.
    place, line = first * down + begin * across, depth + LINE
    if across == 4:
        for row in range(rows):
            for k in range(0, depth, LANES):
                some = first_lanes(depth - k)
                store(panel, row * line + k, vector_at(a, place + row * down + 4 * k, some), some)
    elif down == 4:
        for row in range(0, rows, LANES):
            for k in range(0, depth, LANES):
                at, count = place + 4 * row + k * across, min(LANES, depth - k)
                copy_transposed(a, at, across, count, min(LANES, rows - row), panel, row * line + k, line)
    else:
        for row in range(rows):
            for k in range(depth):
                panel[np.uint64(row * line + k)] = number_at(a, place + row * down + k * across)
    return line


@inlined
def _copy_rows(source: Any, place: Any, apart: Any, target: Any, to: Any, step: Any, rows: Any, lanes: Any) -> None:
    for row in range(rows):
        for lane in range(lanes):
            target[np.uint64(to + row * step + lane)] = source[np.uint64(place + row * apart + lane)]


class Tile(NamedTuple):
    """The functions of tiles of ``height`` rows, of one row less, and of one row, and their number of columns."""

    of_rows: Any
    of_less: Any
    of_row: Any
    height: Any
    columns: Any


class Left(NamedTuple):
    """The left matrix of a product: the matrix, memory for copies of its panels, its numbers, and the distances of its rows and
    columns; these are 0 if panels are copied.
    """

    a: Any
    copy: Any
    runs: Any
    steps: Any


class Right(NamedTuple):
    """Some rows of the right matrix of a product: the memory where they are packed, the place of the tile of column 0 in it, the
    distance of two tiles, and the bias.
    """

    packed: Any
    origin: Any
    tile_step: Any
    bias: Any


class Target(NamedTuple):
    """The result of a product, its number of columns, and memory for a tile."""

    y: Any
    m: Any
    buffer: Any


@inlined
def _multiply(tile: Any, left: Any, right: Any, target: Any, rows: Any, tiles: Any, sums: Any) -> None:
    """Compute the rows, the tiles of columns and the part of their sums between the ends of the three pairs.

    ``tile``: `Tile`. ``left``: `Left`. ``right``: `Right`. ``target``: `Target`.
    """
    (of_rows, of_less, of_row, P, columns), (a, copy, runs, steps) = tile, left
    (packed, start, tile_step, bias), (y, m, buffer) = right, target
    (begin, end), in_place = sums, steps[0] > 0
    depth, panel = end - begin, runs if in_place else copy
    # Panels of equal heights: a short one would read the whole right matrix for a few rows.
    all_rows = rows[1] - rows[0]
    panels = max(1, (all_rows * (depth + LINE) + PANEL // 2) // PANEL)
    count = (all_rows + panels * P - 1) // (panels * P) * P
    for first in range(rows[0], rows[1], count):
        last = min(first + count, rows[1])
        (apart_down, apart_across), origin = steps, first * steps[0] + begin * steps[1]
        if not in_place:
            apart_down, apart_across, origin = _copy_panel(a, copy, first, last, begin, depth), 1, 0
        in_tiles, rest, less = rows_in_larger_tiles(last - first, P), of_less, P - 1
        if in_tiles < 0:
            # Few rows, which are no sum of these heights: the last tile overlaps the one before it, unless it adds to its result.
            overlaps = begin == 0 and last - first >= P
            in_tiles, rest, less = last - first if overlaps else (last - first) // P * P, of_row, 1
        for at in range(tiles[0], tiles[1]):
            B, lanes, row = At(packed, start + at * tile_step), min(columns, m - at * columns), 0
            while row < last - first:
                function, some, height = rest, last - first - row, less
                if row < in_tiles:
                    function, some, height = of_rows, in_tiles - row, P
                if lanes < columns:  # These are computed in a buffer, some tiles at a time.
                    if row < in_tiles:
                        row = min(row, in_tiles - P)
                    some = min((in_tiles if row < in_tiles else last - first) - row, BUFFERED * height)
                A, z = At(panel, origin + row * apart_down), (first + row) * m + at * columns
                C, c, step = (y, z, m) if lanes == columns else (buffer, 0, columns)
                D, d, apart = (C, c, step) if begin else (bias, at * columns, 0)
                if begin and lanes < columns:
                    _copy_rows(y, z, m, buffer, 0, columns, some, lanes)
                of_tile = matrix_steps(d_row=apart, a_row=apart_down, c_row=step, a_k=apart_across, b_k=columns)
                multiply_tiles(function, columns, At(D, d), A, B, (1, 1, depth), of_tile, At(C, c), some)
                if lanes < columns:
                    _copy_rows(buffer, 0, columns, y, z, m, some, lanes)
                row += some


@compiled(
    numba.void(
        *(numba.types.UniTuple(INTEGER, 7), MATRIX, READ, MATRIX, FLAT, READ, FLAT, INTEGER),
        *(SHARED, FLAGS, INTEGER),
    )
)
def _product(
    tile: Any,
    a: Any,
    runs: Any,
    b: Any,
    packed: Any,
    bias: Any,
    y: Any,
    m: Any,
    shares: Any,
    counters: Any,
    queue: Any,
) -> None:
    """The shares of a queue, and then those that other queues have left.

    ``tile``: the functions of tiles of some rows, of one row less, and of one row; the numbers of rows and of columns; and the distances
    of rows and columns in ``runs``.

    Columns are packed in whole vectors. Where the last vectors have more lanes than the matrix has columns, the tile is computed
    in a buffer: masked instructions are slow on processors without AVX-512.
    """
    (N, K), (by_tiles, share, count, queues), (of_rows, of_less, of_row, height, columns, down, across) = (
        a.shape,
        shares,
        tile,
    )
    parts = max(1, (K + DEPTH // 2) // DEPTH)
    depth = (K + parts - 1) // parts
    copy = aligned(0 if down > 0 else 3 * PANEL // 2 + (height + LINE) * (depth + LINE))
    left, buffer = Left(a, copy, runs, (down, across)), aligned(BUFFERED * height * columns)
    if by_tiles:
        packed = aligned(share * depth * columns)
    functions = Tile(of_rows, of_less, of_row, height, columns)
    number = (count + share - 1) // share
    for other in range(queues):
        owner = (queue + other) % queues
        end = number * (owner + 1) // queues
        while True:
            at = number * owner // queues + add_at(counters, owner * COUNTER_STRIDE, 1)
            if at >= end:
                break
            first, last = at * share, min((at + 1) * share, count)
            rows, tiles = (first, last), (0, (m + columns - 1) // columns)
            if by_tiles:
                rows, tiles = (0, N), (first, last)
            for begin in range(0, K, depth):
                sums = (begin, min(begin + depth, K))
                right = Right(packed, begin * columns, K * columns, bias)
                if by_tiles:
                    size = (sums[1] - begin) * columns
                    pack(b[begin : sums[1], first * columns : last * columns], packed, columns, 0, last - first)
                    right = Right(packed, -first * size, size, bias)
                _multiply(functions, left, right, Target(y, m, buffer), rows, tiles, sums)
