"""How large arrays are updated without large temporaries: piece by piece, with scratch arrays that stay in cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from passus.backend import Array

__all__ = ["BLOCK", "Scratch", "blocks"]

BLOCK = 1 << 14
"""Elements in a piece: half a dozen such pieces of float32 fit into the second-level cache together."""


class Scratch:
    """Arrays for intermediate results, used again at every call; what they hold at first is arbitrary.

    >>> scratch = Scratch()
    >>> scratch(np.zeros((2, 3))).shape
    (2, 3)
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[np.dtype[np.generic], int], Array] = {}

    def __call__(self, x: Array, index: int = 0) -> Array:
        """An array of the shape and dtype of ``x``; of those in use at the same time, each has an index of its own."""
        size = x.size
        buffer = self._buffers.get((x.dtype, index))
        if buffer is None or buffer.size < size:
            buffer = self._buffers[x.dtype, index] = np.empty_like(x, shape=size)
        return buffer[:size].reshape(x.shape)


def blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The arrays, all of one shape, in flat pieces of `BLOCK` elements; whole if they are small or not contiguous.

    >>> [len(x) for x, in blocks(np.zeros(BLOCK + 1))]
    [16384, 1]
    """
    size = arrays[0].size
    if size <= BLOCK or not all(x.flags.c_contiguous for x in arrays):
        yield arrays
        return
    flat = [x.reshape(-1) for x in arrays]
    for start in range(0, size, BLOCK):
        yield tuple([x[start : start + BLOCK] for x in flat])
