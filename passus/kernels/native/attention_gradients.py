"""The gradients of attention in float32: the weights of each block are computed again."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types

from passus.backend import Array
from passus.kernels import attention as references
from passus.kernels.attention import Settings
from passus.kernels.native.attention_arguments import (
    INTEGERS,
    MATRIX,
    OFFSETS,
    RESULT,
    WEIGHTING,
    Weighting,
    weighting_of,
)
from passus.kernels.native.attention_blocks import (
    COLUMNS,
    KEYS,
    PIECE,
    P,
    add_mask,
    differentiate_row,
    dot,
    is_finite,
    load_rows,
    pack_columns,
    pack_transposed,
    store_rows,
    zeros_behind,
)
from passus.kernels.native.attention_layout import (
    added_mask,
    block_of_queries,
    carved,
    head,
    like,
    offsets,
    sharing,
    steps,
    with_rows_of_numbers,
)
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled
from passus.kernels.native.pointers import At
from passus.kernels.native.tile import matrix_steps, multiply_tile
from passus.kernels.neighbours import joined_like
from passus.kernels.threads import get_num_threads, split

__all__ = ["attention_gradients", "prepare"]


def prepare() -> None:
    """Compile all kernels."""
    _backward()


def attention_gradients(
    gy: Array, q: Array, k: Array, v: Array, mask: Array | None, y: Array, lse: Array, settings: Settings
) -> tuple[Array, Array, Array]:
    given = gy, q, k, v, mask, y, lse, settings
    gy, q, k, v, y = [with_rows_of_numbers(x) for x in (gy, q, k, v, y)]
    added, lse = added_mask(mask), np.ascontiguousarray(lse).reshape(-1)
    (T, D), (S, V), lead, of_keys = q.shape[-2:], v.shape[-2:], gy.shape[:-2], k.shape[:-2]
    rows, blocks = block_of_queries(T)
    heads, key_heads = lse.size // T, math.prod(of_keys)
    group = heads // key_heads
    work_of_head = T * S * (3 * D + 2 * V)
    # Each thread computes some heads of the keys; if there are few or they cannot be divided evenly, queries are divided, too.
    threads = min(get_num_threads(), max(1, heads * work_of_head // PIECE))
    chunks = 1 if key_heads % threads == 0 or key_heads >= 4 * threads else min(threads, group * blocks)
    # The gradients of views of one array are views of one array.
    views = joined_like([q, k, v], -3) if chunks == 1 and q.ndim > 2 and q.shape == (*lead, T, D) else None
    gq, gk, gv = views or [
        like(q, (*lead, T, D)),
        *[like(x, x.shape) if chunks == 1 else np.empty((chunks, *x.shape), np.float32) for x in (k, v)],
    ]
    first_gk, first_gv = (gk, gv) if chunks == 1 else (gk[0], gv[0])
    inputs = tuple([head(x) for x in (q, k, v, added, gy, y)])
    gradients = head(gq), head(first_gk), head(first_gv)
    of_queries = [offsets(x, lead) for x in (q, added, gy, y, gq)]
    of_heads = *of_queries, *[offsets(x, of_keys) for x in (k, v, first_gk, first_gv)], sharing(of_keys, lead)
    sizes = Sizes(T, S, D, V, rows, blocks, group, chunks, gk.strides[0] // 4, gv.strides[0] // 4)
    not_finite, kernel, row_steps = np.zeros(1, np.int64), _backward(), steps([*inputs, *gradients])
    arguments = (
        inputs,
        (lse, not_finite),
        gradients,
        of_heads,
        row_steps,
        tuple(sizes),
        weighting_of(mask, settings),
    )

    def work(start: int, stop: int) -> None:
        wide, wide_v, long = [-(-n // COLUMNS) * COLUMNS for n in (D, V, S)]
        scratch = carved(
            long * D, S * wide, long * V, rows * KEYS, rows * KEYS, rows * wide, rows * wide_v, rows * wide,
            (S + P) * wide, (S + P) * wide_v, COLUMNS,
        )  # fmt: skip
        kernel(*arguments, scratch, (start, stop))

    split(work, key_heads * chunks, PIECE * chunks // (1 + group * work_of_head))
    if not_finite[0]:  # A number that is not finite may have been multiplied by a weight of 0.
        return references.attention_gradients.reference(*given)
    if chunks > 1:
        gk, gv = gk.sum(axis=0), gv.sum(axis=0)
    return references.summed_to(gq, q.shape), gk, gv


class Offsets(NamedTuple):
    """The offset of each head from the first one, in bytes, and the heads in the order of the keys that they share."""

    q: Array
    mask: Array
    gy: Array
    y: Array
    gq: Array
    k: Array
    v: Array
    gk: Array
    gv: Array
    order: Array


class RowSteps(NamedTuple):
    """The distance of two rows, in bytes."""

    q: int
    k: int
    v: int
    mask: int
    gy: int
    y: int
    gq: int
    gk: int
    gv: int


class Sizes(NamedTuple):
    """Those of `attention_arguments.Sizes`, and how the work is divided."""

    T: int
    S: int
    D: int
    V: int
    rows: int
    blocks: int
    group: int
    """Heads that share keys."""
    chunks: int
    """Pieces of the queries of a group, with a sum of the gradients of keys and values for each."""
    gk_step: int
    """The distance of two sums of gradients of keys, in numbers."""
    gv_step: int


class Scratch(NamedTuple):
    """Memory of a thread."""

    transposed_k: Array
    packed_k: Array
    transposed_v: Array
    scores: Array
    gscores: Array
    block: Array
    """The queries of a block, times the scale."""
    gblock: Array
    """The output gradients of a block."""
    gq_block: Array
    gk_sums: Array
    gv_sums: Array
    zeros: Array


@cache
def _backward() -> Callable[..., None]:
    @compiled(
        types.void(
            types.UniTuple(MATRIX, 6),
            types.Tuple((READ, types.int64[::1])),
            types.UniTuple(RESULT, 3),
            types.UniTuple(OFFSETS, len(Offsets._fields)),
            INTEGERS[9],
            INTEGERS[10],
            WEIGHTING,
            types.UniTuple(FLAT, len(Scratch._fields)),
            types.UniTuple(INTEGER, 2),
        ),
        allocates=False,
    )
    def backward(
        inputs: Any, of_rows: Any, gradients: Any, offsets: Any, row_steps: Any, sizes: Any, weighting: Any, scratch: Any,
        units: Any,
    ) -> None:  # fmt: skip
        (q, k, v, mask, gy, y), (lse, not_finite), (gq, gk, gv) = inputs, of_rows, gradients
        offsets, steps, sizes = Offsets(*offsets), RowSteps(*row_steps), Sizes(*sizes)
        weighting, scratch = Weighting(*weighting), Scratch(*scratch)
        T, S, D, V, group, blocks, chunks = sizes.T, sizes.S, sizes.D, sizes.V, sizes.group, sizes.blocks, sizes.chunks
        scores, gscores, block, gblock = scratch.scores, scratch.gscores, scratch.block, scratch.gblock
        gq_block, gk_sums, gv_sums, zeros = scratch.gq_block, scratch.gk_sums, scratch.gv_sums, scratch.zeros
        causal, scale = weighting.causal, weighting.scale
        line, line_v = (D + COLUMNS - 1) // COLUMNS * COLUMNS, (V + COLUMNS - 1) // COLUMNS * COLUMNS
        one = np.float32(1)
        zeros[:] = 0
        for unit in range(units[0], units[1]):
            key_head, chunk = unit // chunks, unit % chunks
            pack_transposed(k, offsets.k[key_head], steps.k, S, D, scratch.transposed_k)
            pack_columns(k, offsets.k[key_head], steps.k, S, D, scratch.packed_k)
            pack_transposed(v, offsets.v[key_head], steps.v, S, V, scratch.transposed_v)
            gk_sums[:], gv_sums[:] = 0, 0
            for pair in range(group * blocks * chunk // chunks, group * blocks * (chunk + 1) // chunks):
                head, b = offsets.order[key_head * group + pair // blocks], pair % blocks
                # Alternate between both ends: with a causal mask, the last blocks take longest.
                b = b // 2 if b % 2 == 0 else blocks - 1 - b // 2
                first, rows = b * sizes.rows, min(sizes.rows, T - b * sizes.rows)
                load_rows(q, offsets.q[head] + first * steps.q, steps.q, rows, D, scale, block, line)
                load_rows(gy, offsets.gy[head] + first * steps.gy, steps.gy, rows, V, one, gblock, line_v)
                gq_block[:] = 0
                # Query ``first + r`` sees the keys before ``reach + r``.
                reach = S - T + first + 1 if causal else S
                for key in range(0, min(S, reach + causal * (rows - 1)), KEYS):
                    count = min(KEYS, S - key)
                    for j in range(0, count, COLUMNS):
                        for r in range(0, rows, P):
                            if not causal or reach + min(r + P, rows) - 1 > key + j:
                                none, at = At(zeros, 0), r * KEYS + j
                                A, B, C = At(block, r * line), At(scratch.transposed_k, (key + j) * D), At(scores, at)
                                tile_steps = matrix_steps(0, line, KEYS, 1, COLUMNS)
                                multiply_tile(P, 2, None, none, A, B, (1, 1, D), tile_steps, C)
                                A, B, C = (
                                    At(gblock, r * line_v),
                                    At(scratch.transposed_v, (key + j) * V),
                                    At(gscores, at),
                                )
                                tile_steps = matrix_steps(0, line_v, KEYS, 1, COLUMNS)
                                multiply_tile(P, 2, None, none, A, B, (1, 1, V), tile_steps, C)
                    for r in range(rows):
                        at, some, i = r * KEYS, max(0, min(count, reach + causal * r - key)), head * T + first + r
                        if weighting.masked:
                            add_mask(scores, at, some, mask, offsets.mask[head] + (first + r) * steps.mask + 4 * key)
                        at_gy, at_y = offsets.gy[head] + (first + r) * steps.gy, offsets.y[head] + (first + r) * steps.y
                        delta = dot(gy, at_gy, y, at_y, V)
                        word = weighting.row_words[i] if weighting.dropped else np.uint32(0)
                        differentiate_row(scores, gscores, at, some, lse[i], delta, word, key, weighting)
                        zeros_behind(scores, at, some)
                        zeros_behind(gscores, at, some)
                    for j in range(0, V, COLUMNS):
                        for p in range(0, count, P):
                            begin = max(0, key + p - reach + 1) if causal else 0
                            if begin < rows:
                                A, B = At(scores, begin * KEYS + p), At(gblock, begin * line_v + j)
                                C, tile_steps = (
                                    At(gv_sums, (key + p) * line_v + j),
                                    matrix_steps(line_v, 1, line_v, KEYS, line_v),
                                )
                                multiply_tile(P, 2, None, C, A, B, (1, 1, rows - begin), tile_steps, C)
                    for j in range(0, D, COLUMNS):
                        for p in range(0, count, P):
                            begin = max(0, key + p - reach + 1) if causal else 0
                            if begin < rows:
                                A, B = At(gscores, begin * KEYS + p), At(block, begin * line + j)
                                C, tile_steps = (
                                    At(gk_sums, (key + p) * line + j),
                                    matrix_steps(line, 1, line, KEYS, line),
                                )
                                multiply_tile(P, 2, None, C, A, B, (1, 1, rows - begin), tile_steps, C)
                        for r in range(0, rows, P):
                            some = min(count, reach + causal * (min(r + P, rows) - 1) - key)
                            if some > 0:
                                A, B = At(gscores, r * KEYS), At(scratch.packed_k, j * S + key * COLUMNS)
                                C, tile_steps = At(gq_block, r * line + j), matrix_steps(line, KEYS, line, 1, COLUMNS)
                                multiply_tile(P, 2, None, C, A, B, (1, 1, some), tile_steps, C)
                bad = store_rows(gq_block, line, scale, gq, offsets.gq[head] + first * steps.gq, steps.gq, rows, D)
                if not is_finite(bad):
                    not_finite[0] = 1
            at_k = offsets.gk[key_head] + 4 * chunk * sizes.gk_step
            at_v = offsets.gv[key_head] + 4 * chunk * sizes.gv_step
            bad_k = store_rows(gk_sums, line, one, gk, at_k, steps.gk, S, D)
            bad_v = store_rows(gv_sums, line_v, one, gv, at_v, steps.gv, S, V)
            if not (is_finite(bad_k) and is_finite(bad_v)):
                not_finite[0] = 1

    return backward
