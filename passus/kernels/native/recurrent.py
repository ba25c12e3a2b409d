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
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from passus.backend import Array
from passus.kernels.gates import CELLS, Maths
from passus.kernels.native.buffers import aligned, aligned_zeros
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.expressions import Expression, sigmoid, tanh, where
from passus.kernels.native.products import pack
from passus.kernels.native.simd import (
    LANES,
    add,
    address,
    all_lanes,
    first_lanes,
    load,
    load_vector,
    mask,
    spread,
    store,
    store_vector,
)
from passus.kernels.native.tile import multiply_tile
from passus.kernels.recurrent import Kept
from passus.kernels.threads import split

__all__ = ["prepare", "recurrence", "recurrence_gradient"]

PIECE = 1 << 21
"""How many multiplications are worth a thread of their own."""

COLUMNS = 2 * LANES
"""The width of a tile."""

MOST = 6
"""The height of the largest tile; its sums and operands fit into 16 registers."""

LINE = 16
"""Rows of a buffer lie an odd number of lines of the cache apart where their width is a power of two."""

ENDS = types.Array(types.int64, 1, "C", readonly=True)

MATHS = Maths(sigmoid, tanh, lambda x: where(x < 0, x.like(0.0), x), lambda g, y: where(y > 0, g, 0.0))


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
) -> tuple[Array, Array, Array | None, Kept]:
    (N, T, size), P = xs.shape, W_h.shape[0]
    H, kept = size // CELLS[cell].gates, CELLS[cell].kept
    start = aligned_zeros(size + COLUMNS)
    if b_h is not None:
        start[size - H : size] = b_h
    y, last = np.empty((N, T, P), np.float32), h.copy()
    gates = np.empty((N, T, kept * H), np.float32) if kept else None
    cells, last_c = (None, None) if c is None else (np.empty((N, T, H), np.float32), c.copy())
    hidden = None if W_p is None else np.empty((N, T, H), np.float32)
    inputs = _flat(xs), _packed(W_h), start, _flat(None if W_p is None else _packed(W_p)), _ends(lengths, N, T)
    outputs = [_flat(array) for array in (y, last, last_c, gates, cells, hidden)]
    kernel, sizes = _forward(cell), (T, H, P, int(W_p is not None), int(reverse))
    split(lambda first, stop: kernel(*inputs, *outputs, sizes, first, stop), N, _share(T, P, size))
    return y, last, last_c, Kept(gates, cells, hidden)


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
    ghs = np.empty((N, T, size), np.float32) if cell == "gru" else gxs
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
    pack(W, packed, COLUMNS, 0, tiles)
    return packed


def _flat(array: Array | None) -> Array:
    return NOTHING if array is None else np.ascontiguousarray(array).reshape(-1)


def _ends(lengths: Array | None, N: int, T: int) -> Array:
    return np.full(N, T) if lengths is None else np.ascontiguousarray(lengths)


def _share(T: int, P: int, size: int) -> int:
    """How many examples are worth a thread of their own."""
    return PIECE // max(1, T * P * size)


NOTHING = np.zeros(1, np.float32)
"""Stands for an array that a cell does not have; it is neither read nor written."""


# The product of a step.


@inlined
def _tile(P: Any, lanes: Any, D: Any, d: Any, A: Any, a: Any, B: Any, b: Any, depth: Any, lines: Any, C: Any, c: Any) -> None:
    moves = (lines[0], lines[1], lines[2], 0, 0, 1, 0, 0, COLUMNS)
    multiply_tile(P, 2, lanes, D, d, A, a, B, b, (1, 1, depth), moves, C, c)


@compiled(numba.void(FLAT, types.UniTuple(INTEGER, 3), FLAT, FLAT, types.UniTuple(INTEGER, 3), FLAT))
def _multiply(A: Any, shape: Any, packed: Any, D: Any, lines: Any, C: Any) -> None:
    """``C = D + A @ B``: (rows, depth, columns) is the shape, and ``lines`` are how far apart the rows of D, A and C lie."""
    rows, depth, width = shape
    for tile in range((width + COLUMNS - 1) // COLUMNS):
        first, b = tile * COLUMNS, tile * depth * COLUMNS
        lanes = width - first
        row, left = 0, (rows + MOST - 1) // MOST
        while row < rows:
            count = (rows - row + left - 1) // left
            left -= 1
            d, a, c = row * lines[0] + first, row * lines[1], row * lines[2] + first
            row += count
            if lanes < COLUMNS:
                for i in range(count):
                    _tile(1, lanes, D, d + i * lines[0], A, a + i * lines[1], packed, b, depth, lines, C, c + i * lines[2])
            elif count == 6:
                _tile(6, None, D, d, A, a, packed, b, depth, lines, C, c)
            elif count == 5:
                _tile(5, None, D, d, A, a, packed, b, depth, lines, C, c)
            elif count == 4:
                _tile(4, None, D, d, A, a, packed, b, depth, lines, C, c)
            elif count == 3:
                _tile(3, None, D, d, A, a, packed, b, depth, lines, C, c)
            elif count == 2:
                _tile(2, None, D, d, A, a, packed, b, depth, lines, C, c)
            else:
                _tile(1, None, D, d, A, a, packed, b, depth, lines, C, c)


# The gates of a step.


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _stepped(
    typing: Any, cell: Any, H: Any, X: Any, x: Any, S: Any, s: Any, B: Any, b: Any, M: Any, m: Any, C: Any, c: Any,
    K: Any, k: Any, Z: Any, z: Any, which: Any
) -> tuple[Any, Callable[..., Any]]:
    """One vector of units: from ``X[x + i * H]`` and ``S[s + i * H]``, for each gate i, h at ``B[b]`` and c at ``C[c]``, to the new
    h at ``M[m]``, the new c at ``C[c]`` and ``Z[z]``, and what is kept, ``K[k + j * H]``."""
    formulas = CELLS[cell.literal_value]

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        H, which = args[1], args[16]

        def place(position: int, block: int = 0) -> Any:
            index = builder.add(args[position + 1], builder.mul(H, ir.IntType(64)(block)))
            return address(context, builder, signature.args[position], args[position], index)

        def number(position: int, block: int = 0) -> Expression:
            return Expression(builder, load_vector(builder, place(position, block), which))

        def put(value: Expression, position: int, block: int = 0) -> None:
            store_vector(builder, value.value, place(position, block), which)

        xs, hs = ([number(position, i) for i in range(formulas.gates)] for position in (2, 4))
        h, c, kept = formulas.step(MATHS, xs, hs, number(6), number(10) if formulas.has_c else None)
        put(h, 8)
        if formulas.has_c:
            put(c, 10)
            put(c, 14)
        for i, value in enumerate(kept):
            put(value, 12, i)
        return context.get_dummy_value()

    i = types.intp
    return types.void(cell, i, X, i, S, i, B, i, M, i, C, i, K, i, Z, i, mask), generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _pulled(
    typing: Any, cell: Any, H: Any, G: Any, g: Any, C: Any, c: Any, K: Any, k: Any, B: Any, b: Any, Y: Any, y: Any,
    P: Any, p: Any, Z: Any, z: Any, X: Any, x: Any, R: Any, r: Any, S: Any, s: Any, which: Any
) -> tuple[Any, Callable[..., Any]]:
    """The gradient of one vector of units: from that of h at ``G[g]`` and of c at ``C[c]``, what was kept, ``K[k + j * H]``, h before
    and after, ``B[b]`` and ``Y[y]``, c before and after, ``P[p]`` and ``Z[z]``, to those of the gates, ``X[x + i * H]`` for what
    came from x, ``R[r + i * H]`` and ``S[s + i * H]`` for what came from h, that of c, and, if there is one, that of h beside the
    gates at ``G[g]``."""
    formulas = CELLS[cell.literal_value]

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        H, which = args[1], args[22]

        def place(position: int, block: int = 0) -> Any:
            index = builder.add(args[position + 1], builder.mul(H, ir.IntType(64)(block)))
            return address(context, builder, signature.args[position], args[position], index)

        def number(position: int, block: int = 0) -> Expression:
            return Expression(builder, load_vector(builder, place(position, block), which))

        def put(value: Expression, position: int, block: int = 0) -> None:
            store_vector(builder, value.value, place(position, block), which)

        has_c = formulas.has_c
        kept = [number(6, i) for i in range(formulas.kept)]
        of_c = [number(position) if has_c else None for position in (4, 12, 14)]
        after = number(10) if not formulas.kept else None
        of_x, of_h, direct, gc = formulas.gradient(
            MATHS, number(2), of_c[0], kept, None if has_c else number(8), after, *of_c[1:]
        )
        for i, (gx, gh) in enumerate(zip(of_x, of_h)):
            put(gx, 16, i)
            put(gh, 20, i)
            if of_h is not of_x:
                put(gh, 18, i)
        if direct is not None:
            put(direct, 2)
        if has_c:
            put(gc, 4)
        return context.get_dummy_value()

    i = types.intp
    return types.void(cell, i, G, i, C, i, K, i, B, i, Y, i, P, i, Z, i, X, i, R, i, S, i, mask), generate


@inlined
def _copy(A: Any, a: Any, B: Any, b: Any, count: Any) -> None:
    for j in range(0, count, LANES):
        some = first_lanes(count - j)
        store(B, b + j, load(A, a + j, some), some)


@inlined
def _fill(B: Any, b: Any, count: Any) -> None:
    for j in range(0, count, LANES):
        store(B, b + j, spread(np.float32(0)), first_lanes(count - j))


SIZES = types.UniTuple(INTEGER, 5)


@cache
def _forward(cell: str) -> Callable[..., None]:
    gates, K, has_c = CELLS[cell].gates, CELLS[cell].kept, CELLS[cell].has_c

    @compiled(numba.void(READ, FLAT, FLAT, FLAT, ENDS, *[FLAT] * 6, SIZES, INTEGER, INTEGER))
    def forward(
        xs: Any, W_h: Any, start: Any, W_p: Any, ends: Any, y: Any, h: Any, c: Any, kept: Any, cells: Any, hidden: Any,
        sizes: Any, first: Any, stop: Any
    ) -> None:
        T, H, P, projected, reverse = sizes
        n, width = stop - first, gates * H
        line_h, line_s, line_m = P + LINE, width + LINE, H + LINE
        hs, sums, new = aligned(n * line_h), aligned(n * line_s), aligned(n * line_m)
        out = aligned(n * line_h) if projected else new
        zeros = aligned_zeros(P + COLUMNS) if projected else start
        for i in range(n):
            _copy(h, (first + i) * P, hs, i * line_h, P)
        for step in range(T):
            t = T - 1 - step if reverse else step
            _multiply(hs, (n, P, width), W_h, start, (0, line_h, line_s), sums)
            for i in range(n):
                row = first + i
                at, unit = row * T + t, row * H
                if t < ends[row]:
                    for j in range(0, H - LANES + 1, LANES):
                        _stepped(
                            cell, H, xs, at * width + j, sums, i * line_s + j, hs, i * line_h + j, new, i * line_m + j,
                            c, unit + j, kept, at * K * H + j, cells, at * H + j, all_lanes()
                        )
                    if H % LANES:
                        j = H - H % LANES
                        _stepped(
                            cell, H, xs, at * width + j, sums, i * line_s + j, hs, i * line_h + j, new, i * line_m + j,
                            c, unit + j, kept, at * K * H + j, cells, at * H + j, first_lanes(H - j)
                        )
                    if projected:
                        _copy(new, i * line_m, hidden, at * H, H)
                else:
                    _fill(kept, at * K * H, K * H)
                    _fill(new, i * line_m, H)
                    if has_c:
                        _copy(c, unit, cells, at * H, H)
                    if projected:
                        _fill(hidden, at * H, H)
            if projected:
                _multiply(new, (n, H, P), W_p, zeros, (0, line_m, line_h), out)
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
    gates, K, has_c = CELLS[cell].gates, CELLS[cell].kept, CELLS[cell].has_c
    direct, apart = cell == "gru", cell == "gru"

    @compiled(numba.void(*[READ] * 6, FLAT, FLAT, ENDS, *[FLAT] * 5, SIZES, INTEGER, INTEGER))
    def backward(
        gy: Any, y: Any, before: Any, c: Any, kept: Any, cells: Any, W_h: Any, W_p: Any, ends: Any, gxs: Any, ghs: Any,
        gp: Any, gh: Any, gc: Any, sizes: Any, first: Any, stop: Any
    ) -> None:
        T, H, P, projected, reverse = sizes
        n, width = stop - first, gates * H
        line_h, line_s, line_m = P + LINE, width + LINE, H + LINE
        g, sums, zeros = aligned(n * line_h), aligned(n * line_s), aligned_zeros(H + COLUMNS)
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
                        total = add(load(g, i * line_h + j, some), load(gy, at * P + j, some))
                        store(g, i * line_h + j, total, some)
                    if projected:
                        _copy(g, i * line_h, gp, at * P, P)
                elif projected:
                    _fill(gp, at * P, P)
            if projected:
                _multiply(g, (n, P, H), W_p, zeros, (0, line_h, line_m), of_units)
            for i in range(n):
                row = first + i
                at, unit = row * T + t, row * H
                if t < ends[row]:
                    source = c if initial else cells
                    p = unit if initial else (at + 1 if reverse else at - 1) * H
                    for j in range(0, H - LANES + 1, LANES):
                        _pulled(
                            cell, H, of_units, i * line_m + j, gc, unit + j, kept, at * K * H + j, before, at * P + j,
                            y, at * P + j, source, p + j, cells, at * H + j, gxs, at * width + j, ghs, at * width + j,
                            sums, i * line_s + j, all_lanes()
                        )
                    if H % LANES:
                        j = H - H % LANES
                        _pulled(
                            cell, H, of_units, i * line_m + j, gc, unit + j, kept, at * K * H + j, before, at * P + j,
                            y, at * P + j, source, p + j, cells, at * H + j, gxs, at * width + j, ghs, at * width + j,
                            sums, i * line_s + j, first_lanes(H - j)
                        )
                    if not direct:
                        _fill(g, i * line_h, P)
                else:
                    _fill(gxs, at * width, width)
                    _fill(sums, i * line_s, width)
                    if apart:
                        _fill(ghs, at * width, width)
            _multiply(sums, (n, width, P), W_h, g, (line_h, line_s, line_h), g)
        for i in range(n):
            _copy(g, i * line_h, gh, (first + i) * P, P)

    return backward
