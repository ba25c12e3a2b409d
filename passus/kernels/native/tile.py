"""The inner loop of all convolutions and matrix products, in vector instructions.

A tile of the result stays in registers while its products are summed. Numba alone would not keep it there, so this module
generates LLVM instructions. Each size of a tile is one compiled function, which computes a column of tiles; kernels are given
its address, so they are compiled once for all sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from passus.kernels.native import instructions
from passus.kernels.native.compiling import INTEGER, Kernel, compiled, inlined
from passus.kernels.native.pointers import start_of
from passus.kernels.native.processor import rows_of_even_tiles, rows_of_tile
from passus.kernels.native.vectors import LANES, VECTOR

__all__ = [
    "Steps",
    "even_tiles_for",
    "matrix_steps",
    "multiply_tile",
    "multiply_tiles",
    "prepare",
    "rows_in_larger_tiles",
    "tiles",
    "tiles_for",
]

NUMBER = ir.IntType(64)


class Steps(NamedTuple):
    """Distances in memory for a tile, in numbers: between rows of D, A and C, and along i, j and k in A and in B."""

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


class Job(NamedTuple):
    """What the function of a tile reads: addresses, sizes and distances, as integers one after the other in memory."""

    D: Any
    A: Any
    B: Any
    C: Any
    rows: Any
    lanes: Any
    counts: Any
    steps: Any


ADDRESSES, COUNTS = 4, 3
WORDS = ADDRESSES + 2 + COUNTS + len(Steps._fields)


def prepare() -> None:
    """Declare the tiles of all sizes."""
    for Q in (1, 2):
        heights = {rows(count, Q) for count in range(1, 65) for rows in (rows_of_tile, rows_of_even_tiles)}
        for P in sorted(heights | {max(1, P - 1) for P in heights}):
            _tiles(P, Q, True)
            _tiles(P, Q, False)


@cache
def tiles(P: int, Q: int, whole: bool) -> int:
    """The address of the function of tiles of P rows and Q vectors, for `multiply_tiles`; ``whole``: all vectors are full."""
    return _tiles(P, Q, whole).address


@cache
def tiles_for(rows: int, columns: int, whole: bool) -> tuple[int, int, int]:
    """The function of the tiles that suit a number of rows, and the numbers of rows and of columns of a tile."""
    P = rows_of_tile(rows, columns // LANES)
    return tiles(P, columns // LANES, whole), P, columns


@cache
def even_tiles_for(rows: int, columns: int, whole: bool) -> tuple[int, int, int, int]:
    """The functions of the tiles that share a number of rows evenly, and of those of one row less; then as `tiles_for`."""
    P = rows_of_even_tiles(rows, columns // LANES)
    functions = [tiles(height, columns // LANES, whole) for height in (P, max(1, P - 1))]
    return functions[0], functions[1], P, columns


@cache
def _tiles(P: int, Q: int, whole: bool) -> Kernel:
    @compiled(numba.void(INTEGER), allocates=False)
    def tile(job: Any) -> None:
        _compute_tiles(P, Q, whole, job)

    return tile


@intrinsic  # type: ignore[untyped-decorator]
def multiply_tiles(
    typing: Any, tiles: Any, lanes: Any, D: Any, A: Any, B: Any, counts: Any, steps: Any, C: Any, rows: Any
) -> tuple[Any, Callable[..., Any]]:
    """``rows`` rows of the result of `multiply_tile`, by the function at the address ``tiles``.

    Either neighbours in a column of A are contiguous, ``a_row`` is 1, or A has contiguous rows and B is packed: ``a_k`` is 1, and
    ``b_k`` is the width of a tile.
    The last tile overlaps the one before it if the rows are not a multiple of those of a tile. If there are fewer, a whole tile is
    read and written all the same. ``lanes``: number of columns, which a function for full vectors does not read.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        function, lanes, *_, rows = args
        type_ = context.call_conv.get_function_type(types.void, (types.intp,))
        memory = cgutils.alloca_once(builder, ir.ArrayType(NUMBER, WORDS))
        # Numba passes two more addresses, where the function leaves its result and its error; this one has neither.
        unused = [cgutils.alloca_once(builder, argument.pointee) for argument in type_.args[:2]]
        addresses = [
            builder.ptrtoint(start_of(context, builder, signature.args[i], args[i]), NUMBER) for i in (2, 3, 4, 7)
        ]
        job = [
            *addresses,
            rows,
            lanes,
            *cgutils.unpack_tuple(builder, args[5]),
            *cgutils.unpack_tuple(builder, args[6]),
        ]
        with builder.if_then(builder.icmp_signed(">", rows, NUMBER(0))):
            for i, word in enumerate(job):
                builder.store(word, cgutils.gep_inbounds(builder, memory, 0, i))
            builder.call(builder.inttoptr(function, type_.as_pointer()), [*unused, builder.ptrtoint(memory, NUMBER)])
        return context.get_dummy_value()

    index = types.intp
    return types.void(index, index, D, A, B, *_counts_and_steps(), C, index), generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _compute_tiles(typing: Any, P: Any, Q: Any, whole: Any, job: Any) -> tuple[Any, Callable[..., Any]]:
    """The body of the function of a tile: what `multiply_tiles` describes in a `Job` at this address."""
    height, full = P.literal_value, bool(whole.literal_value)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        memory = builder.inttoptr(args[3], NUMBER.as_pointer())
        words = [builder.load(builder.gep(memory, [NUMBER(i)])) for i in range(WORDS)]
        D, A, B, C = [builder.inttoptr(word, ir.FloatType().as_pointer()) for word in words[:ADDRESSES]]
        rows, lanes, *rest = words[ADDRESSES:]
        counts, at = rest[:COUNTS], Steps(*rest[COUNTS:])
        tile = _Tile(builder, height, Q.literal_value, None if full else lanes)
        last = builder.sub(rows, NUMBER(height))
        last = builder.select(builder.icmp_signed("<", last, NUMBER(0)), NUMBER(0), last)
        number = builder.sdiv(builder.add(rows, NUMBER(height - 1)), NUMBER(height))

        def compute(at: Steps) -> None:
            with cgutils.for_range(builder, number) as loop:
                row = builder.mul(loop.index, NUMBER(height))
                row = builder.select(builder.icmp_signed("<", row, last), row, last)
                places = [tile.moved(base, row, step) for base, step in ((D, at.d_row), (A, at.a_row), (C, at.c_row))]
                tile.compute(places[0], places[1], B, counts, at, places[2])

        # The compiler is told the steps of the inner loop, which saves registers.
        with builder.if_else(builder.icmp_signed("==", at.a_row, NUMBER(1))) as (of_columns, of_rows):
            with of_columns:
                compute(at._replace(a_row=NUMBER(1)))
            with of_rows:
                compute(at._replace(a_k=NUMBER(1), b_k=NUMBER(Q.literal_value * LANES)))
        return context.get_dummy_value()

    return types.void(P, Q, whole, types.intp), generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def multiply_tile(
    typing: Any, P: Any, Q: Any, lanes: Any, D: Any, A: Any, B: Any, counts: Any, steps: Any, C: Any
) -> tuple[Any, Callable[..., Any]]:
    """A tile of P rows and Q vectors: ``C[p, q] = D[p, q] + sum over i, j, k of A[p; i, j, k] * B[i, j, k; q]``.

    ``P`` and ``Q`` are constants. ``lanes``: number of columns of B, C and D; None: Q whole vectors. ``A``, ``B``, ``C`` and
    ``D``: `At`, where the tile begins in flat arrays of float32. ``counts``: number of i, j and k. ``steps``: `Steps`.
    """
    whole = isinstance(lanes, types.NoneType)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        D, A, B, C = (start_of(context, builder, signature.args[i], args[i]) for i in (3, 4, 5, 8))
        tile = _Tile(builder, P.literal_value, Q.literal_value, None if whole else args[2])
        counts, steps = cgutils.unpack_tuple(builder, args[6]), Steps(*cgutils.unpack_tuple(builder, args[7]))
        tile.compute(D, A, B, counts, steps, C)
        return context.get_dummy_value()

    return types.void(P, Q, lanes if whole else types.intp, D, A, B, *_counts_and_steps(), C), generate


def _counts_and_steps() -> tuple[Any, Any]:
    return types.UniTuple(types.intp, COUNTS), types.NamedUniTuple(types.intp, len(Steps._fields), Steps)


class _Tile:
    """The instructions of one tile; ``lanes``: its number of columns, or None for whole vectors."""

    def __init__(self, builder: ir.IRBuilder, rows: int, vectors: int, lanes: Any) -> None:
        self.builder = builder
        self.masks = [self.mask(lanes, q) for q in range(vectors)]
        self.sums = [[cgutils.alloca_once(builder, VECTOR) for _ in range(vectors)] for _ in range(rows)]

    def mask(self, lanes: Any, q: int) -> Any:
        if lanes is None:
            return instructions.all_lanes()
        return instructions.loop_mask(self.builder, self.builder.sub(lanes, NUMBER(q * LANES)))

    def moved(self, base: Any, index: Any, step: Any) -> Any:
        return self.builder.gep(base, [self.builder.mul(index, step)])

    def vector(self, base: Any, q: int) -> Any:
        return self.builder.bitcast(self.builder.gep(base, [NUMBER(q * LANES)]), VECTOR.as_pointer())

    def compute(self, D: Any, A: Any, B: Any, n: Any, at: Steps, C: Any) -> None:
        """The tile at these pointers, with ``n`` products along i, j and k."""
        builder, moved = self.builder, self.moved
        for p, row in enumerate(self.sums):
            start = moved(D, NUMBER(p), at.d_row)
            for q, total in enumerate(row):
                builder.store(instructions.load(builder, self.vector(start, q), self.masks[q]), total)
        # The result is in the cache when the sums are ready, so that the next tile need not wait for the stores.
        for p in range(len(self.sums)):
            instructions.prefetch(builder, moved(C, NUMBER(p), at.c_row), to_write=True)
        with cgutils.for_range(builder, n[0]) as i:
            Ai, Bi = moved(A, i.index, at.a_i), moved(B, i.index, at.b_i)
            with cgutils.for_range(builder, n[1]) as j:
                Aj, Bj = moved(Ai, j.index, at.a_j), moved(Bi, j.index, at.b_j)
                with cgutils.for_range(builder, n[2]) as k:
                    self.add_products(moved(Aj, k.index, at.a_k), moved(Bj, k.index, at.b_k), at.a_row)
        for p, row in enumerate(self.sums):
            target = moved(C, NUMBER(p), at.c_row)
            for q, total in enumerate(row):
                instructions.store(builder, builder.load(total), self.vector(target, q), self.masks[q])

    def add_products(self, A: Any, B: Any, a_row: Any) -> None:
        """Add the products of a number of each row of A and a row of B."""
        builder = self.builder
        w = [instructions.load(builder, self.vector(B, q), mask) for q, mask in enumerate(self.masks)]
        for p, row in enumerate(self.sums):
            x = instructions.splat(builder, builder.load(self.moved(A, NUMBER(p), a_row)))
            for q, total in enumerate(row):
                builder.store(instructions.fma(builder, x, w[q], builder.load(total)), total)
