"""Images turned about their centres."""

from __future__ import annotations

import math
from typing import final

import numpy as np

from passus.arguments import checked_number, checked_real
from passus.backend import Array
from passus.random import RNG
from passus.transforms.randomness import (
    RandomTransform,
    between,
    checked_range,
    fill_value,
    in_dtype,
    working_dtype,
)

__all__ = ["RandomRotation"]


@final
class RandomRotation(RandomTransform):
    """Turn an image (..., H, W) about its centre, against the clock, by a random angle.

    ``degrees``: the greatest angle to both sides, or a pair (least, greatest). The size stays; pixels are mixed linearly
    from the four that are next to them, and what comes from outside is ``fill``.

    Raises `ArgumentError` for angles that are negative, infinite or no pair.

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
        angle = between(u[0], *self.degrees)[:, None, None] * (math.pi / 180)
        cos, sin = np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)
        down, right = np.arange(H, dtype=dtype)[:, None] - (H - 1) / 2, np.arange(W, dtype=dtype) - (W - 1) / 2
        # Where each pixel comes from: its place turned back.
        rows, columns = right * sin + down * cos + (H - 1) / 2, right * cos - down * sin + (W - 1) / 2
        fill = fill_value("RandomRotation", self.fill, x)
        return in_dtype(_linear(x.astype(dtype), rows, columns, fill), x.dtype)


def _linear(x: Array, rows: Array, columns: Array, fill: Array) -> Array:
    """The numbers of images (N, C, H, W) at places (N, H, W) between their pixels."""
    N, C, H, W = x.shape
    # One pixel of fill all around is what a place outside, however far, is moved to.
    flat = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=fill).reshape(N, C, (H + 2) * (W + 2))
    top, down = _split(rows, H)
    left, right = _split(columns, W)
    place = top * (W + 2) + left

    def pixels(offset: int) -> Array:
        index = (place + offset).reshape(N, 1, H * W)
        return np.take_along_axis(flat, index, axis=2).reshape(x.shape)

    upper = pixels(0) * (1 - right) + pixels(1) * right
    lower = pixels(W + 2) * (1 - right) + pixels(W + 3) * right
    return upper * (1 - down) + lower * down


def _split(places: Array, size: int) -> tuple[Array, Array]:
    """The pixel before each place, counted with the border, and how far behind it the place is, (N, 1, H, W)."""
    places = (places + 1).clip(0, size + 1)
    pixel = np.minimum(places.astype(int), size)
    return pixel, (places - pixel).astype(places.dtype)[:, None]
