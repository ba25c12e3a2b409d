"""The inner loops of convolutions of each channel by itself, in vector instructions.

A window slides along a row of pixels, each of them a vector of channels. What it sees of a row is loaded once and used for
all results in which it takes part; these stay in registers, which Numba alone would not do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from passus.kernels.native import instructions
from passus.kernels.native.vectors import VECTOR

__all__ = ["slide_back", "slide_sum", "slide_tile"]

UNROLLED = 4
"""How many pixels are met in one turn of the loop of `slide_sum`."""


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def slide_tile(
    typing: Any,
    P: Any,
    taps: Any,
    run: Any,
    across: Any,
    lanes: Any,
    D: Any,
    d: Any,
    A: Any,
    a: Any,
    B: Any,
    b: Any,
    count: Any,
    steps: Any,
    C: Any,
    c: Any,
) -> tuple[Any, Callable[..., Any]]:
    """P results: ``C[p] = D + sum over i, j of A[i, p * run + j * across] * B[i, j]``, with ``count`` i and ``taps`` j.

    ``P``, ``taps``, ``run`` and ``across`` are constants; ``A``, ``B``, ``C`` and ``D`` flat arrays of float32, and ``a``, ``b``,
    ``c``, ``d`` where the first vectors lie in them. ``lanes``: which lanes of the vectors take part. ``steps``: how far apart
    in memory the rows of A are, neighbours in a row of A or B, the rows of B, and the results.
    """
    p_, taps_, run_, across_ = (constant.literal_value for constant in (P, taps, run, across))
    place, four = types.intp, types.UniTuple(types.intp, 4)
    arguments = (P, taps, run, across, lanes, D, place, A, place, B, place, place, four, C, place)
    return types.void(*arguments), _tile(p_, taps_, list(_meetings(p_, taps_, run_, across_)))


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def slide_back(
    typing: Any,
    P: Any,
    taps: Any,
    run: Any,
    across: Any,
    shift: Any,
    lanes: Any,
    D: Any,
    d: Any,
    A: Any,
    a: Any,
    B: Any,
    b: Any,
    count: Any,
    steps: Any,
    C: Any,
    c: Any,
) -> tuple[Any, Callable[..., Any]]:
    """P results: ``C[p] = D + sum over i, j of A[i, (p + shift - j * across) / run] * B[i, j]``, with ``count`` i, and those of
    ``taps`` j that give whole numbers; otherwise as `slide_tile`, whose gradient this is.
    """
    p_, taps_, run_, across_, shift_ = (constant.literal_value for constant in (P, taps, run, across, shift))
    place, four = types.intp, types.UniTuple(types.intp, 4)
    arguments = (P, taps, run, across, shift, lanes, D, place, A, place, B, place, place, four, C, place)
    return types.void(*arguments), _tile(p_, taps_, list(_meetings_back(p_, taps_, run_, across_, shift_)))


def _tile(P: int, taps: int, meetings: list[tuple[int, list[tuple[int, int]]]]) -> Callable[..., Any]:
    """P sums in registers, over the pixels of each row and what they meet."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        first = len(args) - 11
        lanes, count, steps = args[first], args[-4], args[-3]
        vector, moved = _vectors(builder, lanes), _moving(builder)
        D, A, B, C = (_start(context, builder, signature, args, first + position) for position in (1, 3, 5, 9))
        down, next_, below, apart = cgutils.unpack_tuple(builder, steps)
        sums = [cgutils.alloca_once_value(builder, vector(D)) for _ in range(P)]
        with cgutils.for_range(builder, count) as i:
            Ai, Bi = moved(A, i.index, down), moved(B, i.index, below)
            weights = [vector(moved(Bi, ir.IntType(64)(j), next_)) for j in range(taps)]
            for column, met in meetings:
                x = vector(moved(Ai, ir.IntType(64)(column), next_))
                for p, j in met:
                    builder.store(instructions.fma(builder, x, weights[j], builder.load(sums[p])), sums[p])
        for p, total in enumerate(sums):
            place = builder.bitcast(moved(C, ir.IntType(64)(p), apart), VECTOR.as_pointer())
            instructions.store(builder, builder.load(total), place, lanes)
        return context.get_dummy_value()

    return generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def slide_sum(
    typing: Any,
    taps: Any,
    run: Any,
    across: Any,
    lanes: Any,
    A: Any,
    a: Any,
    B: Any,
    b: Any,
    counts: Any,
    steps: Any,
    C: Any,
    c: Any,
) -> tuple[Any, Callable[..., Any]]:
    """``C[j] += sum over r, q of A[r, q * run + j * across] * B[r, q]`` for ``taps`` j.

    ``taps``, ``run`` and ``across`` are constants; ``A``, ``B`` and ``C`` flat arrays of float32, and ``a``, ``b``, ``c`` where
    the first vectors lie in them. ``lanes``: which lanes take part. ``counts``: over how many r and q the sum goes. ``steps``:
    how far apart in memory the rows of A and of B are, and neighbours in any row.
    """
    taps_, run_, across_ = (constant.literal_value for constant in (taps, run, across))

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        vector, moved = _vectors(builder, args[3]), _moving(builder)
        A, B, C = (_start(context, builder, signature, args, position) for position in (4, 6, 10))
        rows, columns = cgutils.unpack_tuple(builder, args[8])
        down, below, next_ = cgutils.unpack_tuple(builder, args[9])
        zero = ir.Constant(VECTOR, None)
        # Two sums for each result, so that neighbouring pixels do not wait for each other.
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(2)] for _ in range(taps_)]

        def meet(Aq: Any, Bq: Any, pixels: int) -> None:
            gradients = [vector(moved(Bq, ir.IntType(64)(p), next_)) for p in range(pixels)]
            for column, met in _meetings(pixels, taps_, run_, across_):
                x = vector(moved(Aq, ir.IntType(64)(column), next_))
                for p, j in met:
                    total = sums[j][p % 2]
                    builder.store(instructions.fma(builder, x, gradients[p], builder.load(total)), total)

        turns = builder.udiv(columns, ir.IntType(64)(UNROLLED))
        done = builder.mul(turns, ir.IntType(64)(UNROLLED))
        with cgutils.for_range(builder, rows) as r:
            Ar, Br = moved(A, r.index, down), moved(B, r.index, below)
            for start, count, pixels in ((ir.IntType(64)(0), turns, UNROLLED), (done, builder.sub(columns, done), 1)):
                with cgutils.for_range(builder, count) as turn:
                    q = builder.add(start, builder.mul(turn.index, ir.IntType(64)(pixels)))
                    Aq = moved(Ar, builder.mul(q, ir.IntType(64)(run_)), next_)
                    meet(Aq, moved(Br, q, next_), pixels)
        for j, (even, odd) in enumerate(sums):
            place = builder.bitcast(moved(C, ir.IntType(64)(j), next_), VECTOR.as_pointer())
            total = builder.fadd(builder.load(even), builder.load(odd))
            instructions.store(builder, builder.fadd(instructions.load(builder, place, args[3]), total), place, args[3])
        return context.get_dummy_value()

    place, two, three = types.intp, types.UniTuple(types.intp, 2), types.UniTuple(types.intp, 3)
    return types.void(taps, run, across, lanes, A, place, B, place, two, three, C, place), generate


def _meetings(P: int, taps: int, run: int, across: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Each pixel that P windows see, and of which of them (p) it is at which place (j)."""
    seen = {p * run + j * across for p in range(P) for j in range(taps)}
    for column in sorted(seen):
        yield column, [(p, j) for p in range(P) for j in range(taps) if p * run + j * across == column]


def _meetings_back(P: int, taps: int, run: int, across: int, shift: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Each pixel that P pixels of the image were seen from, and by which of them (p) it is met at which place (j)."""
    places = [(p, j, *divmod(p + shift - j * across, run)) for p in range(P) for j in range(taps)]
    for column in sorted({column for _, _, column, rest in places if not rest}):
        yield column, [(p, j) for p, j, met, rest in places if met == column and not rest]


def _start(context: Any, builder: ir.IRBuilder, signature: Any, args: Any, position: int) -> Any:
    """The address of the number in the array at this position of the arguments to which the next argument points."""
    array = context.make_array(signature.args[position])(context, builder, args[position])
    return builder.gep(array.data, [args[position + 1]])


def _vectors(builder: ir.IRBuilder, lanes: Any) -> Callable[[Any], Any]:
    return lambda place: instructions.load(builder, builder.bitcast(place, VECTOR.as_pointer()), lanes)


def _moving(builder: ir.IRBuilder) -> Callable[[Any, Any, Any], Any]:
    return lambda place, index, step: builder.gep(place, [builder.mul(index, step)])
