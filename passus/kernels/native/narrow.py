"""Convolution to a few channels, which leave most of a vector empty, in float32.

One of two things fills vectors. Neighbouring pixels of a row: with channels last, m of them with O channels are one pixel
with m * O channels, and the kernel that gives it has its rows m times, each a stride further to the right, with zeros around
them. Or all places in a row of the kernel, taken as channels: what they give for each column of the image is then added up
where the kernel would have met it. A number that is not finite reaches all m neighbours.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.layout import Sizes
from passus.kernels.native.bands import IMAGES, INTEGERS, Window, as_memory
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled
from passus.kernels.native.processor import rows_of_tile
from passus.kernels.native.simd import LANES, add, first_lanes, load, store
from passus.kernels.threads import split

__all__ = ["added_up", "joined_gradient", "joined_kernel", "kernel_of_columns", "neighbours", "takes_columns"]

PIECE = 1 << 13
"""How many sums of a vector are worth a thread of their own."""

STORED = 27
"""How many steps of a sum take as long as storing its result. This and what follows was fitted to 24 convolutions."""

SECOND = 0.87
"""What each vector after the first adds to the time of a step."""

UNDER_WAY = 9
"""How many sums must be under way at a time, or the processor waits for one step of a sum before it can take the next."""

ADDED = 12
"""How many steps of a sum take as long as adding up one more column."""


@cache
def neighbours(o: int, c: int, kernel: Sizes, window: Window, out: int) -> int:
    """How many neighbouring pixels are computed together, in a row of ``out``; 1 if they do better alone."""
    possible = _possible(o, kernel, window, out)
    return min(possible, key=lambda m: _cost(m, o, c, kernel, window, out)) if len(possible) > 1 else 1


@cache
def takes_columns(o: int, c: int, kernel: Sizes, window: Window, width: int, out: int, joins: bool) -> bool:
    """Whether places in a row of the kernel should be taken as channels, in images of this width; ``joins``: whether
    neighbours could be computed together instead.
    """
    if o >= LANES or kernel[1] == 1:
        return False
    steps = kernel[0] * c * (1 + SECOND * (-(-kernel[1] * o // LANES) - 1))
    columns = (steps + STORED + ADDED * kernel[1]) * width / max(1, out)
    others = _possible(o, kernel, window, out) if joins else [1]
    return all(columns < _cost(m, o, c, kernel, window, out) for m in others)


def _possible(o: int, kernel: Sizes, window: Window, out: int) -> list[int]:
    if not 0 < o < LANES or window.across > 1 or kernel == (1, 1):
        return [1]
    return [m for m in range(1, 2 * LANES // o + 1) if out % m == 0]


def _cost(m: int, o: int, c: int, kernel: Sizes, window: Window, out: int) -> float:
    """The time for one pixel of m, in steps of a sum in one vector."""
    vectors = -(-m * o // LANES)
    steps = c * kernel[0] * (kernel[1] + (m - 1) * window.run) * (1 + SECOND * (vectors - 1))
    return (steps * max(1, UNDER_WAY / (rows_of_tile(out // m, vectors) * vectors)) + STORED) / m


def joined_kernel(W: Array, m: int, run: int) -> Array:
    """The kernel (1, m * O, C, KH, KW + (m - 1) * run) for m neighbours, from one of (1, O, C, KH, KW)."""
    _, o, c, kh, kw = W.shape
    joined = np.zeros((m, o, c, kh, kw + (m - 1) * run), np.float32)
    for p in range(m):
        joined[p, ..., p * run : p * run + kw] = W[0]
    return joined.reshape(1, m * o, *joined.shape[2:])


def joined_gradient(gW: Array, m: int, run: int) -> Array:
    """The gradient for a kernel (O, C, KH, KW) from that for m neighbours."""
    parts, kw = gW.reshape(m, -1, *gW.shape[1:]), gW.shape[3] - (m - 1) * run
    return np.add.reduce([parts[p, ..., p * run : p * run + kw] for p in range(m)])


def kernel_of_columns(W: Array) -> Array:
    """The kernel (1, KW * O, C, KH, 1) from one of (1, O, C, KH, KW)."""
    _, o, c, kh, kw = W.shape
    return W.transpose(0, 4, 1, 2, 3).reshape(1, kw * o, c, kh, 1)


def added_up(y: Array, z: Array, b: Array | None, kw: int, window: Window) -> None:
    """Y (N, OH, OW, O) from what the kernel of columns gives, z (N, OH, W, KW * O)."""
    n, oh, ow, o = y.shape
    bias = np.zeros(o, np.float32) if b is None else np.ascontiguousarray(b)
    arguments = (z, bias, *as_memory(y), (oh, ow), (o, kw), tuple(window))

    def work(start: int, stop: int) -> None:
        _added_up(*arguments, start, stop)

    split(work, n * oh, PIECE // (1 + ow * kw))


@compiled(numba.void(IMAGES, READ, FLAT, INTEGERS[4], INTEGERS[2], INTEGERS[2], INTEGERS[6], INTEGER, INTEGER))
def _added_up(
    z: Any, bias: Any, y: Any, steps: Any, out: Any, channels: Any, window: Any, start: Any, stop: Any
) -> None:
    """Rows of output from ``start`` to ``stop``, those of all images counted together."""
    (first, image, row, pixel), (oh, ow), (o, kw) = steps, out, channels
    _, run, _, across, _, left = window
    width, lanes, sums = z.shape[2], first_lanes(o), z.reshape(-1)
    for at in range(start, stop):
        line, target = at * width, first + at // oh * image + at % oh * row
        for q in range(ow):
            total = load(bias, 0, lanes)
            for j in range(kw):
                column = q * run + j * across - left
                if 0 <= column < width:
                    total = add(total, load(sums, ((line + column) * kw + j) * o, lanes))
            store(y, target + q * pixel, total, lanes)
