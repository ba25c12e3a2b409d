"""The inner loops of depthwise convolutions, in vector instructions.

A window slides along a row of pixels, each of them a vector of channels. Each pixel is loaded once and used for all results
that depend on it. The results stay in registers, where Numba alone would not keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from passus.kernels.native import instructions
from passus.kernels.native.pointers import start_of
from passus.kernels.native.vectors import VECTOR

__all__ = ["SlideSteps", "slide_back", "slide_sum", "slide_tile"]

UNROLLED = 4
"""Pixels in one iteration of the loop of `slide_sum`."""


class SlideSteps(NamedTuple):
    """Distances in memory, in numbers: between rows of A and of B, between neighbours in a row of A or B, and in a row of C."""

    a_row: int
    b_row: int
    pixel: int
    c_pixel: int


SLIDE_STEPS = types.NamedUniTuple(types.intp, 4, SlideSteps)


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def slide_tile(
    typing: Any, sizes: Any, lanes: Any, D: Any, A: Any, B: Any, rows: Any, steps: Any, C: Any
) -> tuple[Any, Callable[..., Any]]:
    """P results: ``C[p] = D + sum over i, j of A[i, p * stride + j * dilation] * B[i, j]``, with ``rows`` i and ``taps`` j.

    ``sizes``: (P, taps, stride, dilation), constants. ``lanes``: the mask of all vectors. ``A``, ``B``, ``C`` and ``D``:
    `At`, where their first vectors begin in flat arrays of float32. ``steps``: `SlideSteps`.
    """
    P, taps, stride, dilation = _literals(sizes)
    arguments = (sizes, lanes, D, A, B, types.intp, SLIDE_STEPS, C)
    return types.void(*arguments), _tile(P, taps, list(_pixels_of_windows(P, taps, stride, dilation)))


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def slide_back(
    typing: Any, sizes: Any, lanes: Any, D: Any, A: Any, B: Any, rows: Any, steps: Any, C: Any
) -> tuple[Any, Callable[..., Any]]:
    """P results: ``C[p] = D + sum over i, j of A[i, (p + shift - j * dilation) / stride] * B[i, j]``, with ``rows`` i, and those
    of ``taps`` j for which the index is an integer: the gradient of `slide_tile`, with the same arguments.

    ``sizes``: (P, taps, stride, dilation, shift), constants.
    """
    P, taps, stride, dilation, shift = _literals(sizes)
    arguments = (sizes, lanes, D, A, B, types.intp, SLIDE_STEPS, C)
    return types.void(*arguments), _tile(P, taps, list(_windows_of_pixels(P, taps, stride, dilation, shift)))


def _literals(sizes: Any) -> list[int]:
    return [size.literal_value for size in sizes.types]


def _tile(P: int, taps: int, products_by_pixel: list[tuple[int, list[tuple[int, int]]]]) -> Callable[..., Any]:
    """P sums in registers, over the pixels of each row and the windows that contain them."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        lanes, rows, steps = args[1], args[5], SlideSteps(*cgutils.unpack_tuple(builder, args[6]))
        vector, moved = _vectors(builder, lanes), _pointer_offset(builder)
        D, A, B, C = (start_of(context, builder, signature.args[i], args[i]) for i in (2, 3, 4, 7))
        sums = [cgutils.alloca_once_value(builder, vector(D)) for _ in range(P)]
        with cgutils.for_range(builder, rows) as i:
            Ai, Bi = moved(A, i.index, steps.a_row), moved(B, i.index, steps.b_row)
            weights = [vector(moved(Bi, ir.IntType(64)(j), steps.pixel)) for j in range(taps)]
            for column, products in products_by_pixel:
                x = vector(moved(Ai, ir.IntType(64)(column), steps.pixel))
                for p, j in products:
                    builder.store(instructions.fma(builder, x, weights[j], builder.load(sums[p])), sums[p])
        for p, total in enumerate(sums):
            place = builder.bitcast(moved(C, ir.IntType(64)(p), steps.c_pixel), VECTOR.as_pointer())
            instructions.store(builder, builder.load(total), place, lanes)
        return context.get_dummy_value()

    return generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def slide_sum(
    typing: Any, sizes: Any, lanes: Any, A: Any, B: Any, counts: Any, steps: Any, C: Any
) -> tuple[Any, Callable[..., Any]]:
    """``C[j] += sum over r, q of A[r, q * stride + j * dilation] * B[r, q]`` for ``taps`` j.

    ``sizes``: (taps, stride, dilation), constants. ``counts``: number of r and of q. Otherwise as `slide_tile`.
    """
    taps, stride, dilation = _literals(sizes)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        lanes, step = args[1], SlideSteps(*cgutils.unpack_tuple(builder, args[5]))
        vector, moved = _vectors(builder, lanes), _pointer_offset(builder)
        A, B, C = (start_of(context, builder, signature.args[i], args[i]) for i in (2, 3, 6))
        rows, columns = cgutils.unpack_tuple(builder, args[4])
        zero = ir.Constant(VECTOR, None)
        # Two sums for each result, so that neighbouring pixels do not wait for each other.
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(2)] for _ in range(taps)]

        def accumulate(Aq: Any, Bq: Any, pixels: int) -> None:
            gradients = [vector(moved(Bq, ir.IntType(64)(p), step.pixel)) for p in range(pixels)]
            for column, products in _pixels_of_windows(pixels, taps, stride, dilation):
                x = vector(moved(Aq, ir.IntType(64)(column), step.pixel))
                for p, j in products:
                    total = sums[j][p % 2]
                    builder.store(instructions.fma(builder, x, gradients[p], builder.load(total)), total)

        blocks = builder.udiv(columns, ir.IntType(64)(UNROLLED))
        done = builder.mul(blocks, ir.IntType(64)(UNROLLED))
        with cgutils.for_range(builder, rows) as r:
            Ar, Br = moved(A, r.index, step.a_row), moved(B, r.index, step.b_row)
            for start, count, pixels in ((ir.IntType(64)(0), blocks, UNROLLED), (done, builder.sub(columns, done), 1)):
                with cgutils.for_range(builder, count) as block_index:
                    q = builder.add(start, builder.mul(block_index.index, ir.IntType(64)(pixels)))
                    Aq = moved(Ar, builder.mul(q, ir.IntType(64)(stride)), step.pixel)
                    accumulate(Aq, moved(Br, q, step.pixel), pixels)
        for j, (even, odd) in enumerate(sums):
            place = builder.bitcast(moved(C, ir.IntType(64)(j), step.c_pixel), VECTOR.as_pointer())
            total = builder.fadd(builder.load(even), builder.load(odd))
            instructions.store(builder, builder.fadd(instructions.load(builder, place, lanes), total), place, lanes)
        return context.get_dummy_value()

    return types.void(sizes, lanes, A, B, types.UniTuple(types.intp, 2), SLIDE_STEPS, C), generate


def _pixels_of_windows(P: int, taps: int, stride: int, dilation: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Each pixel of P windows, with the windows p that contain it and its position j in each."""
    seen = {p * stride + j * dilation for p in range(P) for j in range(taps)}
    for column in sorted(seen):
        yield column, [(p, j) for p in range(P) for j in range(taps) if p * stride + j * dilation == column]


def _windows_of_pixels(
    P: int, taps: int, stride: int, dilation: int, shift: int
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Each output whose window contains some of P pixels of the image, with those pixels p and their positions j in it."""
    positions = [(p, j, *divmod(p + shift - j * dilation, stride)) for p in range(P) for j in range(taps)]
    for column in sorted({column for _, _, column, rest in positions if not rest}):
        yield column, [(p, j) for p, j, output, rest in positions if output == column and not rest]


def _vectors(builder: ir.IRBuilder, lanes: Any) -> Callable[[Any], Any]:
    return lambda place: instructions.load(builder, builder.bitcast(place, VECTOR.as_pointer()), lanes)


def _pointer_offset(builder: ir.IRBuilder) -> Callable[[Any, Any, Any], Any]:
    return lambda place, index, step: builder.gep(place, [builder.mul(index, step)])
