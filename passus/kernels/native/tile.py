"""The inner loop of all convolutions and matrix products, in vector instructions.

A tile of the result stays in registers while its products are summed. Numba alone would not keep it there, so this module
generates LLVM instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from passus.kernels.native import instructions
from passus.kernels.native.compiling import inlined
from passus.kernels.native.pointers import start_of
from passus.kernels.native.vectors import LANES, VECTOR

__all__ = ["Steps", "matrix_steps", "multiply_tile", "rows_in_larger_tiles"]


class Steps(NamedTuple):
    """Distances in memory for `multiply_tile`, in numbers: between rows of D, A and C, and along i, j and k in A and in B."""

    d_row: int
    a_row: int
    c_row: int
    a_i: int
    a_j: int
    a_k: int
    b_i: int
    b_j: int
    b_k: int


@inlined
def matrix_steps(d_row: Any, a_row: Any, c_row: Any, a_k: Any, b_k: Any) -> Any:
    """The steps of a product of matrices, whose sum goes over k alone."""
    return Steps(d_row, a_row, c_row, 0, 0, a_k, 0, 0, b_k)


@inlined
def rows_in_larger_tiles(count: Any, P: Any) -> Any:
    """Number of the ``count`` rows that are in tiles of P, if the others are in tiles of P - 1; P from `rows_of_even_tiles`."""
    return (count - (count + P - 1) // P * (P - 1)) * P


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def multiply_tile(
    typing: Any, P: Any, Q: Any, lanes: Any, D: Any, A: Any, B: Any, counts: Any, steps: Any, C: Any
) -> tuple[Any, Callable[..., Any]]:
    """A tile of P rows and Q vectors: ``C[p, q] = D[p, q] + sum over i, j, k of A[p; i, j, k] * B[i, j, k; q]``.

    ``P`` and ``Q`` are constants. ``lanes``: number of columns of B, C and D; None: Q whole vectors. ``A``, ``B``, ``C`` and
    ``D``: `At`, where the tile begins in flat arrays of float32. ``counts``: number of i, j and k. ``steps``: `Steps`.
    """
    rows, columns = P.literal_value, Q.literal_value
    whole = isinstance(lanes, types.NoneType)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        def vector(base: Any, q: int) -> Any:
            return builder.bitcast(builder.gep(base, [ir.IntType(64)(q * LANES)]), VECTOR.as_pointer())

        def moved(base: Any, index: Any, step: Any) -> Any:
            return builder.gep(base, [builder.mul(index, step)])

        def mask(q: int) -> Any:
            if whole:
                return instructions.all_lanes()
            return instructions.loop_mask(builder, builder.sub(args[2], ir.IntType(64)(q * LANES)))

        D, A, B, C = (start_of(context, builder, signature.args[i], args[i]) for i in (3, 4, 5, 8))
        n = cgutils.unpack_tuple(builder, args[6])
        at = Steps(*cgutils.unpack_tuple(builder, args[7]))
        masks = [mask(q) for q in range(columns)]
        tile = [[cgutils.alloca_once(builder, VECTOR) for _ in range(columns)] for _ in range(rows)]
        positions = [(p, q) for p in range(rows) for q in range(columns)]

        for p, q in positions:
            row = moved(D, ir.IntType(64)(p), at.d_row)
            builder.store(instructions.load(builder, vector(row, q), masks[q]), tile[p][q])
        with cgutils.for_range(builder, n[0]) as i:
            Ai, Bi = moved(A, i.index, at.a_i), moved(B, i.index, at.b_i)
            with cgutils.for_range(builder, n[1]) as j:
                Aj, Bj = moved(Ai, j.index, at.a_j), moved(Bi, j.index, at.b_j)
                with cgutils.for_range(builder, n[2]) as k:
                    Ak, Bk = moved(Aj, k.index, at.a_k), moved(Bj, k.index, at.b_k)
                    w = [instructions.load(builder, vector(Bk, q), masks[q]) for q in range(columns)]
                    for p in range(rows):
                        x = instructions.splat(builder, builder.load(moved(Ak, ir.IntType(64)(p), at.a_row)))
                        for q in range(columns):
                            total = instructions.fma(builder, x, w[q], builder.load(tile[p][q]))
                            builder.store(total, tile[p][q])
        for p, q in positions:
            row = moved(C, ir.IntType(64)(p), at.c_row)
            instructions.store(builder, builder.load(tile[p][q]), vector(row, q), masks[q])
        return context.get_dummy_value()

    index, count = types.intp, lanes if whole else types.intp
    triple, nine = types.UniTuple(index, 3), types.NamedUniTuple(index, 9, Steps)
    return types.void(P, Q, count, D, A, B, triple, nine, C), generate
