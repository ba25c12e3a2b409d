"""The one inner loop of convolutions and matrix products, in vector instructions.

A tile of the result stays in registers while the sum over all products is taken. Numba alone would not keep it there,
so these few lines are written in LLVM's language, of which Numba's compiler makes instructions of the processor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from passus.kernels.native import instructions
from passus.kernels.native.compiling import inlined
from passus.kernels.native.vectors import LANES, VECTOR

__all__ = ["in_larger_tiles", "multiply_tile"]


@inlined
def in_larger_tiles(count: Any, P: Any) -> Any:
    """How many of ``count`` rows are in tiles of P, if all others are in tiles of P - 1; P from `rows_of_even_tiles`."""
    return (count - (count + P - 1) // P * (P - 1)) * P


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def multiply_tile(
    typing: Any,
    P: Any,
    Q: Any,
    lanes: Any,
    D: Any,
    d: Any,
    A: Any,
    a: Any,
    B: Any,
    b: Any,
    counts: Any,
    steps: Any,
    C: Any,
    c: Any,
) -> tuple[Any, Callable[..., Any]]:
    """A tile of P rows and Q vectors: ``C[p, q] = D[p, q] + sum over i, j, k of A[p; i, j, k] * B[i, j, k; q]``.

    ``P`` and ``Q`` are constants. ``lanes``: how many numbers a row of B, C and D has; None: Q whole vectors. ``A``, ``B``,
    ``C`` and ``D`` are flat arrays of float32, and ``a``, ``b``, ``c``, ``d`` where the tile begins in them. ``counts``: over
    how many i, j and k the sum goes. ``steps``: how far apart in memory the rows of D, A and C lie, then neighbouring i,
    j, k of A, then those of B.
    """
    rows, columns = P.literal_value, Q.literal_value
    whole = isinstance(lanes, types.NoneType)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        def start(position: int) -> Any:
            array = context.make_array(signature.args[position])(context, builder, args[position])
            return builder.gep(array.data, [args[position + 1]])

        def vector(base: Any, q: int) -> Any:
            return builder.bitcast(builder.gep(base, [ir.IntType(64)(q * LANES)]), VECTOR.as_pointer())

        def moved(base: Any, index: Any, step: Any) -> Any:
            return builder.gep(base, [builder.mul(index, step)])

        def mask(q: int) -> Any:
            return (
                instructions.all_lanes()
                if whole
                else instructions.first_lanes(builder, builder.sub(args[2], ir.IntType(64)(q * LANES)))
            )

        D, A, B, C = (start(position) for position in (3, 5, 7, 11))
        n = cgutils.unpack_tuple(builder, args[9])
        dp, ap, cp, *steps = cgutils.unpack_tuple(builder, args[10])
        masks = [mask(q) for q in range(columns)]
        tile = [[cgutils.alloca_once(builder, VECTOR) for _ in range(columns)] for _ in range(rows)]
        places = [(p, q) for p in range(rows) for q in range(columns)]

        for p, q in places:
            row = moved(D, ir.IntType(64)(p), dp)
            builder.store(instructions.load(builder, vector(row, q), masks[q]), tile[p][q])
        with cgutils.for_range(builder, n[0]) as i:
            Ai, Bi = moved(A, i.index, steps[0]), moved(B, i.index, steps[3])
            with cgutils.for_range(builder, n[1]) as j:
                Aj, Bj = moved(Ai, j.index, steps[1]), moved(Bi, j.index, steps[4])
                with cgutils.for_range(builder, n[2]) as k:
                    Ak, Bk = moved(Aj, k.index, steps[2]), moved(Bj, k.index, steps[5])
                    w = [instructions.load(builder, vector(Bk, q), masks[q]) for q in range(columns)]
                    for p in range(rows):
                        x = instructions.splat(builder, builder.load(moved(Ak, ir.IntType(64)(p), ap)))
                        for q in range(columns):
                            total = instructions.fma(builder, x, w[q], builder.load(tile[p][q]))
                            builder.store(total, tile[p][q])
        for p, q in places:
            row = moved(C, ir.IntType(64)(p), cp)
            instructions.store(builder, builder.load(tile[p][q]), vector(row, q), masks[q])
        return context.get_dummy_value()

    place = types.intp
    count = lanes if whole else types.intp
    triple, nine = types.UniTuple(types.intp, 3), types.UniTuple(types.intp, 9)
    return types.void(P, Q, count, D, place, A, place, B, place, triple, nine, C, place), generate
