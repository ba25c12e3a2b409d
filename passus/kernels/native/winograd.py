"""Convolution with kernels of 3 x 3 and stride 1 in a quarter of the multiplications, in float32.

Winograd's F(4 x 4, 3 x 3): squares of 6 x 6 pixels of the image, four apart, and the kernels are transformed; 36 matrix products,
one for each position in a square, replace the sum over the kernel; and their results are transformed back to squares of 4 x 4
pixels. With the transformation matrices, ``Y = At [(G g Gt) * (Bt d B)] A``, so the gradient for the kernel is
``Gt [(A gY At) * (Bt d B)] G``. A non-finite number affects its whole square.

Source: Lavin and Gray, 2016, "Fast algorithms for convolutional neural networks".
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.layout import Sizes
from passus.kernels.native.bands import IMAGES, INTEGERS, PIXELS_IN_FLOAT32, Window2d, as_memory
from passus.kernels.native.buffers import aligned, aligned_zeros
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.limits import ENDING, Ending, Plan, end_rows
from passus.kernels.native.pointers import At
from passus.kernels.native.simd import LANES, first_lanes
from passus.kernels.native.tile import even_tiles_for, matrix_steps, multiply_tiles, rows_in_larger_tiles, tiles_for
from passus.kernels.native.winograd_transforms import (
    POSITIONS,
    SIDE,
    store_square,
    transform_gradients,
    transform_images,
    transform_kernels,
    transform_kernels_back,
)
from passus.kernels.native.works import New, Work
from passus.kernels.threads import split, summed

__all__ = ["suits", "winograd_gradient", "winograd_plan"]

BUFFER = 1 << 19
"""Numbers of transformed squares, of images and results together, that are in use at a time: 2 MiB."""

MIN_SQUARES = 8
"""Minimum number of squares."""

KERNELS = 1 << 14
"""Pairs of channels that are worth a thread when their kernels are transformed."""

PIECE = 1 << 20
"""Multiplications that are worth a thread."""

SHIFT = LANES
"""Padding between two matrices, so that the same row of all of them does not compete for the same cache lines."""


def suits(kernel: Sizes, window: Window2d, channels: tuple[int, int], groups: int, out: Sizes) -> bool:
    """Whether this is such a convolution, with enough channels and pixels to amortize the transforms.

    ``channels``: of input and output. ``out``: number of images, rows and columns of the output. Squares should not extend
    far beyond it, and there should be enough of them to amortize the transform of the kernels.
    """
    plain = kernel == (3, 3) and window[:4] == (1, 1, 1, 1) and groups == 1
    (c, o), (n, oh, ow) = channels, out
    squares = _squares(oh) * _squares(ow)
    return (
        plain and c >= LANES // 2 and o >= LANES and POSITIONS * squares <= 6 * oh * ow and n * squares >= MIN_SQUARES
    )


def _squares(pixels: int) -> int:
    return -(-pixels // SIDE)


def _squares_per_block(c: int, o: int) -> int:
    """Number of squares in use at a time: enough to use each weight often, and few enough to stay in the cache."""
    return max(1, min(128, BUFFER // (POSITIONS * (c + o))))


def winograd_plan(size: Sizes, out: Sizes, w: Array, bias: Array, columns: int, window: Window2d) -> Plan:
    """A convolution of images (N, H, W, C) to (N, OH, OW, O), with packed weights w (tiles, 9, C * columns)."""
    n, oh, ow, o = out
    u = aligned(len(w) * POSITIONS * w.shape[2])
    flat, numbers = w.reshape(-1), w.shape[2]
    split(lambda start, stop: transform_kernels(flat, u, numbers, start, stop), len(w), KERNELS // numbers)
    block = _squares_per_block(size[3], columns)
    tile, nothing = tiles_for(block, columns, True), np.zeros(columns, np.float32)
    lines = max(1, min(block // _squares(ow), n * _squares(oh)))
    room = max(tile[1], lines * _squares(ow))
    apart = room * size[3] + SHIFT, room * columns + SHIFT
    band = (SIDE * min(lines, _squares(oh)) + 2) * (SIDE * _squares(ow) + 2) * size[3]
    sizes = (oh, ow), (tile[0], columns, o), (window.pad_top, window.pad_left), (lines, *apart)
    piece = PIECE // (1 + POSITIONS * _squares(ow) * size[3] * o)
    scratch = POSITIONS * sum(apart) + band

    def winograd(y: Array, x: Array, ending: Ending, new: New) -> list[Work]:
        return [
            Work(_winograd, (x, u, bias, nothing, *as_memory(y), *sizes, *ending), n * _squares(oh), piece, scratch)
        ]

    return winograd


def winograd_gradient(x: Array, gy: Array, columns: int, window: Window2d) -> Array:
    """The gradient (9, C * O) for the weights, from x (N, H, W, C) and gy (N, OH, OW, O)."""
    n, oh, ow, o = gy.shape
    c = x.shape[3]
    block = _squares_per_block(c, o)
    tile = even_tiles_for(c, columns, o % columns == 0)

    def add_to(total: Array, start: int, stop: int) -> None:
        _winograd_gradient(x, gy, total, (*tile, window.pad_top, window.pad_left), block, start, stop)

    total = summed(
        add_to,
        lambda: aligned_zeros(POSITIONS * c * o),
        n * _squares(oh),
        PIECE // (1 + POSITIONS * _squares(ow) * c * o),
        max(1, PIXELS_IN_FLOAT32 // _squares(ow)),
    )
    gW = np.empty((9, c * o), np.float32)
    split(lambda start, stop: transform_kernels_back(total, gW.reshape(-1), c * o, start, stop), c * o, KERNELS)
    return gW


@compiled(
    numba.void(
        *(IMAGES, READ, READ, READ, FLAT, INTEGERS[4], INTEGERS[2], INTEGERS[3], INTEGERS[2], INTEGERS[3]),
        *(*ENDING, FLAT, INTEGER, INTEGER),
    ),
    allocates=False,
)
def _winograd(
    x: Any,
    u: Any,
    bias: Any,
    nothing: Any,
    y: Any,
    memory: Any,
    out: Any,
    tile: Any,
    pads: Any,
    room: Any,
    added: Any,
    low: Any,
    high: Any,
    scratch: Any,
    start: Any,
    stop: Any,
) -> None:
    """Rows of squares from ``start`` to ``stop``, those of all images counted together.

    ``tile``: the function of tiles of squares and output channels, the number of these channels, and that of all. ``room``: the
    number of these rows that are computed at a time, and the distances of two transformed matrices of squares, and of results.
    """
    C, (function, columns, o) = x.shape[3], tile
    (origin, image, row, pixel), (oh, ow) = memory, out
    squares = (oh + SIDE - 1) // SIDE, (ow + SIDE - 1) // SIDE
    lines, apart_in, apart_out = room
    V, M = scratch, scratch[POSITIONS * apart_in :]
    band = M[POSITIONS * apart_out :]
    steps = matrix_steps(d_row=0, a_row=C, c_row=columns, a_k=1, b_k=columns)
    for begin in range(start, stop, lines):
        end = min(begin + lines, stop)
        count = (end - begin) * squares[1]
        transform_images(x, band, V, pads, squares, apart_in, begin, end)
        for o0 in range(0, o, columns):
            for position in range(POSITIONS):
                weights = (o0 // columns * POSITIONS + position) * C * columns
                A, target = At(V, position * apart_in), At(M, position * apart_out)
                multiply_tiles(function, columns, At(nothing, 0), A, At(u, weights), (1, 1, C), steps, target, count)
            for at in range(begin, end):
                n, r = at // squares[0], SIDE * (at % squares[0])
                for q in range(squares[1]):
                    t = ((at - begin) * squares[1] + q) * columns
                    target = origin + n * image + r * row + SIDE * q * pixel + o0
                    valid = (oh - r, ow - SIDE * q)
                    for c in range(0, min(columns, o - o0), LANES):
                        lanes = first_lanes(o - o0 - c)
                        store_square(M, t + c, apart_out, bias, o0 + c, y, target + c, (row, pixel), valid, lanes)
        first, last = _first_row(begin, squares[0], oh), _first_row(end, squares[0], oh)
        end_rows(y, added, low, high, first * ow * o, last * ow * o)


@inlined
def _first_row(at: Any, squares: Any, oh: Any) -> Any:
    """The first row of the output in a row of squares, both counted over all images."""
    return at // squares * oh + SIDE * (at % squares)


@compiled(numba.void(IMAGES, IMAGES, FLAT, INTEGERS[6], INTEGER, INTEGER, INTEGER))
def _winograd_gradient(x: Any, gy: Any, total: Any, tile: Any, block: Any, start: Any, stop: Any) -> None:
    """The sum over rows of squares from ``start`` to ``stop``, added to ``total``: 36 matrices (C, O).

    ``tile``: the functions of tiles of some input channels, and of one less; this number; that of output channels in a tile; and the
    padding above and to the left.
    """
    C, (_, oh, ow, o), (of_larger, of_smaller, P, columns, top, left) = x.shape[3], gy.shape, tile
    pads = top, left
    squares = (oh + SIDE - 1) // SIDE, (ow + SIDE - 1) // SIDE
    lines = max(1, block // squares[1])
    room = min(lines, stop - start) * squares[1]
    band = np.empty((SIDE * min(lines, squares[0]) + 2) * (SIDE * squares[1] + 2) * C, np.float32)
    apart_in, apart_out = room * C + SHIFT, room * o + SHIFT
    V, Z = aligned(POSITIONS * apart_in), aligned(POSITIONS * apart_out)
    steps, larger = matrix_steps(d_row=o, a_row=1, c_row=o, a_k=C, b_k=o), rows_in_larger_tiles(C, P)
    for begin in range(start, stop, lines):
        end = min(begin + lines, stop)
        counts = (1, 1, (end - begin) * squares[1])
        transform_images(x, band, V, pads, squares, apart_in, begin, end)
        transform_gradients(gy, Z, squares, apart_out, begin, end)
        for position in range(POSITIONS):
            a, b = position * apart_in, position * apart_out
            for o0 in range(0, o, columns):
                B, lanes = At(Z, b + o0), o - o0
                A, sums = At(V, a), At(total, position * C * o + o0)
                multiply_tiles(of_larger, lanes, sums, A, B, counts, steps, sums, larger)
                A, sums = At(V, a + larger), At(total, (position * C + larger) * o + o0)
                multiply_tiles(of_smaller, lanes, sums, A, B, counts, steps, sums, C - larger)
