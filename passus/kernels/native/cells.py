"""Pieces of kernels for recurrent networks: the product of one step, and the gates of one vector of units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from passus.kernels.gates import CELLS, Maths
from passus.kernels.native import instructions
from passus.kernels.native.compiling import FLAT, INTEGER, compiled, inlined
from passus.kernels.native.expressions import Expression, sigmoid, tanh, where
from passus.kernels.native.tile import matrix_steps, multiply_tile
from passus.kernels.native.vectors import LANES, mask

__all__ = ["COLUMNS", "multiply", "pulled_back", "stepped"]

COLUMNS = 2 * LANES
"""The width of a tile."""

MOST = 6
"""The height of the largest tile; its sums and operands fit into 16 registers."""

MATHS = Maths(sigmoid, tanh, lambda x: where(x < 0, x.like(0.0), x), lambda g, y: where(y > 0, g, 0.0))


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


def _vectors(
    context: Any, builder: ir.IRBuilder, signature: Any, args: Any
) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Functions that load and store vectors: from the array at a position among ``args``, at the index behind it.

    ``block``: so many times H further. H is the second argument, and the mask of lanes the last.
    """
    H, which = args[1], args[-1]

    def place(position: int, block: int) -> Any:
        index = builder.add(args[position + 1], builder.mul(H, ir.IntType(64)(block)))
        return instructions.address(context, builder, signature.args[position], args[position], index)

    def number(position: int, block: int = 0) -> Expression:
        return Expression(builder, instructions.load(builder, place(position, block), which))

    def put(value: Expression, position: int, block: int = 0) -> None:
        instructions.store(builder, value.value, place(position, block), which)

    return number, put


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def stepped(
    typing: Any,
    cell: Any,
    H: Any,
    X: Any,
    x: Any,
    S: Any,
    s: Any,
    B: Any,
    b: Any,
    M: Any,
    m: Any,
    C: Any,
    c: Any,
    K: Any,
    k: Any,
    Z: Any,
    z: Any,
    which: Any,
) -> tuple[Any, Callable[..., Any]]:
    """One vector of units: from ``X[x + i * H]`` and ``S[s + i * H]``, for each gate i, h at ``B[b]`` and c at ``C[c]``, to the new
    h at ``M[m]``, the new c at ``C[c]`` and ``Z[z]``, and what is kept, ``K[k + j * H]``.
    """
    formulas = CELLS[cell.literal_value]

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        number, put = _vectors(context, builder, signature, args)
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
def pulled_back(
    typing: Any,
    cell: Any,
    H: Any,
    G: Any,
    g: Any,
    C: Any,
    c: Any,
    K: Any,
    k: Any,
    B: Any,
    b: Any,
    Y: Any,
    y: Any,
    P: Any,
    p: Any,
    Z: Any,
    z: Any,
    X: Any,
    x: Any,
    R: Any,
    r: Any,
    S: Any,
    s: Any,
    which: Any,
) -> tuple[Any, Callable[..., Any]]:
    """The gradient of one vector of units: from that of h at ``G[g]`` and of c at ``C[c]``, what was kept, ``K[k + j * H]``, h before
    and after, ``B[b]`` and ``Y[y]``, c before and after, ``P[p]`` and ``Z[z]``, to those of the gates, ``X[x + i * H]`` for what
    came from x, ``R[r + i * H]`` and ``S[s + i * H]`` for what came from h, that of c, and, if there is one, that of h beside the
    gates at ``G[g]``.
    """
    formulas = CELLS[cell.literal_value]

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        number, put = _vectors(context, builder, signature, args)
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
