"""All steps of recurrent networks in one kernel, in float32.

Examples are independent, so each thread runs all steps of some. A step is a product of few rows, with the tile of matrix
products and weights that are laid out once, and one pass over the gates in vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types

from passus.backend import Array
from passus.kernels.gates import CELLS
from passus.kernels.native.buffers import LINE, aligned, aligned_zeros
from passus.kernels.native.cells import COLUMNS, RowSteps, Unit, UnitGradient, multiply, unit_gradient, unit_step
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined, shared
from passus.kernels.native.loops import for_vectors
from passus.kernels.native.packing import PIECE as PIECE_OF_PACKING
from passus.kernels.native.packing import pack
from passus.kernels.native.pointers import At
from passus.kernels.native.simd import LANES, first_lanes, load, splat, store
from passus.kernels.recurrent import History, Saved, State, Weights
from passus.kernels.threads import split

__all__ = ["prepare", "recurrence", "recurrence_gradient"]

PIECE = 1 << 21
"""Multiplications that are worth a thread."""

ENDS = types.Array(types.int64, 1, "C", readonly=True)


class Sizes(NamedTuple):
    """The sizes of a recurrence, and how it is computed."""

    T: int
    H: int
    P: int
    projected: int
    reverse: int


class Factors(NamedTuple):
    """Weights in tiles of columns, and ``start``, the row that is added to the product with W_h."""

    W_h: Array
    start: Array
    W_p: Array


class Results(NamedTuple):
    """What a recurrence writes; h and c are the states, from the initial to the final one."""

    y: Array
    h: Array
    c: Array
    saved: Array
    cells: Array
    hidden: Array


class Record(NamedTuple):
    """What the gradient of a recurrence reads."""

    gy: Array
    y: Array
    h_before: Array
    c: Array
    saved: Array
    cells: Array


class Gradients(NamedTuple):
    """What the gradient of a recurrence writes; gh and gc are those of the states, from the final to the initial one."""

    gxs: Array
    ghs: Array
    gp: Array
    gh: Array
    gc: Array


def prepare() -> None:
    """Compile the kernels of all cells."""
    for cell in CELLS:
        _forward(cell)
        _backward(cell)


def recurrence(
    cell: str, xs: Array, state: State, weights: Weights, lengths: Array | None, reverse: bool
) -> tuple[Array, State, Saved]:
    (h, c), (W_h, b_h, W_p) = state, weights
    (N, T, width), P = xs.shape, W_h.shape[0]
    H, saved = width // CELLS[cell].gates, CELLS[cell].saved
    start = aligned_zeros(width + COLUMNS)
    if b_h is not None:
        start[width - H : width] = b_h
    y, last = np.empty((N, T, P), np.float32), h.copy()
    gates = np.empty((N, T, saved * H), np.float32) if saved else None
    cells, last_c = (None, None) if c is None else (np.empty((N, T, H), np.float32), c.copy())
    hidden = None if W_p is None else np.empty((N, T, H), np.float32)
    factors = Factors(_packed(W_h), start, NOTHING if W_p is None else _packed(W_p))
    results = Results(*[_flat(array) for array in (y, last, last_c, gates, cells, hidden)])
    sizes = Sizes(T, H, P, int(W_p is not None), int(reverse))
    arguments = _flat(xs), tuple(factors), _ends(lengths, N, T), tuple(results), tuple(sizes)
    kernel = _forward(cell)
    split(lambda first, stop: kernel(*arguments, first, stop), N, _examples_of_a_thread(T, P, width))
    return y, State(last, last_c), Saved(gates, cells, hidden)


def recurrence_gradient(
    cell: str,
    gy: Array,
    gstate: State,
    history: History,
    weights: Weights,
    lengths: Array | None,
    reverse: bool,
) -> tuple[Array, Array, Array | None, State]:
    (W_h, _, W_p), (N, T, P) = weights, gy.shape
    width, separate = W_h.shape[1], CELLS[cell].separate
    H = width // CELLS[cell].gates
    gxs = np.empty((N, T, width), np.float32)
    ghs = np.empty((N, T, width), np.float32) if separate else gxs
    gp = None if W_p is None else np.empty((N, T, P), np.float32)
    gh, gc = gstate.h.copy(), None if gstate.c is None else gstate.c.copy()
    record = Record(*[_flat(array) for array in (gy, *history)])
    factors = Factors(_packed(W_h.T), NOTHING, NOTHING if W_p is None else _packed(W_p.T))
    gradients = Gradients(*[_flat(array) for array in (gxs, ghs, gp, gh, gc)])
    sizes = Sizes(T, H, P, int(W_p is not None), int(reverse))
    arguments = tuple(record), tuple(factors), _ends(lengths, N, T), tuple(gradients), tuple(sizes)
    kernel = _backward(cell)
    split(lambda first, stop: kernel(*arguments, first, stop), N, _examples_of_a_thread(T, P, width))
    return gxs, ghs, gp, State(gh, gc)


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


def _examples_of_a_thread(T: int, P: int, width: int) -> int:
    """Number of examples that are worth a thread."""
    return PIECE // max(1, T * P * width)


NOTHING = np.zeros(1, np.float32)
"""Stands for an array that a cell does not have; it is neither read nor written."""


@shared
def _copy(source: Any, target: Any, count: Any) -> None:
    for j in range(0, count, LANES):
        lanes = first_lanes(count - j)
        store(target.array, target.index + j, load(source.array, source.index + j, lanes), lanes)


@shared
def _fill(target: Any, count: Any) -> None:
    for j in range(0, count, LANES):
        store(target.array, target.index + j, splat(np.float32(0)), first_lanes(count - j))


@inlined
def _step(arguments: Any, j: Any, lanes: Any) -> None:
    cell, H, unit = arguments
    unit_step(cell, H, unit, j, lanes)


@inlined
def _step_gradient(arguments: Any, j: Any, lanes: Any) -> None:
    cell, H, unit = arguments
    unit_gradient(cell, H, unit, j, lanes)


@shared
def _add(arguments: Any, j: Any, lanes: Any) -> None:
    total, x = arguments
    sums = load(total.array, total.index + j, lanes) + load(x.array, x.index + j, lanes)
    store(total.array, total.index + j, sums, lanes)


@cache
def _forward(cell: str) -> Callable[..., None]:
    gates, K, has_c = CELLS[cell].gates, CELLS[cell].saved, CELLS[cell].has_c
    three, five, six = (types.UniTuple(*sizes) for sizes in ((FLAT, 3), (INTEGER, 5), (FLAT, 6)))

    @compiled(numba.void(READ, three, ENDS, six, five, INTEGER, INTEGER))
    def forward(xs: Any, factors: Any, ends: Any, results: Any, sizes: Any, first: Any, stop: Any) -> None:
        """All steps of the examples from ``first`` to ``stop``."""
        factors, results, (T, H, P, projected, reverse) = Factors(*factors), Results(*results), sizes
        n, width = stop - first, gates * H
        # Rows an even number of lines apart would compete for the same positions in the cache.
        line_h, line_s, line_m = P + LINE, width + LINE, H + LINE
        hs, sums, new = aligned(n * line_h), aligned(n * line_s), aligned(n * line_m)
        out = aligned(n * line_h) if projected else new
        zeros = aligned_zeros(P + COLUMNS) if projected else factors.start
        for i in range(n):
            _copy(At(results.h, (first + i) * P), At(hs, i * line_h), P)
        for step in range(T):
            t = T - 1 - step if reverse else step
            multiply(hs, (n, P, width), factors.W_h, factors.start, RowSteps(0, line_h, line_s), sums)
            for i in range(n):
                row = first + i
                at = row * T + t
                unit = Unit(
                    xs=At(xs, at * width),
                    hs=At(sums, i * line_s),
                    h=At(hs, i * line_h),
                    new_h=At(new, i * line_m),
                    c=At(results.c, row * H),
                    saved=At(results.saved, at * K * H),
                    cells=At(results.cells, at * H),
                )
                if t < ends[row]:
                    for_vectors(_step, (cell, H, unit), H)
                    if projected:
                        _copy(unit.new_h, At(results.hidden, at * H), H)
                else:
                    _fill(unit.saved, K * H)
                    _fill(unit.new_h, H)
                    if has_c:
                        _copy(unit.c, unit.cells, H)
                    if projected:
                        _fill(At(results.hidden, at * H), H)
            if projected:
                multiply(new, (n, H, P), factors.W_p, zeros, RowSteps(0, line_m, line_h), out)
            for i in range(n):
                row = first + i
                y, h = At(results.y, (row * T + t) * P), At(out, i * line_h)
                if t < ends[row]:
                    _copy(h, At(hs, i * line_h), P)
                    _copy(h, y, P)
                else:
                    _fill(y, P)
        for i in range(n):
            _copy(At(hs, i * line_h), At(results.h, (first + i) * P), P)

    return forward


@cache
def _backward(cell: str) -> Callable[..., None]:
    gates, K, separate = CELLS[cell].gates, CELLS[cell].saved, CELLS[cell].separate
    read, three, written, five = (types.UniTuple(*sizes) for sizes in ((READ, 6), (FLAT, 3), (FLAT, 5), (INTEGER, 5)))

    @compiled(numba.void(read, three, ENDS, written, five, INTEGER, INTEGER))
    def backward(record: Any, factors: Any, ends: Any, gradients: Any, sizes: Any, first: Any, stop: Any) -> None:
        """All steps of the examples from ``first`` to ``stop``, the last one first."""
        record, factors, gradients = Record(*record), Factors(*factors), Gradients(*gradients)
        T, H, P, projected, reverse = sizes
        n, width = stop - first, gates * H
        line_h, line_s, line_m = P + LINE, width + LINE, H + LINE
        g, after_end = aligned(n * line_h), aligned(n * line_h)
        sums, zeros = aligned(n * line_s), aligned_zeros(H + COLUMNS)
        of_units = aligned(n * line_m) if projected else g
        for i in range(n):
            _copy(At(gradients.gh, (first + i) * P), At(g, i * line_h), P)
        for step in range(T):
            t = step if reverse else T - 1 - step
            initial = step == T - 1
            for i in range(n):
                at = (first + i) * T + t
                if t < ends[first + i]:
                    for_vectors(_add, (At(g, i * line_h), At(record.gy, at * P)), P)
                    if projected:
                        _copy(At(g, i * line_h), At(gradients.gp, at * P), P)
                elif projected:
                    _fill(At(gradients.gp, at * P), P)
            if projected:
                multiply(g, (n, P, H), factors.W_p, zeros, RowSteps(0, line_h, line_m), of_units)
            for i in range(n):
                row = first + i
                at = row * T + t
                gxs, ghs, factor = At(gradients.gxs, at * width), At(gradients.ghs, at * width), At(sums, i * line_s)
                if t < ends[row]:
                    before = row * H if initial else (at + 1 if reverse else at - 1) * H
                    unit = UnitGradient(
                        gh=At(of_units, i * line_m),
                        gc=At(gradients.gc, row * H),
                        saved=At(record.saved, at * K * H),
                        h_before=At(record.h_before, at * P),
                        h=At(record.y, at * P),
                        c_before=At(record.c if initial else record.cells, before),
                        c=At(record.cells, at * H),
                        gxs=gxs,
                        ghs=ghs,
                        factor=factor,
                    )
                    for_vectors(_step_gradient, (cell, H, unit), H)
                    if not separate:
                        _fill(At(g, i * line_h), P)
                else:
                    _copy(At(g, i * line_h), At(after_end, i * line_h), P)
                    _fill(gxs, width)
                    _fill(factor, width)
                    if separate:
                        _fill(ghs, width)
            multiply(sums, (n, width, P), factors.W_h, g, RowSteps(line_h, line_s, line_h), g)
            for i in range(n):
                if t >= ends[first + i]:  # The product adds 0 * W_h, which is NaN for an infinite weight.
                    _copy(At(after_end, i * line_h), At(g, i * line_h), P)
        for i in range(n):
            _copy(At(g, i * line_h), At(gradients.gh, (first + i) * P), P)

    return backward
