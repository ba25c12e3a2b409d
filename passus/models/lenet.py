"""LeNet-5, an early convolutional network for handwritten digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import passus.functions as F
from passus.arguments import checked_callable, checked_count
from passus.core import Operand, Result
from passus.layers import Conv2d, Linear
from passus.models.model import Model
from passus.random import RNG, get_rng

__all__ = ["LeNet"]


class LeNet(Model):
    """LeNet-5: two convolutions, each pooled, and three fully connected layers; (N, C, H, W) to (N, num_classes).

    Designed for greyscale images of 28 x 28 pixels, for which it has 61,706 parameters; the first convolution pads them to
    the 32 x 32 pixels of the paper. ``activation``: tanh as in the paper; F.relu trains faster. ``in_channels``: C; by
    default inferred on the first call. ``rng``: a seed or generator for the initial weights.

    Raises `ArgumentError` for numbers out of range, `ShapeError` for images below 12 x 12 pixels.
    Source: LeCun et al., 1998, "Gradient-based learning applied to document recognition"; here pooling has no weights, and
    the convolutions are fully connected.

    >>> import numpy as np
    >>> model = LeNet(rng=0)
    >>> model(np.ones((2, 1, 28, 28), np.float32)).shape, model.count_params()
    ((2, 10), 61706)
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int | None = None,
        activation: Callable[[Any], Any] = F.tanh,
        rng: RNG = None,
    ) -> None:
        classes = checked_count("LeNet", "num_classes", num_classes)
        rng = None if rng is None else get_rng(rng)  # One generator for all layers.
        self.activation = checked_callable("LeNet", "activation", activation)
        self.conv1 = Conv2d(6, 5, pad=2, in_channels=in_channels, rng=rng)
        self.conv2 = Conv2d(16, 5, rng=rng)
        self.fc3 = Linear(120, rng=rng)
        self.fc4 = Linear(84, rng=rng)
        self.fc5 = Linear(classes, rng=rng)

    def features(self, x: Operand) -> Result:
        """The output of the convolutions, (N, C, H, W) to (N, 16, H // 4 - 2, W // 4 - 2)."""
        for convolution in (self.conv1, self.conv2):
            x = F.average_pooling(self.activation(convolution(x)), 2, 2)
        return x

    def forward(self, x: Operand) -> Result:
        y = F.flatten(self.features(x))
        for layer in (self.fc3, self.fc4):
            y = self.activation(layer(y))
        return self.fc5(y)
