"""Rows of an image with the border around them, in an array that stays in the processor's cache."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba

from passus.backend import Array
from passus.kernels.native.compiling import FLAT, INTEGER, compiled

__all__ = ["IMAGES", "INTEGERS", "Window", "as_memory", "copy_band", "measured"]

BAND = 32768
"""How many numbers of an image are kept at hand: 128 KiB leave room for weights in the second-level cache."""

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


def as_memory(y: Array) -> tuple[Array, tuple[int, ...]]:
    """All the memory behind images (N, H, W, C), flat, and where they lie in it: the first number of the first, and how
    far apart images, rows and pixels are.
    """
    whole = y if y.base is None else y.base
    first = (y.ctypes.data - whole.ctypes.data) // y.itemsize
    return whole.reshape(-1), (first, *[step // y.itemsize for step in y.strides[:3]])


@numba.njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def measured(images: Any, out: Any, size: Any, window: Any) -> Any:
    """How wide a band is, for how many rows of output it serves, and how many numbers it holds; 0 if the window never
    leaves the image, which then needs no copy.
    """
    _, H, W, C = images
    (oh, ow), (kh, kw) = out, size
    rise, run, down, across, top, left = window
    width = (ow - 1) * run + (kw - 1) * across + 1
    fits = max(1, (BAND // (width * C) - (kh - 1) * down) // rise)
    if top == 0 and left == 0 and width <= W and (oh - 1) * rise + (kh - 1) * down < H:
        return width, fits, 0
    return width, fits, ((min(fits, oh) - 1) * rise + (kh - 1) * down + 1) * width * C


@compiled(numba.void(FLAT, IMAGES, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER))
def copy_band(band: Any, x: Any, n: Any, row: Any, rows: Any, left: Any, width: Any) -> None:
    """Rows of an image from ``row`` on, and columns from ``-left`` on; zeros where there is no image."""
    _, h, w, c = x.shape
    image = x[n].reshape(-1)
    before = max(0, left)
    inside = max(0, min(w, width - left) - max(0, -left))
    for r in range(rows):
        line = band[r * width * c : (r + 1) * width * c]
        if not 0 <= row + r < h:
            line[:] = 0
            continue
        first = ((row + r) * w + max(0, -left)) * c
        line[: before * c] = 0
        line[before * c : (before + inside) * c] = image[first : first + inside * c]
        line[(before + inside) * c :] = 0
