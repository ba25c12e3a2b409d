"""Layers that upsample images, or move channels to space and back. They have no parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

import passus.functions as F
from passus.arguments import checked_count
from passus.core import Operand, Result
from passus.functions.nn.windows import image_shape, per_axis
from passus.layers.base import Layer

__all__ = ["PixelShuffle", "PixelUnshuffle", "Upsample"]


class Upsample(Layer):
    """Upsampling by `passus.functions.resize`: (N, C, H, W) to (N, C, scale H, scale W).

    ``scale``: 1 or more, one number or one per spatial axis. ``mode``: ``"nearest"`` or ``"bilinear"``.

    >>> Upsample(2)(np.ones((2, 3, 4, 5))).shape
    (2, 3, 8, 10)
    """

    def __init__(self, scale: Any, mode: str = "nearest", align_corners: bool = False) -> None:
        scales = per_axis("Upsample", "scale", scale, len(scale) if isinstance(scale, (tuple, list)) else 1)
        F.resize(np.zeros((0, 1, *scales), np.float32), scale, mode, align_corners)  # The function checks the options.
        self.scale, self.mode, self.align_corners = scale, mode, align_corners

    def forward(self, x: Operand) -> Result:
        size = image_shape("Upsample", x)[2:]
        scales = per_axis("Upsample", "scale", self.scale, len(size))
        return F.resize(x, tuple([n * s for n, s in zip(size, scales)]), self.mode, self.align_corners)


class PixelShuffle(Layer):
    """Applies `passus.functions.pixel_shuffle`: (N, C r^2, H, W) to (N, C, H r, W r), r the factor.

    >>> PixelShuffle(2)(np.ones((2, 12, 4, 5))).shape
    (2, 3, 8, 10)
    """

    def __init__(self, factor: int) -> None:
        self.factor = checked_count("PixelShuffle", "factor", factor)

    def forward(self, x: Operand) -> Result:
        return F.pixel_shuffle(x, self.factor)


class PixelUnshuffle(Layer):
    """Applies `passus.functions.pixel_unshuffle`: (N, C, H r, W r) to (N, C r^2, H, W), r the factor.

    >>> PixelUnshuffle(2)(np.ones((2, 3, 8, 10))).shape
    (2, 12, 4, 5)
    """

    def __init__(self, factor: int) -> None:
        self.factor = checked_count("PixelUnshuffle", "factor", factor)

    def forward(self, x: Operand) -> Result:
        return F.pixel_unshuffle(x, self.factor)
