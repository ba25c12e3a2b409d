"""Pieces of kernels for recurrent networks: the product of one step, and the gates of one vector of units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from passus.kernels.gates import CELLS
from passus.kernels.native import elementary, instructions
from passus.kernels.native.compiling import FLAT, INTEGER, compiled, inlined
from passus.kernels.native.formulas import OPTIONS, readable
from passus.kernels.native.simd import load, store
from passus.kernels.native.tile import matrix_steps, multiply_tile
from passus.kernels.native.vectors import LANES, mask, vector

__all__ = ["COLUMNS", "multiply", "unit_gradient", "unit_step"]

COLUMNS = 2 * LANES
"""The width of a tile."""

MOST = 6
"""The height of the largest tile; its sums and operands fit into 16 registers."""

for formulas in CELLS.values():
    readable(formulas.step)
    readable(formulas.gradient)


@inlined
def _tile(
    P: Any, lanes: Any, D: Any, d: Any, A: Any, a: Any, B: Any, b: Any, depth: Any, lines: Any, C: Any, c: Any
) -> None:
    steps = matrix_steps(lines[0], lines[1], lines[2], 1, COLUMNS)
    multiply_tile(P, 2, lanes, D, d, A, a, B, b, (1, 1, depth), steps, C, c)


@compiled(numba.void(FLAT, types.UniTuple(INTEGER, 3), FLAT, FLAT, types.UniTuple(INTEGER, 3), FLAT))
def multiply(A: Any, shape: Any, packed: Any, D: Any, lines: Any, C: Any) -> None:
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
                    _tile(
                        1, lanes, D, d + i * lines[0], A, a + i * lines[1], packed, b, depth, lines, C, c + i * lines[2]
                    )
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


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _load_blocks(
    typing: Any, array: Any, index: Any, step: Any, count: Any, lanes: Any
) -> tuple[Any, Callable[..., Any]]:
    """``count`` vectors, a constant number of them, that begin ``step`` numbers apart."""
    number = count.literal_value

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        places = _places(context, builder, signature.args[0], args, number)
        vectors = [instructions.load(builder, place, args[4]) for place in places]
        return context.make_tuple(builder, signature.return_type, vectors)

    return types.UniTuple(vector, number)(array, types.intp, types.intp, count, mask), generate


@intrinsic  # type: ignore[untyped-decorator]
def _store_blocks(
    typing: Any, array: Any, index: Any, step: Any, vectors: Any, lanes: Any
) -> tuple[Any, Callable[..., Any]]:
    """Write a tuple of vectors to places that begin ``step`` numbers apart."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        places = _places(context, builder, signature.args[0], args, len(vectors))
        for place, value in zip(places, cgutils.unpack_tuple(builder, args[3])):
            instructions.store(builder, value, place, args[4])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vectors, mask), generate


def _places(context: Any, builder: ir.IRBuilder, array: Any, args: Any, count: int) -> list[Any]:
    offsets = [builder.add(args[1], builder.mul(args[2], ir.IntType(64)(i))) for i in range(count)]
    return [instructions.address(context, builder, array, args[0], offset) for offset in offsets]


def unit_step(
    cell: str,
    H: Any, X: Any, x: Any, S: Any, s: Any, B: Any, b: Any, M: Any, m: Any, C: Any, c: Any, K: Any, k: Any, Z: Any, z: Any,
    lanes: Any,
) -> None:  # fmt: skip
    """One vector of units: from ``X[x + i * H]`` and ``S[s + i * H]``, for each gate i, h at ``B[b]`` and c at ``C[c]``, to the new
    h at ``M[m]``, the new c at ``C[c]`` and ``Z[z]``, and what the gradient needs, ``K[k + j * H]``.
    """
    raise NotImplementedError


@overload(unit_step, jit_options=OPTIONS, strict=False, prefer_literal=True)  # type: ignore[untyped-decorator]
def _unit_step(cell: Any, H: Any, *arrays: Any) -> Any:
    if not isinstance(cell, types.StringLiteral):
        return None
    formulas = CELLS[cell.literal_value]
    gates, has_c, step = formulas.gates, formulas.has_c, formulas.step

    def compute(
        cell: Any,
        H: Any, X: Any, x: Any, S: Any, s: Any, B: Any, b: Any, M: Any, m: Any, C: Any, c: Any, K: Any, k: Any, Z: Any, z: Any,
        lanes: Any,
    ) -> None:  # fmt: skip
        xs, hs = _load_blocks(X, x, H, gates, lanes), _load_blocks(S, s, H, gates, lanes)
        h, new_c, saved = step(elementary, xs, hs, load(B, b, lanes), load(C, c, lanes) if has_c else None)
        store(M, m, h, lanes)
        if has_c:
            store(C, c, new_c, lanes)
            store(Z, z, new_c, lanes)
        _store_blocks(K, k, H, saved, lanes)

    return compute


def unit_gradient(
    cell: str,
    H: Any, G: Any, g: Any, C: Any, c: Any, K: Any, k: Any, B: Any, b: Any, Y: Any, y: Any, P: Any, p: Any, Z: Any, z: Any,
    X: Any, x: Any, R: Any, r: Any, S: Any, s: Any,
    lanes: Any,
) -> None:  # fmt: skip
    """The gradient of one vector of units: from that of h at ``G[g]`` and of c at ``C[c]``, what was saved, ``K[k + j * H]``, h before
    and after, ``B[b]`` and ``Y[y]``, c before and after, ``P[p]`` and ``Z[z]``, to those of the gates, ``X[x + i * H]`` for what
    came from x, ``R[r + i * H]`` and ``S[s + i * H]`` for what came from h, that of c, and, if there is one, that of h beside the
    gates at ``G[g]``.
    """
    raise NotImplementedError


@overload(unit_gradient, jit_options=OPTIONS, strict=False, prefer_literal=True)  # type: ignore[untyped-decorator]
def _unit_gradient(cell: Any, H: Any, *arrays: Any) -> Any:
    if not isinstance(cell, types.StringLiteral):
        return None
    formulas = CELLS[cell.literal_value]
    count, has_c, separate, gradient = formulas.saved, formulas.has_c, formulas.separate, formulas.gradient
    has_kept = count > 0

    def compute(
        cell: Any,
        H: Any, G: Any, g: Any, C: Any, c: Any, K: Any, k: Any, B: Any, b: Any, Y: Any, y: Any, P: Any, p: Any, Z: Any, z: Any,
        X: Any, x: Any, R: Any, r: Any, S: Any, s: Any,
        lanes: Any,
    ) -> None:  # fmt: skip
        of_x, of_h, direct, gc = gradient(
            elementary,
            load(G, g, lanes),
            load(C, c, lanes) if has_c else None,
            _load_blocks(K, k, H, count, lanes),
            None if has_c else load(B, b, lanes),
            None if has_kept else load(Y, y, lanes),
            load(P, p, lanes) if has_c else None,
            load(Z, z, lanes) if has_c else None,
        )
        _store_blocks(X, x, H, of_x, lanes)
        _store_blocks(S, s, H, of_h, lanes)
        if separate:
            _store_blocks(R, r, H, of_h, lanes)
            store(G, g, direct, lanes)
        if has_c:
            store(C, c, gc, lanes)

    return compute
