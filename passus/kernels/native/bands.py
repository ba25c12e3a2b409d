"""Rows of an image with the border around them, in an array that stays in the processor's cache."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from passus.backend import Array
from passus.kernels.native.compiling import FLAT, INTEGER, compiled, inlined
from passus.kernels.native.simd import LANES, all_lanes, first_lanes, load, splat, store

__all__ = [
    "IMAGES",
    "INTEGERS",
    "PIXELS_IN_A_ROW",
    "Window",
    "as_memory",
    "copy_band",
    "images_in_a_row",
    "measured",
]

BAND = 32768
"""How many numbers of an image are kept at hand: 128 KiB leave room for weights in the second-level cache."""

PIXELS_IN_A_ROW = 1 << 13
"""Over how many pixels gradients for weights are summed in float32; sums of them are added up in float64."""

BAND_OUT = 2 * BAND
"""How many numbers of the output are at work at a time, for it is met once for each vector of channels."""

IMAGES = numba.types.Array(numba.float32, 4, "C", readonly=True)
"""(N, H, W, C) without gaps."""

INTEGERS = {n: numba.types.UniTuple(INTEGER, n) for n in (2, 4, 6)}
"""Tuples of whole numbers, by their length."""


class Window(NamedTuple):
    """How output and input lie to each other: output ``(r, q)`` and place ``(i, j)`` of the kernel meet at pixel
    ``(r * rise + i * down - top, q * run + j * across - left)`` of the input.
    """

    rise: int
    run: int
    down: int
    across: int
    top: int
    left: int


def images_in_a_row(gy: Array) -> int:
    """Over how many images (N, OH, OW, O) gradients for weights are summed in float32."""
    pixels: int = gy.shape[1] * gy.shape[2]
    return max(1, PIXELS_IN_A_ROW // max(1, pixels))


def as_memory(y: Array) -> tuple[Array, tuple[int, ...]]:
    """All the memory behind images (N, H, W, C), flat, and where they lie in it: the first number of the first, and how
    far apart images, rows and pixels are.
    """
    steps = [step // y.itemsize for step in y.strides[:3]]
    if y.base is None:
        return y.reshape(-1), (0, *steps)
    return y.base.reshape(-1), ((y.ctypes.data - y.base.ctypes.data) // y.itemsize, *steps)


@numba.njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def measured(images: Any, out: Any, size: Any, window: Any) -> Any:
    """How wide a band is, for how many rows of output it serves, and how many numbers it holds; 0 if the window never
    leaves the image, which then needs no copy. ``out``: how many rows, columns and channels the output has.
    """
    _, H, W, C = images
    (oh, ow, o), (kh, kw) = out, size
    rise, run, down, across, top, left = window
    width = (ow - 1) * run + (kw - 1) * across + 1
    fits = max(1, min((BAND // (width * C) - (kh - 1) * down) // rise, BAND_OUT // max(1, ow * o)))
    if top == 0 and left == 0 and width <= W and (oh - 1) * rise + (kh - 1) * down < H:
        return width, fits, 0
    return width, fits, ((min(fits, oh) - 1) * rise + (kh - 1) * down + 1) * width * C


@inlined
def _fill(band: Any, start: Any, count: Any) -> None:
    """Zeros: a border is short, often shorter than a vector."""
    for i in range(start, start + count, LANES):
        store(band, i, splat(np.float32(0)), first_lanes(start + count - i))


@compiled(numba.void(FLAT, IMAGES, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER))
def copy_band(band: Any, x: Any, n: Any, row: Any, rows: Any, left: Any, width: Any) -> None:
    """Rows of an image from ``row`` on, and columns from ``-left`` on; zeros where there is no image."""
    _, h, w, c = x.shape
    images = x.reshape(-1)
    # A window may lie in the border altogether, on either side.
    before = min(max(0, left), width) * c
    inside = max(0, min(w, width - left) - max(0, -left)) * c
    after = width * c - before - inside
    whole = inside - inside % LANES
    for r in range(rows):
        line = r * width * c
        if not 0 <= row + r < h:
            _fill(band, line, width * c)
            continue
        _fill(band, line, before)
        target, source = line + before, ((n * h + row + r) * w + max(0, -left)) * c
        for i in range(0, whole, LANES):
            store(band, target + i, load(images, source + i, all_lanes()), all_lanes())
        rest = first_lanes(inside - whole)
        store(band, target + whole, load(images, source + whole, rest), rest)
        _fill(band, target + inside, after)
