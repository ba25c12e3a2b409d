"""Random changes of colors."""

from __future__ import annotations

import math
from typing import final

import numpy as np

from passus.arguments import checked_fraction, checked_number
from passus.backend import Array
from passus.errors import ArgumentError, ShapeError
from passus.random import RNG
from passus.transforms.randomness import RandomTransform, in_dtype, scaled_to, working_dtype
from passus.transforms.ranges import check_unit_range

__all__ = ["ColorJitter"]

GREY = np.array([0.299, 0.587, 0.114])
"""The luminance of red, green and blue (ITU-R BT.601)."""

TO_YUV = np.array([GREY, 0.492 * (np.eye(3)[2] - GREY), 0.877 * (np.eye(3)[0] - GREY)])
"""From RGB to YUV: luminance Y, and (U, V), whose length is the saturation and whose angle is the hue."""


@final
class ColorJitter(RandomTransform):
    """Change brightness, contrast, saturation and hue of an image (C, H, W), or (H, W) in greyscale, at random.

    ``brightness``, ``contrast``, ``saturation``: numbers b; a factor between max(0, 1 - b) and 1 + b scales the distance of
    the colors from black, from the mean luminance, and from the grey of equal luminance. ``hue``: the greatest rotation of
    colors as a fraction of the color wheel, at most 1/2; the luminance is preserved. White is 1 for floating-point numbers
    and the greatest value for integers; results are clipped to between black and white.

    Raises `ArgumentError` for options out of range and for floating-point pixels outside 0 to 1, `ShapeError` for other than
    1 or 3 channels, and for saturation or hue of a greyscale image.

    >>> x = np.full((3, 2, 2), 100, np.uint8)
    >>> y = ColorJitter(brightness=0.5, rng=1)(x)
    >>> y.dtype, bool((y >= 50).all() and (y <= 150).all())
    (dtype('uint8'), True)
    """

    draws = 4

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        rng: RNG = None,
    ) -> None:
        super().__init__(rng)
        self.brightness = checked_number("ColorJitter", "brightness", brightness)
        self.contrast = checked_number("ColorJitter", "contrast", contrast)
        self.saturation = checked_number("ColorJitter", "saturation", saturation)
        self.hue = checked_fraction("ColorJitter", "hue", hue)
        if self.hue > 0.5:
            raise ArgumentError(f"ColorJitter: hue is {hue}; it must be at most 0.5, half of the color wheel")

    def change(self, x: Array, u: Array) -> Array:
        N, C, H, W = x.shape
        self._check_channels(C)
        check_unit_range("ColorJitter", x)
        brightness, contrast = _factor(u[0], self.brightness), _factor(u[1], self.contrast)
        chroma = self._chroma_matrices(u[2], u[3]) if C == 3 else np.ones((N, 1, 1))
        grey = GREY if C == 3 else np.ones(1)
        pixels = x.reshape(N, C, H * W)
        mean = (pixels.mean(axis=2, dtype=np.float64) @ grey)[:, None, None]
        # All four changes are one matrix product and a shift, because only brightness changes the mean luminance, and
        # proportionally.
        dtype = working_dtype(x)
        matrix = (brightness * contrast * chroma).astype(dtype)
        y = matrix @ pixels.astype(dtype) + (brightness * (1 - contrast) * mean).astype(dtype)
        white = 1 if x.dtype.kind == "f" else np.iinfo(x.dtype).max
        return in_dtype(y.clip(0, white), x.dtype).reshape(x.shape)

    def _check_channels(self, C: int) -> None:
        if C not in (1, 3) or (C == 1 and (self.saturation or self.hue)):
            raise ShapeError(
                f"ColorJitter: an image of {C} channels; give (C, H, W) with 3 channels, red, green and blue, or with 1 for "
                "brightness and contrast only"
            )

    def _chroma_matrices(self, u0: Array, u1: Array) -> Array:
        """Matrices (N, 3, 3) that change saturation and hue."""
        saturation = _factor(u0, self.saturation)
        angle = scaled_to(u1, -self.hue, self.hue)[:, None, None] * (2 * math.pi)
        one, zero = np.ones_like(angle), np.zeros_like(angle)
        cos, sin = saturation * np.cos(angle), saturation * np.sin(angle)
        in_yuv = np.block([[one, zero, zero], [zero, cos, -sin], [zero, sin, cos]])
        return np.linalg.inv(TO_YUV) @ in_yuv @ TO_YUV


def _factor(u: Array, amount: float) -> Array:
    return scaled_to(u, max(0.0, 1 - amount), 1 + amount)[:, None, None]
