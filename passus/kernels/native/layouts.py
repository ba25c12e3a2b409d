"""Images in the memory layout of kernels: channels last."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.layout import channels_last
from passus.kernels.native.compiling import FLAT, INTEGER, compiled
from passus.kernels.threads import split

__all__ = ["with_channels_last"]

IMAGES = numba.types.Array(numba.float32, 3, "C", readonly=True)

BLOCK = 1 << 12
"""Numbers that are moved at a time: source and target stay in the first-level cache."""

PIECE = 1 << 15
"""Numbers that are worth a thread."""


def with_channels_last(x: Array) -> Array:
    """(N, *size, C) without gaps in memory, from images (N, C, *size): a view if that is their layout, else a copy.

    Images with contiguous channels, as users give them, are copied in a third of the time of NumPy.
    """
    last = channels_last(x)
    if last.flags.c_contiguous or not x.flags.c_contiguous or x.dtype != np.float32:
        return np.ascontiguousarray(last)
    n, c, *size = x.shape
    y = np.empty((n, *size, c), np.float32)
    images, flat = x.reshape(n, c, math.prod(size)), y.reshape(-1)
    split(lambda start, stop: _interleaved(images, flat, start, stop), n, PIECE // (1 + c * math.prod(size)))
    return y


@compiled(numba.void(IMAGES, FLAT, INTEGER, INTEGER))
def _interleaved(x: Any, y: Any, start: Any, stop: Any) -> None:
    _, C, pixels = x.shape
    block = max(1, BLOCK // C)
    for n in range(start, stop):
        for first in range(0, pixels, block):
            last = min(first + block, pixels)
            for c in range(C):
                for p in range(first, last):
                    y[np.uint64((n * pixels + p) * C + c)] = x[n, c, p]
