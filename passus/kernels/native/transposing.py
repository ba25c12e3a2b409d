"""Transposition of blocks in registers: rows in memory become lanes of vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from passus.kernels.native import instructions
from passus.kernels.native.vectors import LANES, VECTOR

__all__ = ["copy_transposed"]


@intrinsic  # type: ignore[untyped-decorator]
def copy_transposed(
    typing: Any, A: Any, a: Any, step: Any, rows: Any, columns: Any, B: Any, b: Any, apart: Any
) -> tuple[Any, Callable[..., Any]]:
    """``B[b + j * apart + i] = A[i, j]`` for ``columns`` j, as whole vectors: 0 where i is not among the ``rows``.

    Rows of ``A``, an array of any strides, are contiguous and begin ``a + i * step`` bytes after its first number. There is at least
    one row. At most `LANES` rows and columns are copied.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        data = builder.bitcast(
            context.make_array(signature.args[0])(context, builder, args[0]).data, ir.IntType(8).as_pointer()
        )
        target = context.make_array(signature.args[5])(context, builder, args[5]).data
        a, step, rows, columns, b, apart = (args[position] for position in (1, 2, 3, 4, 6, 7))
        number, zero = ir.IntType(64), ir.Constant(VECTOR, None)

        def row(i: int, which: Any) -> Any:
            exists = builder.icmp_signed("<", number(i), rows)
            # Missing rows are read from the first one, so that no other memory is touched.
            place = builder.add(a, builder.select(exists, builder.mul(number(i), step), number(0)))
            loaded = instructions.load(builder, builder.bitcast(builder.gep(data, [place]), VECTOR.as_pointer()), which)
            return builder.select(exists, loaded, zero)

        def put(j: int, value: Any) -> None:
            place = builder.gep(target, [builder.add(b, builder.mul(number(j), apart))])
            instructions.store(builder, value, builder.bitcast(place, VECTOR.as_pointer()), instructions.all_lanes())

        with builder.if_else(builder.icmp_signed(">=", columns, number(LANES))) as (whole, part):
            with whole:
                for j, value in enumerate(
                    _transposed(builder, [row(i, instructions.all_lanes()) for i in range(LANES)])
                ):
                    put(j, value)
            with part:
                which = instructions.first_lanes(builder, columns)
                for j, value in enumerate(_transposed(builder, [row(i, which) for i in range(LANES)])):
                    with cgutils.if_likely(builder, builder.icmp_signed("<", number(j), columns)):
                        put(j, value)
        return context.get_dummy_value()

    place = types.intp
    return types.void(A, place, place, place, place, B, place, place), generate


def _transposed(builder: ir.IRBuilder, rows: list[Any]) -> list[Any]:
    """`LANES` vectors, transposed: bits of the row index and the lane index are swapped one after the other."""
    bit = 1
    while bit < LANES:
        indices = ir.VectorType(ir.IntType(32), LANES)
        low = ir.Constant(indices, [i if not i & bit else LANES + (i ^ bit) for i in range(LANES)])
        high = ir.Constant(indices, [i | bit if not i & bit else LANES + i for i in range(LANES)])
        for r in [r for r in range(LANES) if not r & bit]:
            pair = rows[r], rows[r | bit]
            rows[r], rows[r | bit] = builder.shuffle_vector(*pair, low), builder.shuffle_vector(*pair, high)
        bit *= 2
    return rows
