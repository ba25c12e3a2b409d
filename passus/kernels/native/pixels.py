"""Images as rows of pixels, with the channels of a pixel side by side, and blocks of pixels that stay in the cache.

Sums are taken in float32 over a block of pixels, and in float64 over blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.layout import channels_second
from passus.kernels.native.compiling import inlined
from passus.kernels.native.layouts import with_channels_last
from passus.kernels.threads import collected, split

__all__ = ["SUMS", "Block", "block_size", "images_of", "next_block", "pixels_of", "split_pixels", "sums_of_pieces"]

BLOCK = 4096
"""Numbers in a block: 16 KiB, half of the first-level cache."""

PIECE = 1 << 16
"""Numbers that are worth a thread."""

SUMS = numba.float64[:, ::1]
"""Several sums for each channel, (sums, C)."""


class Block(NamedTuple):
    """Pixels from ``first`` to ``last``, each with this number of channels."""

    channels: int
    first: int
    last: int


def pixels_of(x: Array) -> Array:
    """(N, C, ...) as an array (pixels, C) without gaps."""
    return with_channels_last(x).reshape(-1, x.shape[1])


def images_of(pixels: Array, x: Array) -> Array:
    """An array (pixels, C) in the shape of ``x``, (N, C, ...): the inverse of `pixels_of`."""
    return channels_second(pixels.reshape(len(x), *x.shape[2:], x.shape[1]))


def split_pixels(work: Callable[[int, int], None], pixels: Array) -> None:
    """Call ``work(start, stop)`` for pieces of an array (pixels, C), in several threads."""
    split(work, len(pixels), -(-PIECE // pixels.shape[1]))


def sums_of_pieces(work: Callable[[Array, int, int], None], pixels: Array, count: int) -> list[Array]:
    """The sums (count, C) that ``work(sums, start, stop)`` adds up for each piece of an array (pixels, C), in order."""

    def one(start: int, stop: int) -> Array:
        sums = np.zeros((count, pixels.shape[1]))
        work(sums, start, stop)
        return sums

    return collected(one, len(pixels), -(-PIECE // pixels.shape[1]))


@inlined
def block_size(channels: Any) -> Any:
    """Number of pixels in a block."""
    return max(1, BLOCK // channels)


@inlined
def next_block(block: Any, c: Any) -> Any:
    """The index from which to prefetch the next block while the vector of channels from ``c`` on of this one is read.

    A block is read once for each vector of channels, in steps too wide for the processor to predict the next block. For each
    vector that is read, one of the next block is prefetched.
    """
    return block.last * block.channels + (block.last - block.first) * c
