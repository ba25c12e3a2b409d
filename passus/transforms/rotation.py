"""Random rotations of images."""

from __future__ import annotations

import math
from typing import final

import numpy as np

from passus.arguments import checked_number, checked_real
from passus.backend import Array
from passus.random import RNG
from passus.transforms.randomness import (
    RandomTransform,
    checked_range,
    fill_value,
    in_dtype,
    scaled_to,
    working_dtype,
)

__all__ = ["RandomRotation"]


@final
class RandomRotation(RandomTransform):
    """Rotate an image (..., H, W) about its centre, counterclockwise, by a random angle.

    ``degrees``: the greatest angle in both directions, or a pair (least, greatest). The size is preserved; pixels are
    interpolated bilinearly, and pixels outside the image are ``fill``.

    Raises `ArgumentError` for a single angle that is negative, for an infinite one, and for other than a pair.

    >>> RandomRotation((90, 90))(np.array([[1.0, 2.0], [3.0, 4.0]])).round(6)
    array([[2., 4.],
           [1., 3.]])
    """

    draws = 1

    def __init__(self, degrees: float | tuple[float, float], fill: float = 0.0, rng: RNG = None) -> None:
        super().__init__(rng)
        if not isinstance(degrees, (tuple, list)):
            degrees = checked_number("RandomRotation", "degrees", degrees)
            degrees = -degrees, degrees
        self.degrees = checked_range("RandomRotation", "degrees", degrees)
        self.fill = checked_real("RandomRotation", "fill", fill)

    def change(self, x: Array, u: Array) -> Array:
        *_, H, W = x.shape
        dtype = working_dtype(x)
        angle = scaled_to(u[0], *self.degrees)[:, None, None] * (math.pi / 180)
        cos, sin = np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)
        dy, dx = np.arange(H, dtype=dtype)[:, None] - (H - 1) / 2, np.arange(W, dtype=dtype) - (W - 1) / 2
        # The source of each pixel: its position rotated back.
        rows, columns = dx * sin + dy * cos + (H - 1) / 2, dx * cos - dy * sin + (W - 1) / 2
        fill = fill_value("RandomRotation", self.fill, x)
        return in_dtype(_linear(x.astype(dtype), rows, columns, fill), x.dtype)


def _linear(x: Array, rows: Array, columns: Array, fill: Array) -> Array:
    """Bilinear interpolation of images (N, C, H, W) at positions (N, H, W)."""
    N, C, H, W = x.shape
    # A border of one pixel of fill; positions outside the image are clipped to it.
    flat = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=fill).reshape(N, C, (H + 2) * (W + 2))
    top, down = _split(rows, H)
    left, right = _split(columns, W)
    corner = top * (W + 2) + left

    def pixels(offset: int) -> Array:
        index = (corner + offset).reshape(N, 1, H * W)
        return np.take_along_axis(flat, index, axis=2).reshape(x.shape)

    upper = pixels(0) * (1 - right) + pixels(1) * right
    lower = pixels(W + 2) * (1 - right) + pixels(W + 3) * right
    return upper * (1 - down) + lower * down


def _split(positions: Array, size: int) -> tuple[Array, Array]:
    """The integer parts of positions, in padded coordinates, and their fractional parts (N, 1, H, W)."""
    positions = (positions + 1).clip(0, size + 1)
    pixel = np.minimum(positions.astype(int), size)
    return pixel, (positions - pixel).astype(positions.dtype)[:, None]
