"""Arrays that kernels work in."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.kernels.native.compiling import FLAT, INTEGER, compiled
from passus.kernels.native.simd import LANES

__all__ = ["LINE", "aligned", "aligned_zeros"]

LINE = 16
"""How many numbers a line of the cache holds."""


@compiled(FLAT(INTEGER))
def aligned(count: Any) -> Any:
    """Memory in which no vector lies on two lines of the cache: what is loaded again and again is loaded faster so."""
    numbers = np.empty(count + LANES, np.float32)
    first = -numbers.ctypes.data % (4 * LANES) // 4
    return numbers[first : first + count]


@compiled(FLAT(INTEGER))
def aligned_zeros(count: Any) -> Any:
    """Such memory, with zeros in it."""
    numbers = aligned(count)
    numbers[:] = 0
    return numbers
