"""Attention of few queries, as in generation with a cache: keys and values are read in place."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from passus.kernels.native.attention_arguments import Offsets, RowSteps, Weighting, forward_signature
from passus.kernels.native.attention_blocks import (
    COLUMNS,
    P,
    add_mask,
    dot,
    drop,
    exponentials,
    is_finite,
    load_rows,
    row_maximum,
    store_row,
)
from passus.kernels.native.buffers import aligned, aligned_zeros
from passus.kernels.native.compiling import compiled
from passus.kernels.native.pointers import At
from passus.kernels.native.simd import LANES
from passus.kernels.native.tile import matrix_steps, multiply_tile

__all__ = ["few_queries"]


@cache
def few_queries() -> Callable[..., None]:
    @compiled(forward_signature(0))
    def few(
        inputs: Any, results: Any, offsets: Any, row_steps: Any, sizes: Any, weighting: Any, start: Any, stop: Any
    ) -> None:
        (q, k, v, mask), (y, lse, not_finite) = inputs, results
        offsets, steps, weighting = Offsets(*offsets), RowSteps(*row_steps), Weighting(*weighting)
        T, S, D, V, _, _ = sizes
        # Memory is allocated here, because a call from Python costs as much as the rest of a short one.
        scores, row, zeros = aligned(S + LANES), aligned(P * D + LANES), aligned_zeros(4 * LANES)
        sums = aligned((V + COLUMNS - 1) // COLUMNS * COLUMNS)
        for unit in range(start, stop):
            head = offsets.order[unit]
            for r in range(T):
                load_rows(q, offsets.q[head] + r * steps.q, steps.q, 1, D, weighting.scale, row, D)
                count = max(0, S - T + r + 1) if weighting.causal else S
                for j in range(count):
                    scores[np.uint64(j)] = dot(row, 0, k, offsets.k[head] + j * steps.k, D)
                if weighting.masked:
                    add_mask(scores, 0, count, mask, offsets.mask[head] + r * steps.mask)
                top = row_maximum(scores, 0, count)
                total = exponentials(scores, 0, count, top if top > -np.inf else np.float32(0))
                if weighting.dropped:
                    drop(scores, 0, count, weighting.row_words[head * T + r], 0, weighting)
                j, at, counts = 0, offsets.v[head] // 4, (1, 1, count)
                tile_steps = matrix_steps(0, 0, 0, 1, steps.v // 4)
                while j < V:
                    D_, A, B, C = At(zeros, 0), At(scores, 0), At(v, at + j), At(sums, j)
                    if j + 4 * LANES <= V:
                        multiply_tile(1, 4, None, D_, A, B, counts, tile_steps, C)
                        j += 4 * LANES
                    else:
                        multiply_tile(1, 1, V - j, D_, A, B, counts, tile_steps, C)
                        j += LANES
                empty = total == 0
                lse[head * T + r] = 0 if empty else top + np.float32(math.log(total))
                factor = np.float32(0) if empty else np.float32(1) / total
                if not is_finite(store_row(sums, 0, factor, y, (offsets.y[head] + r * steps.y) // 4, V)):
                    not_finite[0] = 1

    return few
