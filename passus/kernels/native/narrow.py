"""Convolution to a few channels, which leave most of a vector empty, in float32.

There are two ways to fill a vector. The first uses neighbouring pixels of a row: with channels last, m pixels with O channels
are one pixel with m * O channels, and its kernel repeats the rows of the original m times, each one stride further to the
right, with zeros around them. The second uses all positions in a row of the kernel as channels: their results for each column
of the image are then added to the outputs that contain it. A non-finite number affects all m neighbours.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.layout import Sizes
from passus.kernels.native.bands import IMAGES, INTEGERS, Window2d, as_memory
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled
from passus.kernels.native.limits import ENDING, Ending, end_rows
from passus.kernels.native.processor import rows_of_tile
from passus.kernels.native.simd import LANES, first_lanes, load, store
from passus.kernels.native.works import Work

__all__ = ["add_columns", "joined_gradient", "joined_kernel", "kernel_of_columns", "neighbours", "suits_columns"]

PIECE = 1 << 13
"""Sums of a vector that are worth a thread."""

STORE_COST = 27
"""Steps of a sum that take as long as storing its result. This and the next three were fitted to 24 convolutions."""

NEXT_VECTOR_COST = 0.87
"""Time of a step for each vector after the first, relative to the first."""

IN_FLIGHT = 9
"""Number of independent sums that hide the latency of an addition."""

ADD_COST = 12
"""Steps of a sum that take as long as adding one more column."""


@cache
def neighbours(o: int, c: int, kernel: Sizes, window: Window2d, out: int) -> int:
    """Number of neighbouring pixels that are computed together, in a row of ``out``; 1 if that is not faster."""
    possible = _possible(o, kernel, window, out)
    return min(possible, key=lambda m: _cost(m, o, c, kernel, window, out)) if len(possible) > 1 else 1


@cache
def suits_columns(o: int, c: int, kernel: Sizes, window: Window2d, width: int, out: int, joins: bool) -> bool:
    """Whether positions in a row of the kernel should become channels, in images of this width. ``joins``: whether neighbours
    could be computed together instead.
    """
    if o >= LANES or kernel[1] == 1:
        return False
    steps = kernel[0] * c * (1 + NEXT_VECTOR_COST * (-(-kernel[1] * o // LANES) - 1))
    columns = (steps + STORE_COST + ADD_COST * kernel[1]) * width / max(1, out)
    others = _possible(o, kernel, window, out) if joins else [1]
    return all(columns < _cost(m, o, c, kernel, window, out) for m in others)


def _possible(o: int, kernel: Sizes, window: Window2d, out: int) -> list[int]:
    if not 0 < o < LANES or window.dilation_w > 1 or kernel == (1, 1):
        return [1]
    return [m for m in range(1, 2 * LANES // o + 1) if out % m == 0]


def _cost(m: int, o: int, c: int, kernel: Sizes, window: Window2d, out: int) -> float:
    """The time for one pixel of m, in steps of a sum in one vector."""
    vectors = -(-m * o // LANES)
    steps = c * kernel[0] * (kernel[1] + (m - 1) * window.stride_w) * (1 + NEXT_VECTOR_COST * (vectors - 1))
    return (steps * max(1, IN_FLIGHT / (rows_of_tile(out // m, vectors) * vectors)) + STORE_COST) / m


def joined_kernel(W: Array, m: int, stride: int) -> Array:
    """The kernel (1, m * O, C, KH, KW + (m - 1) * stride) for m neighbours, from one of (1, O, C, KH, KW)."""
    _, o, c, kh, kw = W.shape
    joined = np.zeros((m, o, c, kh, kw + (m - 1) * stride), np.float32)
    for p in range(m):
        joined[p, ..., p * stride : p * stride + kw] = W[0]
    return joined.reshape(1, m * o, *joined.shape[2:])


def joined_gradient(gW: Array, m: int, stride: int) -> Array:
    """The gradient for a kernel (O, C, KH, KW) from that for m neighbours."""
    parts, kw = gW.reshape(m, -1, *gW.shape[1:]), gW.shape[3] - (m - 1) * stride
    return np.add.reduce([parts[p, ..., p * stride : p * stride + kw] for p in range(m)])


def kernel_of_columns(W: Array) -> Array:
    """The kernel (1, KW * O, C, KH, 1) from one of (1, O, C, KH, KW)."""
    _, o, c, kh, kw = W.shape
    return W.transpose(0, 4, 1, 2, 3).reshape(1, kw * o, c, kh, 1)


def add_columns(y: Array, z: Array, bias: Array, kw: int, window: Window2d, ending: Ending) -> Work:
    """The work that writes the output to y (N, OH, OW, O), from the result of the kernel of columns, z (N, OH, W, KW * O)."""
    n, oh, ow, o = y.shape
    arguments = (z, bias, *as_memory(y), (oh, ow), (o, kw), tuple(window), *ending)
    return Work(_add_columns, arguments, n * oh, PIECE // (1 + ow * kw))


@compiled(
    numba.void(IMAGES, READ, FLAT, INTEGERS[4], INTEGERS[2], INTEGERS[2], INTEGERS[6], *ENDING, INTEGER, INTEGER),
    allocates=False,
)
def _add_columns(
    z: Any,
    bias: Any,
    y: Any,
    memory: Any,
    out: Any,
    channels: Any,
    window: Any,
    added: Any,
    low: Any,
    high: Any,
    start: Any,
    stop: Any,
) -> None:
    """Rows of output from ``start`` to ``stop``, those of all images counted together."""
    (origin, image, row, pixel), (oh, ow), (o, kw), window = memory, out, channels, Window2d(*window)
    width, lanes, sums = z.shape[2], first_lanes(o), z.reshape(-1)
    for at in range(start, stop):
        line, target = at * width, origin + at // oh * image + at % oh * row
        for q in range(ow):
            total = load(bias, 0, lanes)
            for j in range(kw):
                column = q * window.stride_w + j * window.dilation_w - window.pad_left
                if 0 <= column < width:
                    total = total + load(sums, ((line + column) * kw + j) * o, lanes)
            store(y, target + q * pixel, total, lanes)
        end_rows(y, added, low, high, at * ow * o, (at + 1) * ow * o)
