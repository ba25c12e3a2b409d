"""Scratch arrays of kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.kernels.native.compiling import FLAT, INTEGER, compiled
from passus.kernels.native.simd import LANES

__all__ = ["LINE", "aligned", "aligned_zeros"]

LINE = 16
"""Numbers in a line of the cache."""


@compiled(FLAT(INTEGER))
def aligned(count: Any) -> Any:
    """Memory in which no vector straddles two lines of the cache, which makes repeated loads faster."""
    numbers = np.empty(count + LANES, np.float32)
    first = -numbers.ctypes.data % (4 * LANES) // 4
    return numbers[first : first + count]


@compiled(FLAT(INTEGER))
def aligned_zeros(count: Any) -> Any:
    """Aligned memory filled with zeros."""
    numbers = aligned(count)
    numbers[:] = 0
    return numbers
