"""Random crops of images."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.errors import ShapeError
from passus.functions.checks import PAD_MODES
from passus.functions.nn.windows import check_pad_mode, per_axis
from passus.random import RNG
from passus.transforms.randomness import RandomTransform, checked_range, in_dtype, scaled_to, working_dtype

__all__ = ["RandomCrop", "RandomResizedCrop"]


@final
class RandomCrop(RandomTransform):
    """Crop an image (..., H, W) to ``size``, an integer or (height, width), at a random position.

    ``padding``: number of pixels added on each side first; ``pad_mode``: "zeros", "reflect", "replicate" or "circular".

    Raises `ShapeError` for an image smaller than the crop, or too small for the padding "reflect".

    >>> RandomCrop(2, rng=0)(np.arange(16).reshape(4, 4))
    array([[4, 5],
           [8, 9]])
    """

    draws = 2

    def __init__(self, size: int | tuple[int, int], padding: int = 0, pad_mode: str = "zeros", rng: RNG = None) -> None:
        super().__init__(rng)
        self.size = per_axis("RandomCrop", "size", size, 2)
        self.padding = checked_count("RandomCrop", "padding", padding, low=0)
        self.pad_mode = check_pad_mode("RandomCrop", pad_mode)

    def change(self, x: Array, u: Array) -> Array:
        x = self._padded(x)
        windows = np.lib.stride_tricks.sliding_window_view(x, self.size, axis=(2, 3))
        top, left = (u * np.reshape(windows.shape[2:4], (2, 1))).astype(int)
        return windows[np.arange(len(x)), :, top, left]

    def _padded(self, x: Array) -> Array:
        *_, H, W = x.shape
        n, (h, w) = self.padding, self.size
        if h > H + 2 * n or w > W + 2 * n or (self.pad_mode == "reflect" and n >= min(H, W)):
            raise ShapeError(
                f"RandomCrop: an image of {H} x {W} is too small for size={self.size}, padding={n}, {self.pad_mode}"
            )
        mode: Any = PAD_MODES[self.pad_mode]
        return np.pad(x, ((0, 0), (0, 0), (n, n), (n, n)), mode) if n else x


@final
class RandomResizedCrop(RandomTransform):
    """Crop a random rectangle of an image (..., H, W), and resize it to ``size``, an integer or (height, width).

    ``scale``: the range of the fraction of the area, drawn uniformly; ``ratio``: the range of width / height, drawn
    uniformly on a logarithmic scale. Sides longer than the image are clipped. Resizing is bilinear with antialiasing, as in
    Pillow.

    Raises `ArgumentError` unless both are pairs of positive numbers, and scales at most 1.
    Source: Szegedy et al., 2015, "Going deeper with convolutions".

    >>> RandomResizedCrop(24, rng=0)(np.zeros((3, 40, 60), np.float32)).shape
    (3, 24, 24)
    """

    draws = 4

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        rng: RNG = None,
    ) -> None:
        super().__init__(rng)
        self.size = per_axis("RandomResizedCrop", "size", size, 2)
        self.scale = checked_range("RandomResizedCrop", "scale", scale, low=0.0, high=1.0)
        self.ratio = checked_range("RandomResizedCrop", "ratio", ratio, low=0.0)

    def change(self, x: Array, u: Array) -> Array:
        *_, H, W = x.shape
        h, w = rectangle_sizes(scaled_to(u[0], *self.scale) * (H * W), u[1], self.ratio, H, W)
        dtype = working_dtype(x)
        rows = _resizing_matrices(u[2] * (H - h), h, H, self.size[0]).astype(dtype)[:, None]
        columns = _resizing_matrices(u[3] * (W - w), w, W, self.size[1]).astype(dtype)[:, None]
        return in_dtype(rows @ x.astype(dtype) @ columns.swapaxes(2, 3), x.dtype)


def rectangle_sizes(area: Array, u: Array, ratio: tuple[float, float], H: int, W: int) -> tuple[Array, Array]:
    """Heights and widths of rectangles with these areas and with ratios width / height drawn by ``u``, clipped to H and W.

    >>> rectangle_sizes(np.array([8.0]), np.array([0.5]), (2.0, 2.0), 8, 8)
    (array([2.]), array([4.]))
    """
    root = np.exp(scaled_to(u, *np.log(ratio)) / 2)
    return np.minimum(np.sqrt(area) / root, H), np.minimum(np.sqrt(area) * root, W)


def _resizing_matrices(start: Array, length: Array, size: int, out: int) -> Array:
    """Matrices (N, out, size) that resize the interval of ``length`` from ``start`` to ``out`` pixels.

    The weights of each pixel are a triangle that reaches 0 at the distance of one pixel of the coarser grid.
    """
    step = (length / out)[:, None]
    centre = start[:, None] + (np.arange(out) + 0.5) * step
    distance = abs(np.arange(size) + 0.5 - centre[..., None])
    weights = np.maximum(1 - distance / np.maximum(step, 1)[..., None], 0)
    return weights / weights.sum(axis=2, keepdims=True)
