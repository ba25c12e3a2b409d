"""Attention in float32, one block of queries after another, and of the keys for each, as in FlashAttention.

The weights of a block are relative to the largest score of a row so far. Where a later block of keys has a larger one, the previous
sums are scaled down.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from passus.backend import Array
from passus.kernels import attention as references
from passus.kernels.attention import Settings
from passus.kernels.native.attention_arguments import Offsets, RowSteps, Weighting, forward_signature, weighting_of
from passus.kernels.native.attention_blocks import (
    COLUMNS,
    KEYS,
    PIECE,
    P,
    add_mask,
    drop,
    exponentials,
    is_finite,
    load_rows,
    pack_columns,
    pack_transposed,
    row_maximum,
    scale_row,
    store_row,
    zeros_behind,
)
from passus.kernels.native.attention_few import few_queries
from passus.kernels.native.attention_gradients import attention_gradients as attention_gradients
from passus.kernels.native.attention_gradients import prepare as prepare_gradients
from passus.kernels.native.attention_layout import (
    FEW,
    added_mask,
    carved,
    head,
    layout,
    with_rows_of_numbers,
)
from passus.kernels.native.compiling import compiled
from passus.kernels.native.pointers import At
from passus.kernels.native.simd import LANES, all_lanes, splat, store
from passus.kernels.native.tile import matrix_steps, multiply_tile
from passus.kernels.threads import split

__all__ = ["attention", "attention_gradients", "prepare"]

PIECE_OF_FEW = PIECE // 2
"""Multiplications that are worth a thread for few queries, where keys and values are read from memory for each query."""


def prepare() -> None:
    """Compile all kernels."""
    _forward()
    few_queries()
    prepare_gradients()


def attention(q: Array, k: Array, v: Array, mask: Array | None, settings: Settings) -> tuple[Array, Array]:
    given = q, k, v, mask, settings
    q, k, v, added = with_rows_of_numbers(q), with_rows_of_numbers(k), with_rows_of_numbers(v), added_mask(mask)
    (T, D), (S, V) = q.shape[-2:], v.shape[-2:]
    shape, as_queries, offsets, row_steps, heads, rows, blocks = layout(
        (q.shape, q.strides), (k.shape[:-2], k.strides), (V, v.strides), (added.shape[:-1], added.strides)
    )
    y = np.empty_like(q, shape=shape) if as_queries else np.empty(shape, np.float32)
    lse, not_finite = np.empty(heads * T, np.float32), np.zeros(1, np.int64)
    inputs, results = (head(q), head(k), head(v), head(added)), (head(y), lse, not_finite)
    arguments = inputs, results, offsets, row_steps, (T, S, D, V, rows, blocks), weighting_of(mask, settings)

    def work(start: int, stop: int) -> None:
        if T <= FEW:
            few_queries()(*arguments, start, stop)
            return
        wide = -(-V // COLUMNS) * COLUMNS
        scratch = carved(
            -(-S // COLUMNS) * COLUMNS * D, wide * S, rows * KEYS, rows * wide, rows * D + LANES, 2 * rows, COLUMNS
        )
        _forward()(*arguments, scratch, start, stop)

    split(work, heads * blocks, (PIECE_OF_FEW if T <= FEW else PIECE) // (1 + rows * S * (D + V)))
    if not_finite[0]:  # A number that is not finite may have been multiplied by a weight of 0.
        return references.attention.reference(*given)
    return y, lse.reshape(shape[:-1])


class Scratch(NamedTuple):
    """Memory of a thread."""

    packed_k: Array
    packed_v: Array
    scores: Array
    sums: Array
    block: Array
    """The queries of a block, times the scale."""
    state: Array
    """The maximum and the sum of the weights of each row."""
    zeros: Array


@cache
def _forward() -> Callable[..., None]:
    @compiled(forward_signature(len(Scratch._fields)), allocates=False)
    def forward(
        inputs: Any, results: Any, offsets: Any, row_steps: Any, sizes: Any, weighting: Any, scratch: Any,
        start: Any, stop: Any,
    ) -> None:  # fmt: skip
        (q, k, v, mask), (y, lse, not_finite) = inputs, results
        offsets, steps, weighting = Offsets(*offsets), RowSteps(*row_steps), Weighting(*weighting)
        T, S, D, V, block_rows, blocks = sizes
        packed_k, packed_v, scores, sums, block, state, zeros = scratch
        causal = weighting.causal
        line = (V + COLUMNS - 1) // COLUMNS * COLUMNS
        tops, totals = state[:block_rows], state[block_rows:]
        zeros[:] = 0
        last_k, last_v = -1, -1
        for unit in range(start, stop):
            head, b = offsets.order[unit // blocks], unit % blocks
            # Alternate between both ends: with a causal mask, the last blocks take longest.
            b = b // 2 if b % 2 == 0 else blocks - 1 - b // 2
            first, rows = b * block_rows, min(block_rows, T - b * block_rows)
            if offsets.k[head] != last_k or offsets.v[head] != last_v:
                last_k, last_v = offsets.k[head], offsets.v[head]
                pack_transposed(k, last_k, steps.k, S, D, packed_k)
                pack_columns(v, last_v, steps.v, S, V, packed_v)
            load_rows(q, offsets.q[head] + first * steps.q, steps.q, rows, D, weighting.scale, block, D)
            for i in range(0, block_rows * line, LANES):
                store(sums, i, splat(np.float32(0)), all_lanes())
            tops[:], totals[:] = -np.inf, 0
            # Query ``first + r`` sees the keys before ``reach + r``.
            reach = S - T + first + 1 if causal else S
            for key in range(0, min(S, reach + causal * (rows - 1)), KEYS):
                count = min(KEYS, S - key)
                for j in range(0, count, COLUMNS):
                    for r in range(0, rows, P):
                        if not causal or reach + min(r + P, rows) - 1 > key + j:
                            A, B, C = At(block, r * D), At(packed_k, (key + j) * D), At(scores, r * KEYS + j)
                            tile_steps = matrix_steps(0, D, KEYS, 1, COLUMNS)
                            multiply_tile(P, 2, None, At(zeros, 0), A, B, (1, 1, D), tile_steps, C)
                for r in range(rows):
                    at, some = r * KEYS, max(0, min(count, reach + causal * r - key))
                    if weighting.masked:
                        add_mask(scores, at, some, mask, offsets.mask[head] + (first + r) * steps.mask + 4 * key)
                    top = max(tops[r], row_maximum(scores, at, some))
                    total = exponentials(scores, at, some, top if top > -np.inf else np.float32(0))
                    zeros_behind(scores, at, some)
                    if top > tops[r] and key > 0:
                        factor = np.float32(math.exp(tops[r] - top))
                        totals[r] *= factor
                        scale_row(sums, r * line, line, factor)
                    tops[r] = top
                    totals[r] += total
                    if weighting.dropped:
                        drop(scores, at, some, weighting.row_words[head * T + first + r], key, weighting)
                for j in range(0, V, COLUMNS):
                    for r in range(0, rows, P):
                        some = min(count, reach + causal * (min(r + P, rows) - 1) - key)
                        if some > 0:
                            A, B, C = At(scores, r * KEYS), At(packed_v, j * S + key * COLUMNS), At(sums, r * line + j)
                            tile_steps = matrix_steps(line, KEYS, line, 1, COLUMNS)
                            multiply_tile(P, 2, None, C, A, B, (1, 1, some), tile_steps, C)
            for r in range(rows):
                total, i = totals[r], head * T + first + r
                empty = total == 0
                lse[i] = 0 if empty else tops[r] + np.float32(math.log(total))
                factor = np.float32(0) if empty else np.float32(1) / total
                target = (offsets.y[head] + (first + r) * steps.y) // 4
                if not is_finite(store_row(sums, r * line, factor, y, target, V)):
                    not_finite[0] = 1

    return forward
