"""Updates of large arrays without large temporaries: block by block, with scratch arrays that stay in cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from passus.backend import Array, Writable

__all__ = ["BLOCK", "Scratch", "blocks"]

BLOCK = 1 << 15
"""Number of elements in a block: six such blocks of float32 fit into the second-level cache together."""


class Scratch:
    """Arrays for intermediate results, reused by every call; their contents are arbitrary at first.

    >>> scratch = Scratch()
    >>> scratch(np.zeros((2, 3))).shape
    (2, 3)
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[Any, int], Array] = {}
        self._views: dict[tuple[Any, Any, int], Array] = {}

    def __call__(self, x: Array, index: int = 0) -> Array:
        """Return an array of the shape and dtype of ``x``; arrays in use at the same time have different indices."""
        if isinstance(x, Writable):
            return x.scratch()
        key = (x.shape, x.dtype, index)
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = self._buffer(x, index)[: x.size].reshape(x.shape)
        return view

    def _buffer(self, x: Array, index: int) -> Array:
        buffer = self._buffers.get((x.dtype, index))
        if buffer is None or buffer.size < x.size:
            buffer = self._buffers[x.dtype, index] = np.empty_like(x, shape=max(x.size, BLOCK))
            self._views.clear()  # The views would keep the smaller buffer alive.
        return buffer


def blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Yield flat blocks of `BLOCK` elements of arrays of one shape; whole arrays if they are small or not contiguous.

    >>> [len(x) for x, in blocks(np.zeros(BLOCK + 1))]
    [32768, 1]
    """
    size = arrays[0].size
    if size <= BLOCK or not all(isinstance(x, np.ndarray) and x.flags.c_contiguous for x in arrays):
        yield arrays
        return
    flat = [x.reshape(-1) for x in arrays]
    for start in range(0, size, BLOCK):
        yield tuple([x[start : start + BLOCK] for x in flat])
