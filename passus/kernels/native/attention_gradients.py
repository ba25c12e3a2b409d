"""The gradients of attention in float32: the weights of each block are computed again."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels import attention as references
from passus.kernels.attention import Settings
from passus.kernels.native.attention_layout import (
    added_mask,
    block_of_queries,
    carved,
    flags,
    head,
    like,
    places,
    sharing,
    steps,
    with_rows_of_numbers,
)
from passus.kernels.native.attention_parts import (
    COLUMNS,
    KEYS,
    MATRIX,
    NUMBER,
    PIECE,
    PLACES,
    RESULT,
    WORDS,
    P,
    add_mask,
    differentiate_row,
    dot,
    is_finite,
    load_rows,
    pack_columns,
    pack_transposed,
    store_rows,
    words_of,
    zeros_behind,
)
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled
from passus.kernels.native.tile import matrix_steps, multiply_tile
from passus.kernels.neighbours import alike
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
    parts = alike([q, k, v], -3) if chunks == 1 and q.ndim > 2 and q.shape == (*lead, T, D) else None
    gq, gk, gv = parts or [
        like(q, (*lead, T, D)),
        *[like(x, x.shape) if chunks == 1 else np.empty((chunks, *x.shape), np.float32) for x in (k, v)],
    ]
    first_gk, first_gv = (gk, gv) if chunks == 1 else (gk[0], gv[0])
    arrays = [head(x) for x in (q, k, v, added, gy, y, gq, first_gk, first_gv)]
    of_heads = [
        *[places(x, lead) for x in (q, added, gy, y, gq)],
        *[places(x, of_keys) for x in (k, v, first_gk, first_gv)],
        sharing(of_keys, lead),
    ]
    sizes = (T, S, D, V, rows, blocks, group, chunks, gk.strides[0] // 4, gv.strides[0] // 4)
    rows_apart, switches = steps(arrays), flags(mask, settings)
    words, dropping = words_of(settings.dropping)
    found, kernel, scale = np.zeros(1, np.int64), _backward(), np.float32(settings.scale)

    def work(start: int, stop: int) -> None:
        wide, wide_v, long = [-(-n // COLUMNS) * COLUMNS for n in (D, V, S)]
        scratch = carved(
            long * D, S * wide, long * V, rows * KEYS, rows * KEYS, rows * wide, rows * wide_v, rows * wide,
            (S + P) * wide, (S + P) * wide_v, COLUMNS,
        )  # fmt: skip
        kernel(
            *arrays, *words, *of_heads, lse, *scratch, rows_apart, sizes, switches, scale, *dropping, start, stop, found
        )

    split(work, key_heads * chunks, PIECE * chunks // (1 + group * work_of_head))
    if found[0]:  # A number that is not finite may have been multiplied by a weight of 0.
        return references.attention_gradients.reference(*given)
    if chunks > 1:
        gk, gv = gk.sum(axis=0), gv.sum(axis=0)
    return references.summed_to(gq, q.shape), gk, gv


@cache
def _backward() -> Callable[..., None]:
    @compiled(
        numba.void(
            *[MATRIX] * 6,
            *[RESULT] * 3,
            WORDS,
            WORDS,
            *[PLACES] * 10,
            READ,
            *[FLAT] * 11,
            numba.types.UniTuple(INTEGER, 9),
            numba.types.UniTuple(INTEGER, 10),
            numba.types.UniTuple(INTEGER, 3),
            NUMBER,
            numba.uint32,
            NUMBER,
            INTEGER,
            INTEGER,
            numba.int64[::1],
        ),
        allocates=False,
    )
    def backward(
        q: Any, k: Any, v: Any, mask: Any, gy: Any, y: Any, gq: Any, gk: Any, gv: Any,
        row_words: Any, column_words: Any,
        q_places: Any, mask_places: Any, gy_places: Any, y_places: Any, gq_places: Any,
        k_places: Any, v_places: Any, gk_places: Any, gv_places: Any, order: Any, lse: Any,
        transposed_k: Any, packed_k: Any, transposed_v: Any, scores: Any, gscores: Any, block: Any, gblock: Any, gq_block: Any,
        gk_sums: Any, gv_sums: Any, zeros: Any,
        steps: Any, sizes: Any, flags: Any, scale: Any, least: Any, kept_scale: Any, start: Any, stop: Any, found: Any,
    ) -> None:  # fmt: skip
        q_step, k_step, v_step, mask_step, gy_step, y_step, gq_step, gk_step, gv_step = steps
        T, S, D, V, block_rows, blocks, group, chunks, gk_apart, gv_apart = sizes
        causal, masked, dropped = flags
        line, line_v = (D + COLUMNS - 1) // COLUMNS * COLUMNS, (V + COLUMNS - 1) // COLUMNS * COLUMNS
        one = np.float32(1)
        zeros[:] = 0
        for unit in range(start, stop):
            key_head, chunk = unit // chunks, unit % chunks
            place, place_v = k_places[key_head], v_places[key_head]
            pack_transposed(k, place, k_step, S, D, transposed_k)
            pack_columns(k, place, k_step, S, D, packed_k)
            pack_transposed(v, place_v, v_step, S, V, transposed_v)
            gk_sums[:], gv_sums[:] = 0, 0
            for pair in range(group * blocks * chunk // chunks, group * blocks * (chunk + 1) // chunks):
                head, b = order[key_head * group + pair // blocks], pair % blocks
                # Alternate between both ends: with a causal mask, the last blocks take longest.
                b = b // 2 if b % 2 == 0 else blocks - 1 - b // 2
                first, rows = b * block_rows, min(block_rows, T - b * block_rows)
                place, place_gy = q_places[head] + first * q_step, gy_places[head] + first * gy_step
                load_rows(q, place, q_step, rows, D, scale, block, line)
                load_rows(gy, place_gy, gy_step, rows, V, one, gblock, line_v)
                gq_block[:] = 0
                # Query ``first + r`` sees the keys before ``reach + r``.
                reach = S - T + first + 1 if causal else S
                for key in range(0, min(S, reach + causal * (rows - 1)), KEYS):
                    count = min(KEYS, S - key)
                    for j in range(0, count, COLUMNS):
                        for r in range(0, rows, P):
                            if not causal or reach + min(r + P, rows) - 1 > key + j:
                                tile_steps, at = matrix_steps(0, line, KEYS, 1, COLUMNS), r * KEYS + j
                                multiply_tile(
                                    P, 2, None, zeros, 0, block, r * line, transposed_k, (key + j) * D, (1, 1, D), tile_steps,
                                    scores, at,
                                )  # fmt: skip
                                tile_steps = matrix_steps(0, line_v, KEYS, 1, COLUMNS)
                                multiply_tile(
                                    P, 2, None, zeros, 0, gblock, r * line_v, transposed_v, (key + j) * V, (1, 1, V), tile_steps,
                                    gscores, at,
                                )  # fmt: skip
                    for r in range(rows):
                        at, some, i = r * KEYS, max(0, min(count, reach + causal * r - key)), head * T + first + r
                        if masked:
                            add_mask(scores, at, some, mask, mask_places[head] + (first + r) * mask_step + 4 * key)
                        delta = dot(gy, place_gy + r * gy_step, y, y_places[head] + (first + r) * y_step, V)
                        word = row_words[i] if dropped else np.uint32(0)
                        differentiate_row(
                            scores,
                            gscores,
                            at,
                            some,
                            lse[i],
                            delta,
                            dropped,
                            word,
                            column_words,
                            key,
                            least,
                            kept_scale,
                        )
                        zeros_behind(scores, at, some)
                        zeros_behind(gscores, at, some)
                    for j in range(0, V, COLUMNS):
                        for p in range(0, count, P):
                            begin = max(0, key + p - reach + 1) if causal else 0
                            if begin < rows:
                                tile_steps, at = matrix_steps(line_v, 1, line_v, KEYS, line_v), (key + p) * line_v + j
                                multiply_tile(
                                    P, 2, None, gv_sums, at, scores, begin * KEYS + p, gblock, begin * line_v + j,
                                    (1, 1, rows - begin), tile_steps, gv_sums, at,
                                )  # fmt: skip
                    for j in range(0, D, COLUMNS):
                        for p in range(0, count, P):
                            begin = max(0, key + p - reach + 1) if causal else 0
                            if begin < rows:
                                tile_steps, at = matrix_steps(line, 1, line, KEYS, line), (key + p) * line + j
                                multiply_tile(
                                    P, 2, None, gk_sums, at, gscores, begin * KEYS + p, block, begin * line + j,
                                    (1, 1, rows - begin), tile_steps, gk_sums, at,
                                )  # fmt: skip
                        for r in range(0, rows, P):
                            some = min(count, reach + causal * (min(r + P, rows) - 1) - key)
                            if some > 0:
                                tile_steps, at = matrix_steps(line, KEYS, line, 1, COLUMNS), r * line + j
                                multiply_tile(
                                    P, 2, None, gq_block, at, gscores, r * KEYS, packed_k, j * S + key * COLUMNS,
                                    (1, 1, some), tile_steps, gq_block, at,
                                )  # fmt: skip
                bad = store_rows(gq_block, line, scale, gq, gq_places[head] + first * gq_step, gq_step, rows, D)
                if not is_finite(bad):
                    found[0] = 1
            at_k, at_v = gk_places[key_head] + 4 * chunk * gk_apart, gv_places[key_head] + 4 * chunk * gv_apart
            bad_k = store_rows(gk_sums, line, one, gk, at_k, gk_step, S, D)
            bad_v = store_rows(gv_sums, line_v, one, gv, at_v, gv_step, S, V)
            if not (is_finite(bad_k) and is_finite(bad_v)):
                found[0] = 1

    return backward
