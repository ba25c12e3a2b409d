"""Random erasing of rectangles."""

from __future__ import annotations

from typing import final

import numpy as np

from passus.arguments import checked_count, checked_fraction, checked_real
from passus.backend import Array
from passus.random import RNG
from passus.transforms.crops import rectangle_sizes
from passus.transforms.randomness import RandomTransform, checked_range, fill_value, scaled_to

__all__ = ["Cutout", "RandomErasing", "rectangle_masks"]


def rectangle_masks(H: int, W: int, top: Array, left: Array, h: Array, w: Array) -> Array:
    """Masks (N, 1, H, W) of one rectangle per image, clipped to the image.

    >>> rectangle_masks(2, 3, *np.array([[0], [1], [1], [9]])).astype(int)
    array([[[[0, 1, 1],
             [0, 0, 0]]]])
    """
    return _interval_mask(H, top, h)[:, None, :, None] & _interval_mask(W, left, w)[:, None, None, :]


def _interval_mask(size: int, start: Array, length: Array) -> Array:
    n, start = np.arange(size), start[:, None]
    return (n >= start) & (n < start + length[:, None])


@final
class RandomErasing(RandomTransform):
    """Fill a random rectangle of an image (..., H, W) with probability ``p``.

    ``scale``: the range of the fraction of the area, drawn uniformly; ``ratio``: the range of width / height, drawn
    uniformly on a logarithmic scale; sides longer than the image are clipped. ``fill``: the value of the filled pixels.

    Raises `ArgumentError` unless scale and ratio are pairs of positive numbers, and scales at most 1.
    Source: Zhong et al., 2020, "Random erasing data augmentation".

    >>> int(RandomErasing(p=1.0, scale=(0.25, 0.25), ratio=(1, 1), rng=0)(np.ones((8, 8))).sum())
    48
    """

    draws = 5

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 1 / 3),
        ratio: tuple[float, float] = (0.3, 1 / 0.3),
        fill: float = 0.0,
        rng: RNG = None,
    ) -> None:
        super().__init__(rng)
        self.p = checked_fraction("RandomErasing", "p", p)
        self.scale = checked_range("RandomErasing", "scale", scale, low=0.0, high=1.0)
        self.ratio = checked_range("RandomErasing", "ratio", ratio, low=0.0)
        self.fill = checked_real("RandomErasing", "fill", fill)

    def change(self, x: Array, u: Array) -> Array:
        *_, H, W = x.shape
        h, w = np.rint(rectangle_sizes(scaled_to(u[1], *self.scale) * (H * W), u[2], self.ratio, H, W))
        top, left = np.floor(u[3] * (H - h + 1)), np.floor(u[4] * (W - w + 1))
        hole = rectangle_masks(H, W, top, left, h, w) & (u[0] < self.p)[:, None, None, None]
        return np.where(hole, fill_value("RandomErasing", self.fill, x), x)


@final
class Cutout(RandomTransform):
    """Fill a square of an image (..., H, W) around a random pixel; the square may extend beyond the image.

    ``size``: its side length. ``fill``: the value of the filled pixels.

    Source: DeVries and Taylor, 2017, "Improved regularization of convolutional neural networks with cutout".

    >>> Cutout(2, rng=0)(np.ones((4, 4))).astype(int)
    array([[1, 1, 1, 1],
           [0, 0, 1, 1],
           [0, 0, 1, 1],
           [1, 1, 1, 1]])
    """

    draws = 2

    def __init__(self, size: int, fill: float = 0.0, rng: RNG = None) -> None:
        super().__init__(rng)
        self.size = checked_count("Cutout", "size", size)
        self.fill = checked_real("Cutout", "fill", fill)

    def change(self, x: Array, u: Array) -> Array:
        *_, H, W = x.shape
        top, left = np.floor(u * [[H], [W]]) - self.size // 2
        side = np.full(len(x), self.size)
        return np.where(rectangle_masks(H, W, top, left, side, side), fill_value("Cutout", self.fill, x), x)
