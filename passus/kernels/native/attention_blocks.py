"""Blocks of attention: the layout of matrices for the tile, and the operations on rows of scores.

Blocks are padded to whole tiles, so that no product has a remainder: P rows, `COLUMNS` columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from passus.kernels.native import instructions
from passus.kernels.native.compiling import shared
from passus.kernels.native.elementary import exp_below_zero
from passus.kernels.native.loops import fold_vectors, for_vectors
from passus.kernels.native.processor import rows_of_tile
from passus.kernels.native.simd import (
    LANES,
    all_lanes,
    first_lanes,
    fma,
    load,
    load_or,
    maximum_of_lanes,
    splat,
    store,
    sum_of_lanes,
    vector_at,
    where,
)
from passus.kernels.native.transposing import copy_transposed
from passus.kernels.native.vectors import INTEGERS, VECTOR, vector

__all__ = [
    "COLUMNS",
    "KEYS",
    "PIECE",
    "QUERIES",
    "P",
    "add_mask",
    "differentiate_row",
    "dot",
    "drop",
    "exponentials",
    "is_finite",
    "load_rows",
    "pack_columns",
    "pack_transposed",
    "row_maximum",
    "scale_row",
    "score_gradient",
    "store_row",
    "store_rows",
    "weight",
    "zeros_behind",
]

P = rows_of_tile(840, 2)
"""Rows of a tile."""
COLUMNS = 2 * LANES
"""Columns of a tile."""
QUERIES = 48
"""Queries in a block, at most: a multiple of P."""
KEYS = 96
"""Keys in a block, at most: a multiple of P and of `COLUMNS`."""
PIECE = 1 << 20
"""Multiplications that are worth a thread."""

LOWEST = float(np.finfo(np.float32).min)
SMALLEST = float(np.finfo(np.float32).tiny)
LEAST = np.float32(-np.inf)


@shared
def weight(score: Any, shift: Any) -> Any:
    """``exp(score - shift)`` of vectors, where the score is at most the shift; 0 for a score of -inf."""
    return where(score < LOWEST, 0.0, exp_below_zero(score - shift))


@shared
def score_gradient(weight: Any, gradient: Any, delta: Any) -> Any:
    """``weight * (gradient - delta)`` of vectors; 0 where the weight is."""
    return where(weight < SMALLEST, 0.0, weight * (gradient - delta))


@shared
def _larger(a: Any, b: Any) -> Any:
    """The larger numbers of two vectors; NaN is ignored."""
    return where(a > b, a, b)


@shared
def _masked_score(score: Any, mask: Any) -> Any:
    """``score + mask`` of vectors; -inf where the mask is, even if the score is infinite."""
    return where(mask < LOWEST, mask, score + mask)


@intrinsic  # type: ignore[untyped-decorator]
def _dropped(
    typing: Any, x: Any, key: Any, keys: Any, index: Any, least: Any, scale: Any
) -> tuple[Any, Callable[..., Any]]:
    """``x * scale`` of a vector where `kernels.attention.keep_mask` is True, and 0 elsewhere."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        def mixed(bits: Any, shift: int) -> Any:
            return builder.xor(bits, builder.lshr(bits, ir.Constant(INTEGERS, [shift] * LANES)))

        x, key, _, index, least, scale = args
        data = context.make_array(signature.args[2])(context, builder, args[2]).data
        words = builder.bitcast(builder.gep(data, [index]), INTEGERS.as_pointer())
        bits = builder.xor(instructions.splat(builder, key, INTEGERS), builder.load(words, align=4))
        bits = builder.mul(mixed(bits, 16), ir.Constant(INTEGERS, [0x85EBCA6B] * LANES))
        bits = mixed(builder.mul(mixed(bits, 13), ir.Constant(INTEGERS, [0xC2B2AE35] * LANES)), 16)
        keeps = builder.icmp_unsigned(">=", bits, instructions.splat(builder, least, INTEGERS))
        return builder.select(keeps, builder.fmul(x, scale), ir.Constant(VECTOR, None))

    return vector(vector, types.uint32, keys, types.intp, types.uint32, vector), generate


@shared
def is_finite(found: Any) -> Any:
    """Whether a vector holds no NaN; `store_row` and `store_rows` return one that does if a number was not finite."""
    total = sum_of_lanes(found)
    return total == total


@shared
def pack_transposed(x: Any, offset: Any, step: Any, rows: Any, columns: Any, packed: Any) -> None:
    """A matrix (rows, columns) as (tiles of rows, columns, `COLUMNS`), with zeros for missing rows."""
    for first in range(0, rows, COLUMNS):
        for lane in range(0, COLUMNS, LANES):
            some, to = min(LANES, rows - first - lane), first * columns + lane
            if some > 0:
                at = offset + (first + lane) * step
                for j in range(0, columns, LANES):
                    count = min(LANES, columns - j)
                    copy_transposed(x, at + 4 * j, step, some, count, packed, to + j * COLUMNS, COLUMNS)
            else:
                for j in range(columns):
                    store(packed, to + j * COLUMNS, splat(np.float32(0)), all_lanes())


@shared
def _pack_vector(arguments: Any, first: Any, lanes: Any) -> None:
    """The vector of columns from ``first`` on, in all rows."""
    x, offset, step, rows, packed = arguments
    at, to = offset + 4 * first, first // COLUMNS * COLUMNS * rows + first % COLUMNS
    for row in range(rows):
        store(packed, to + row * COLUMNS, vector_at(x, at + row * step, lanes), all_lanes())


@shared
def pack_columns(x: Any, offset: Any, step: Any, rows: Any, columns: Any, packed: Any) -> None:
    """A matrix (rows, columns) as (tiles of columns, rows, `COLUMNS`), with zeros for missing columns."""
    for_vectors(_pack_vector, (x, offset, step, rows, packed), columns)
    if (columns + LANES - 1) // LANES % 2 == 1:
        to = columns // COLUMNS * COLUMNS * rows + LANES
        for row in range(rows):
            store(packed, to + row * COLUMNS, splat(np.float32(0)), all_lanes())


@shared
def _load_scaled(arguments: Any, j: Any, lanes: Any) -> None:
    x, at, factor, block, to = arguments
    store(block, to + j, vector_at(x, at + 4 * j, lanes) * factor, all_lanes())


@shared
def load_rows(x: Any, offset: Any, step: Any, rows: Any, columns: Any, scale: Any, block: Any, line: Any) -> None:
    """Write ``scale * x`` as rows of ``line`` numbers, with zeros for missing columns, and for missing rows of a tile."""
    zero, factor = splat(np.float32(0)), splat(scale)
    for row in range(rows):
        to = row * line
        for_vectors(_load_scaled, (x, offset + row * step, factor, block, to), columns)
        for j in range((columns + LANES - 1) // LANES * LANES, line, LANES):
            store(block, to + j, zero, all_lanes())
    for i in range(rows * line, (rows + P - 1) // P * P * line, LANES):
        store(block, i, zero, all_lanes())


@shared
def store_rows(block: Any, line: Any, scale: Any, x: Any, offset: Any, step: Any, rows: Any, columns: Any) -> Any:
    """Store rows of ``line`` numbers, multiplied by ``scale``, into rows of a matrix that begin ``offset + i * step`` bytes after
    the first number of x. Returns a vector for `is_finite`.
    """
    found = splat(np.float32(0))
    for row in range(rows):
        found = found + store_row(block, row * line, scale, x, (offset + row * step) // 4, columns)
    return found


@shared
def _store_scaled(found: Any, arguments: Any, j: Any, lanes: Any) -> Any:
    block, at, factor, x, to = arguments
    numbers = load(block, at + j, lanes) * factor
    store(x, to + j, numbers, lanes)
    return fma(numbers, splat(np.float32(0)), found)


@shared
def store_row(block: Any, at: Any, scale: Any, x: Any, to: Any, columns: Any) -> Any:
    """One row of `store_rows`."""
    return fold_vectors(_store_scaled, splat(np.float32(0)), (block, at, splat(scale), x, to), columns)


@shared
def dot(x: Any, at_x: Any, y: Any, at_y: Any, count: Any) -> Any:
    """The dot product of contiguous numbers that begin ``at_x`` bytes after the first one of x, and ``at_y`` after that of y."""
    a0, a1 = splat(np.float32(0)), splat(np.float32(0))
    j, whole = 0, count - count % LANES
    while j + 2 * LANES <= whole:
        k = j + LANES
        a0 = fma(vector_at(x, at_x + 4 * j, all_lanes()), vector_at(y, at_y + 4 * j, all_lanes()), a0)
        a1 = fma(vector_at(x, at_x + 4 * k, all_lanes()), vector_at(y, at_y + 4 * k, all_lanes()), a1)
        j += 2 * LANES
    while j < count:
        lanes = first_lanes(count - j)
        a0 = fma(vector_at(x, at_x + 4 * j, lanes), vector_at(y, at_y + 4 * j, lanes), a0)
        j += LANES
    return sum_of_lanes(a0 + a1)


@shared
def _add_mask(arguments: Any, j: Any, lanes: Any) -> None:
    scores, at, mask, offset = arguments
    masked = _masked_score(load(scores, at + j, all_lanes()), vector_at(mask, offset + 4 * j, lanes))
    store(scores, at + j, masked, all_lanes())


@shared
def add_mask(scores: Any, at: Any, count: Any, mask: Any, offset: Any) -> None:
    """Add a row of a mask to a row of scores."""
    for_vectors(_add_mask, (scores, at, mask, offset), count)


@shared
def row_maximum(scores: Any, at: Any, count: Any) -> Any:
    """The largest of some numbers; NaN is ignored."""
    a0, a1 = splat(LEAST), splat(LEAST)
    j, whole = 0, count - count % LANES
    while j + 2 * LANES <= whole:
        a0, a1 = _larger(load(scores, at + j, all_lanes()), a0), _larger(load(scores, at + j + LANES, all_lanes()), a1)
        j += 2 * LANES
    while j < count:
        a0 = _larger(load_or(scores, at + j, first_lanes(count - j), splat(LEAST)), a0)
        j += LANES
    return maximum_of_lanes(_larger(a0, a1))


@shared
def _exponential(total: Any, arguments: Any, j: Any, lanes: Any) -> Any:
    scores, at, shift = arguments
    e = weight(load_or(scores, at + j, lanes, splat(LEAST)), shift)
    store(scores, at + j, e, all_lanes())
    return total + e


@shared
def exponentials(scores: Any, at: Any, count: Any, shift: Any) -> Any:
    """Replace the scores of a row by its weights, with zeros after them up to a whole vector, and return their sum."""
    return sum_of_lanes(fold_vectors(_exponential, splat(np.float32(0)), (scores, at, splat(shift)), count))


@shared
def zeros_behind(scores: Any, at: Any, count: Any) -> None:
    """Write zeros from the first whole vector after some numbers on, as far as tiles read that reach beyond them."""
    for j in range((count + LANES - 1) // LANES * LANES, min(count + P, KEYS), LANES):
        store(scores, at + j, splat(np.float32(0)), all_lanes())


@shared
def drop(scores: Any, at: Any, count: Any, word: Any, first: Any, weighting: Any) -> None:
    """Dropout of a row of weights. ``word``: the random key of the query; ``first``: the key of the first weight."""
    words, least, scale = weighting.column_words, weighting.least, splat(weighting.kept_scale)
    for j in range(0, count, LANES):
        weights = _dropped(load(scores, at + j, all_lanes()), word, words, first + j, least, scale)
        store(scores, at + j, weights, all_lanes())


@shared
def differentiate_row(
    scores: Any, gradients: Any, at: Any, count: Any, lse: Any, delta: Any, word: Any, first: Any, weighting: Any
) -> None:
    """Replace the scores of a row by its weights, and the gradients of the weights by those of the scores."""
    shift, less, whole = splat(lse), splat(delta), count - count % LANES
    if whole < count:
        lanes = first_lanes(count - whole)
        store(scores, at + whole, load_or(scores, at + whole, lanes, splat(LEAST)), all_lanes())
    if weighting.dropped:
        words, least, scale = weighting.column_words, weighting.least, splat(weighting.kept_scale)
        for j in range(0, count, LANES):
            p = weight(load(scores, at + j, all_lanes()), shift)
            g = _dropped(load(gradients, at + j, all_lanes()), word, words, first + j, least, scale)
            store(scores, at + j, _dropped(p, word, words, first + j, least, scale), all_lanes())
            store(gradients, at + j, score_gradient(p, g, less), all_lanes())
    else:
        for j in range(0, count, LANES):
            p = weight(load(scores, at + j, all_lanes()), shift)
            store(scores, at + j, p, all_lanes())
            store(gradients, at + j, score_gradient(p, load(gradients, at + j, all_lanes()), less), all_lanes())


@shared
def scale_row(block: Any, at: Any, line: Any, factor: Any) -> None:
    for j in range(0, line, LANES):
        store(block, at + j, load(block, at + j, all_lanes()) * factor, all_lanes())
