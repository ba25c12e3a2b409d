"""MobileNetV2."""

from __future__ import annotations

from passus.arguments import checked_number
from passus.models.inverted_residual import Blocks, InvertedResiduals
from passus.random import RNG

__all__ = ["MobileNetV2"]

ROWS = (
    Blocks(1, 16, 1, 1),
    Blocks(6, 24, 2, 2),
    Blocks(6, 32, 3, 2),
    Blocks(6, 64, 4, 2),
    Blocks(6, 96, 3, 1),
    Blocks(6, 160, 3, 2),
    Blocks(6, 320, 1, 1),
)


class MobileNetV2(InvertedResiduals):
    """MobileNetV2, images (N, C, H, W) to scores (N, num_classes); designed for 224 x 224 pixels.

    ``width``: a factor for the numbers of channels, which are rounded to multiples of 8. It has 3,504,872 parameters with
    width 1, 1,000 classes and C = 3, the ``in_channels``. ``features(x)`` returns the output of the convolutions,
    (N, 1280, H / 32, W / 32), and ``classify`` maps it to scores.

    Raises `ArgumentError` for numbers out of range.
    Source: Sandler et al., 2018, "MobileNetV2: inverted residuals and linear bottlenecks".

    >>> import numpy as np
    >>> model = MobileNetV2(0.25, num_classes=10, rng=0)
    >>> model(np.ones((2, 3, 64, 64), np.float32)).shape
    (2, 10)
    """

    def __init__(
        self,
        width: float = 1.0,
        num_classes: int = 1000,
        in_channels: int = 3,
        dropout_ratio: float = 0.2,
        rng: RNG = None,
    ) -> None:
        width = checked_number("MobileNetV2", "width", width, open_low=True)
        rows = [row._replace(channels=scaled(row.channels, width)) for row in ROWS]
        head = scaled(1280, max(1.0, width))
        super().__init__(rows, scaled(32, width), head, num_classes, in_channels, dropout_ratio, rng)


def scaled(channels: int, width: float) -> int:
    """The multiple of 8 nearest to ``channels * width``, but at least 90 % of it.

    >>> scaled(24, 0.5), scaled(16, 0.25), scaled(24, 0.8)
    (16, 8, 24)
    """
    target = channels * width
    nearest = max(8, int(target + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * target else nearest + 8
