"""Loops over contiguous numbers, a vector at a time: whole vectors first, then the rest under a mask.

A body is an inlined function. Both loops write it twice: with the mask of a whole vector, whose loads and stores become plain
ones, and with that of the first lanes. What it reads and writes is passed on to it as one tuple.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.kernels.native.compiling import inlined
from passus.kernels.native.simd import LANES, all_lanes, first_lanes, splat, sum_of_lanes

__all__ = ["BLOCK", "fold_vectors", "for_vectors", "sum_vectors", "sums_of_vectors"]

BLOCK = 4096
"""Numbers that are added in float32."""


@inlined
def for_vectors(body: Any, arguments: Any, count: Any) -> None:
    """Call ``body(arguments, i, lanes)`` for each vector of ``count`` numbers; i is the index of its first one."""
    whole = count - count % LANES
    for i in range(0, whole, LANES):
        body(arguments, i, all_lanes())
    if whole < count:
        body(arguments, whole, first_lanes(count - whole))


@inlined
def fold_vectors(body: Any, total: Any, arguments: Any, count: Any) -> Any:
    """Replace ``total`` by ``body(total, arguments, i, lanes)`` for each vector of ``count`` numbers, and return it."""
    whole = count - count % LANES
    for i in range(0, whole, LANES):
        total = body(total, arguments, i, all_lanes())
    if whole < count:
        total = body(total, arguments, whole, first_lanes(count - whole))
    return total


@inlined
def sum_vectors(body: Any, arguments: Any, count: Any) -> Any:
    """Sum the vectors ``body(arguments, i, lanes)``, 0 in masked lanes: in float32 over blocks, in float64 over blocks' sums."""
    total, whole = 0.0, count - count % LANES
    for start in range(0, whole, BLOCK):
        block = splat(np.float32(0))
        for i in range(start, min(start + BLOCK, whole), LANES):
            block = block + body(arguments, i, all_lanes())
        total += sum_of_lanes(block)
    if whole < count:
        total += sum_of_lanes(body(arguments, whole, first_lanes(count - whole)))
    return total


@inlined
def sums_of_vectors(body: Any, arguments: Any, count: Any) -> Any:
    """Likewise the two sums of the pairs of vectors ``body(arguments, i, lanes)``."""
    total0, total1, whole = 0.0, 0.0, count - count % LANES
    for start in range(0, whole, BLOCK):
        block0, block1 = splat(np.float32(0)), splat(np.float32(0))
        for i in range(start, min(start + BLOCK, whole), LANES):
            a, b = body(arguments, i, all_lanes())
            block0, block1 = block0 + a, block1 + b
        total0 += sum_of_lanes(block0)
        total1 += sum_of_lanes(block1)
    if whole < count:
        a, b = body(arguments, whole, first_lanes(count - whole))
        total0 += sum_of_lanes(a)
        total1 += sum_of_lanes(b)
    return total0, total1
