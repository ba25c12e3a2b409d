"""Attention of few queries, as in generation with a cache: keys and values are read in place."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from passus.kernels.native.attention_parts import (
    COLUMNS,
    P,
    add_mask,
    dot,
    drop,
    exponentials,
    forward_signature,
    is_finite,
    load_rows,
    row_maximum,
    store_row,
)
from passus.kernels.native.buffers import aligned, aligned_zeros
from passus.kernels.native.compiling import compiled
from passus.kernels.native.simd import LANES
from passus.kernels.native.tile import matrix_steps, multiply_tile

__all__ = ["few_queries"]


@cache
def few_queries() -> Callable[..., None]:
    @compiled(forward_signature(1))
    def few(
        q: Any, k: Any, v: Any, mask: Any, y: Any,
        row_words: Any, column_words: Any,
        q_places: Any, k_places: Any, v_places: Any, mask_places: Any, y_places: Any, order: Any,
        lse: Any,
        steps: Any, sizes: Any, flags: Any, scale: Any, least: Any, kept_scale: Any, start: Any, stop: Any, found: Any,
    ) -> None:  # fmt: skip
        q_step, k_step, v_step, mask_step, y_step = steps
        T, S, D, V, _, _ = sizes
        causal, masked, dropped = flags
        # Memory is allocated here, because a call from Python costs as much as the rest of a short one.
        scores, row, zeros = aligned(S + LANES), aligned(P * D + LANES), aligned_zeros(4 * LANES)
        sums = aligned((V + COLUMNS - 1) // COLUMNS * COLUMNS)
        for unit in range(start, stop):
            head = order[unit]
            for r in range(T):
                load_rows(q, q_places[head] + r * q_step, q_step, 1, D, scale, row, D)
                count = max(0, S - T + r + 1) if causal else S
                for j in range(count):
                    scores[np.uint64(j)] = dot(row, 0, k, k_places[head] + j * k_step, D)
                if masked:
                    add_mask(scores, 0, count, mask, mask_places[head] + r * mask_step)
                top = row_maximum(scores, 0, count)
                total = exponentials(scores, 0, count, top if top > -np.inf else np.float32(0))
                if dropped:
                    drop(scores, 0, count, row_words[head * T + r], column_words, 0, least, kept_scale)
                j, at, apart = 0, v_places[head] // 4, v_step // 4
                while j < V:
                    tile_steps = matrix_steps(0, 0, 0, 1, apart)
                    if j + 4 * LANES <= V:
                        multiply_tile(1, 4, None, zeros, 0, scores, 0, v, at + j, (1, 1, count), tile_steps, sums, j)
                        j += 4 * LANES
                    else:
                        multiply_tile(1, 1, V - j, zeros, 0, scores, 0, v, at + j, (1, 1, count), tile_steps, sums, j)
                        j += LANES
                empty = total == 0
                lse[head * T + r] = 0 if empty else top + np.float32(math.log(total))
                factor = np.float32(0) if empty else np.float32(1) / total
                if not is_finite(store_row(sums, 0, factor, y, (y_places[head] + r * y_step) // 4, V)):
                    found[0] = 1

    return few
