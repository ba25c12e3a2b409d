"""All steps of recurrent networks in one kernel, in float32.

Examples are independent, so each thread runs all steps of some. A step is a product of few rows, with the tile of matrix
products and weights that are laid out once, and one pass over the gates in vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import types

from passus.backend import Array
from passus.kernels.gates import CELLS
from passus.kernels.native.buffers import LINE, aligned, aligned_zeros
from passus.kernels.native.cells import COLUMNS, multiply, unit_gradient, unit_step
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.loops import for_vectors
from passus.kernels.native.packing import PIECE as PIECE_OF_PACKING
from passus.kernels.native.packing import pack
from passus.kernels.native.simd import LANES, first_lanes, load, splat, store
from passus.kernels.recurrent import Saved
from passus.kernels.threads import split

__all__ = ["prepare", "recurrence", "recurrence_gradient"]

PIECE = 1 << 21
"""Multiplications that are worth a thread."""

SIZES = types.UniTuple(INTEGER, 5)

ENDS = types.Array(types.int64, 1, "C", readonly=True)


def prepare() -> None:
    """Compile the kernels of all cells."""
    for cell in CELLS:
        _forward(cell)
        _backward(cell)


def recurrence(
    cell: str,
    xs: Array,
    h: Array,
    c: Array | None,
    W_h: Array,
    b_h: Array | None,
    W_p: Array | None,
    lengths: Array | None,
    reverse: bool,
) -> tuple[Array, Array, Array | None, Saved]:
    (N, T, size), P = xs.shape, W_h.shape[0]
    H, saved = size // CELLS[cell].gates, CELLS[cell].saved
    start = aligned_zeros(size + COLUMNS)
    if b_h is not None:
        start[size - H : size] = b_h
    y, last = np.empty((N, T, P), np.float32), h.copy()
    gates = np.empty((N, T, saved * H), np.float32) if saved else None
    cells, last_c = (None, None) if c is None else (np.empty((N, T, H), np.float32), c.copy())
    hidden = None if W_p is None else np.empty((N, T, H), np.float32)
    inputs = _flat(xs), _packed(W_h), start, _flat(None if W_p is None else _packed(W_p)), _ends(lengths, N, T)
    outputs = [_flat(array) for array in (y, last, last_c, gates, cells, hidden)]
    kernel, sizes = _forward(cell), (T, H, P, int(W_p is not None), int(reverse))
    split(lambda first, stop: kernel(*inputs, *outputs, sizes, first, stop), N, _share(T, P, size))
    return y, last, last_c, Saved(gates, cells, hidden)


def recurrence_gradient(
    cell: str,
    gy: Array,
    gh: Array,
    gc: Array | None,
    y: Array,
    before: Array,
    c: Array | None,
    gates: Array | None,
    cells: Array | None,
    W_h: Array,
    W_p: Array | None,
    lengths: Array | None,
    reverse: bool,
) -> tuple[Array, Array, Array | None, Array, Array | None]:
    (N, T, P), size = y.shape, W_h.shape[1]
    H = size // CELLS[cell].gates
    gxs = np.empty((N, T, size), np.float32)
    ghs = np.empty((N, T, size), np.float32) if CELLS[cell].separate else gxs
    gp = None if W_p is None else np.empty((N, T, P), np.float32)
    gh, gc = gh.copy(), None if gc is None else gc.copy()
    inputs = [_flat(array) for array in (gy, y, before, c, gates, cells)]
    weights = _packed(W_h.T), _flat(None if W_p is None else _packed(W_p.T)), _ends(lengths, N, T)
    outputs = [_flat(array) for array in (gxs, ghs, gp, gh, gc)]
    kernel, sizes = _backward(cell), (T, H, P, int(W_p is not None), int(reverse))
    split(lambda first, stop: kernel(*inputs, *weights, *outputs, sizes, first, stop), N, _share(T, P, size))
    return gxs, ghs, gp, gh, gc


def _packed(W: Array) -> Array:
    """A matrix in tiles of columns."""
    K, tiles = W.shape[0], -(-W.shape[1] // COLUMNS)
    packed = aligned(tiles * K * COLUMNS)
    split(lambda first, stop: pack(W, packed, COLUMNS, first, stop), tiles, PIECE_OF_PACKING // (1 + K * COLUMNS))
    return packed


def _flat(array: Array | None) -> Array:
    return NOTHING if array is None else np.ascontiguousarray(array).reshape(-1)


def _ends(lengths: Array | None, N: int, T: int) -> Array:
    return np.full(N, T) if lengths is None else np.ascontiguousarray(lengths)


def _share(T: int, P: int, size: int) -> int:
    """Examples that are worth a thread."""
    return PIECE // max(1, T * P * size)


NOTHING = np.zeros(1, np.float32)
"""Stands for an array that a cell does not have; it is neither read nor written."""


@inlined
def _copy(A: Any, a: Any, B: Any, b: Any, count: Any) -> None:
    for j in range(0, count, LANES):
        some = first_lanes(count - j)
        store(B, b + j, load(A, a + j, some), some)


@inlined
def _fill(B: Any, b: Any, count: Any) -> None:
    for j in range(0, count, LANES):
        store(B, b + j, splat(np.float32(0)), first_lanes(count - j))


@inlined
def _step(arguments: Any, j: Any, lanes: Any) -> None:
    """One vector of units, from j on, of one example."""
    cell, H, arrays, indices = arguments
    xs, sums, hs, new, c, saved, cells = arrays
    x, s, b, m, u, k, z = indices
    unit_step(cell, H, xs, x + j, sums, s + j, hs, b + j, new, m + j, c, u + j, saved, k + j, cells, z + j, lanes)


@inlined
def _step_gradient(arguments: Any, j: Any, lanes: Any) -> None:
    """The gradient of one vector of units, from j on, of one example."""
    cell, H, arrays, indices = arguments
    of_units, gc, saved, before, y, c_before, cells, gxs, ghs, sums = arrays
    g, u, k, b, a, p, z, x, r, s = indices
    unit_gradient(
        cell, H, of_units, g + j, gc, u + j, saved, k + j, before, b + j, y, a + j, c_before, p + j, cells, z + j,
        gxs, x + j, ghs, r + j, sums, s + j, lanes,
    )  # fmt: skip


@cache
def _forward(cell: str) -> Callable[..., None]:
    gates, K, has_c = CELLS[cell].gates, CELLS[cell].saved, CELLS[cell].has_c

    @compiled(numba.void(READ, FLAT, FLAT, FLAT, ENDS, *[FLAT] * 6, SIZES, INTEGER, INTEGER))
    def forward(
        xs: Any,
        W_h: Any,
        start: Any,
        W_p: Any,
        ends: Any,
        y: Any,
        h: Any,
        c: Any,
        saved: Any,
        cells: Any,
        hidden: Any,
        sizes: Any,
        first: Any,
        stop: Any,
    ) -> None:
        T, H, P, projected, reverse = sizes
        n, width = stop - first, gates * H
        # Rows an even number of lines apart would compete for the same places in the cache.
        line_h, line_s, line_m = P + LINE, width + LINE, H + LINE
        hs, sums, new = aligned(n * line_h), aligned(n * line_s), aligned(n * line_m)
        out = aligned(n * line_h) if projected else new
        zeros = aligned_zeros(P + COLUMNS) if projected else start
        arrays = xs, sums, hs, new, c, saved, cells
        for i in range(n):
            _copy(h, (first + i) * P, hs, i * line_h, P)
        for step in range(T):
            t = T - 1 - step if reverse else step
            multiply(hs, (n, P, width), W_h, start, (0, line_h, line_s), sums)
            for i in range(n):
                row = first + i
                at, unit = row * T + t, row * H
                if t < ends[row]:
                    indices = at * width, i * line_s, i * line_h, i * line_m, unit, at * K * H, at * H
                    for_vectors(_step, (cell, H, arrays, indices), H)
                    if projected:
                        _copy(new, i * line_m, hidden, at * H, H)
                else:
                    _fill(saved, at * K * H, K * H)
                    _fill(new, i * line_m, H)
                    if has_c:
                        _copy(c, unit, cells, at * H, H)
                    if projected:
                        _fill(hidden, at * H, H)
            if projected:
                multiply(new, (n, H, P), W_p, zeros, (0, line_m, line_h), out)
            for i in range(n):
                row = first + i
                at = row * T + t
                if t < ends[row]:
                    _copy(out, i * line_h, hs, i * line_h, P)
                    _copy(out, i * line_h, y, at * P, P)
                else:
                    _fill(y, at * P, P)
        for i in range(n):
            _copy(hs, i * line_h, h, (first + i) * P, P)

    return forward


@cache
def _backward(cell: str) -> Callable[..., None]:
    gates, K, separate = CELLS[cell].gates, CELLS[cell].saved, CELLS[cell].separate

    @compiled(numba.void(*[READ] * 6, FLAT, FLAT, ENDS, *[FLAT] * 5, SIZES, INTEGER, INTEGER))
    def backward(
        gy: Any,
        y: Any,
        before: Any,
        c: Any,
        saved: Any,
        cells: Any,
        W_h: Any,
        W_p: Any,
        ends: Any,
        gxs: Any,
        ghs: Any,
        gp: Any,
        gh: Any,
        gc: Any,
        sizes: Any,
        first: Any,
        stop: Any,
    ) -> None:
        T, H, P, projected, reverse = sizes
        n, width = stop - first, gates * H
        line_h, line_s, line_m = P + LINE, width + LINE, H + LINE
        g, held = aligned(n * line_h), aligned(n * line_h)
        sums, zeros = aligned(n * line_s), aligned_zeros(H + COLUMNS)
        of_units = aligned(n * line_m) if projected else g
        for i in range(n):
            _copy(gh, (first + i) * P, g, i * line_h, P)
        for step in range(T):
            t = step if reverse else T - 1 - step
            initial = step == T - 1
            for i in range(n):
                at = (first + i) * T + t
                if t < ends[first + i]:
                    for j in range(0, P, LANES):
                        some = first_lanes(P - j)
                        total = load(g, i * line_h + j, some) + load(gy, at * P + j, some)
                        store(g, i * line_h + j, total, some)
                    if projected:
                        _copy(g, i * line_h, gp, at * P, P)
                elif projected:
                    _fill(gp, at * P, P)
            if projected:
                multiply(g, (n, P, H), W_p, zeros, (0, line_h, line_m), of_units)
            for i in range(n):
                row = first + i
                at, unit = row * T + t, row * H
                if t < ends[row]:
                    p = unit if initial else (at + 1 if reverse else at - 1) * H
                    arrays = of_units, gc, saved, before, y, c if initial else cells, cells, gxs, ghs, sums
                    indices = (
                        i * line_m, unit, at * K * H, at * P, at * P, p, at * H, at * width, at * width, i * line_s
                    )  # fmt: skip
                    for_vectors(_step_gradient, (cell, H, arrays, indices), H)
                    if not separate:
                        _fill(g, i * line_h, P)
                else:
                    _copy(g, i * line_h, held, i * line_h, P)
                    _fill(gxs, at * width, width)
                    _fill(sums, i * line_s, width)
                    if separate:
                        _fill(ghs, at * width, width)
            multiply(sums, (n, width, P), W_h, g, (line_h, line_s, line_h), g)
            for i in range(n):
                if t >= ends[first + i]:  # The product adds 0 * W_h, which is NaN for an infinite weight.
                    _copy(held, i * line_h, g, i * line_h, P)
        for i in range(n):
            _copy(g, i * line_h, gh, (first + i) * P, P)

    return backward
