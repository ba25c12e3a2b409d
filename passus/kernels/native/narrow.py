"""Convolution to a few channels, which leave most of a vector empty, in float32.

All places in a row of the kernel are taken as channels instead: they fill vectors. What they give for each column of the
image is then added up where the kernel would have met it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.native.bands import IMAGES, INTEGERS, Window, as_memory
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled
from passus.kernels.native.simd import LANES, add, first_lanes, load, store
from passus.kernels.threads import split

__all__ = ["added_up", "is_narrow", "kernel_of_columns"]

PIECE = 1 << 13
"""How many sums of a vector are worth a thread of their own."""


def is_narrow(o: int, c: int, size: list[int], width: int, out: int) -> bool:
    """Whether there are fewer vectors for the columns of an image than for the results; long sums make up for the rest."""
    vectors = -(-size[1] * o // LANES)
    return o <= LANES and c * size[0] >= LANES and 2 * vectors * width <= size[1] * out


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
