"""SqueezeNet, which matches AlexNet with 50 times fewer parameters."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import passus.functions as F
from passus.arguments import checked_count
from passus.core import Operand, Result
from passus.errors import ArgumentError
from passus.files import FilePath
from passus.initializers import he_normal, normal
from passus.layers import Conv2d, Dropout, Layer
from passus.models.model import Model
from passus.models.pretrained import load_pretrained
from passus.random import RNG, get_rng

__all__ = ["Fire", "SqueezeNet"]


class Version(NamedTuple):
    """The differences between versions: the first convolution, and the fire modules that are followed by pooling."""

    channels: int
    kernel_size: int
    pooled: tuple[str, ...]


VERSIONS = {"1.0": Version(96, 7, ("fire4", "fire8")), "1.1": Version(64, 3, ("fire3", "fire5"))}

SQUEEZED = {f"fire{i}": 16 * (i // 2) for i in range(2, 10)}
"""The squeezed channels of the fire modules; their outputs have eight times as many."""


class Fire(Layer):
    """A 1x1 convolution to few channels, then a 1x1 and a 3x3 convolution in parallel: (N, C, H, W) to (N, 2 O, H, W).

    ``squeezed``: the channels of the first convolution; ``expanded``: O, those of each of the other two.
    Source: Iandola et al., 2016, "SqueezeNet".

    >>> import numpy as np
    >>> Fire(2, 8, rng=0)(np.ones((1, 3, 4, 4), np.float32)).shape
    (1, 16, 4, 4)
    """

    def __init__(self, squeezed: int, expanded: int, rng: RNG = None) -> None:
        rng = None if rng is None else get_rng(rng)
        convolution = partial(Conv2d, initializer=he_normal, rng=rng, activation="relu")
        self.squeeze, self.expand1x1 = convolution(squeezed, 1), convolution(expanded, 1)
        self.expand3x3 = convolution(expanded, 3, pad=1)

    def forward(self, x: Operand) -> Result:
        x = self.squeeze(x)
        return F.concatenate((self.expand1x1(x), self.expand3x3(x)), axis=1)


class SqueezeNet(Model):
    """SqueezeNet, (N, C, H, W) to (N, num_classes): a convolution, eight fire modules, a convolution to the classes.

    ``version``: "1.0" (1,248,424 parameters) or "1.1" (1,235,496), which needs less than half of the multiply-adds. Designed
    for 224 x 224 pixels; other sizes from 25 (version 1.0: 29) work. ``in_channels``: C; by default inferred on the first
    call. ``weights``: a file of weights. ``rng``: a seed or generator for the initial weights.

    Raises `ArgumentError` for another version, `MissingWeightsError` for ``pretrained`` without a file, `WeightsError` for a
    file that does not fit, `ShapeError` for images that are too small.
    Source: Iandola et al., 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size".

    >>> import numpy as np
    >>> model = SqueezeNet(num_classes=10, version="1.1", rng=0)
    >>> model(np.ones((2, 3, 32, 32), np.float32)).shape
    (2, 10)
    """

    def __init__(
        self,
        pretrained: bool = False,
        num_classes: int = 1000,
        version: str = "1.0",
        in_channels: int | None = None,
        weights: FilePath | None = None,
        rng: RNG = None,
    ) -> None:
        classes = checked_count("SqueezeNet", "num_classes", num_classes)
        rng = None if rng is None else get_rng(rng)  # One generator for all layers.
        if str(version) not in VERSIONS:
            raise ArgumentError(f'SqueezeNet: unknown version {version!r}; give "1.0" or "1.1"')
        channels, kernel_size, self.pooled = VERSIONS[str(version)]
        self.conv1 = Conv2d(channels, kernel_size, 2, in_channels=in_channels, initializer=he_normal, rng=rng)
        for name, squeezed in SQUEEZED.items():
            setattr(self, name, Fire(squeezed, 4 * squeezed, rng))
        self.dropout = Dropout(0.5)
        self.conv10 = Conv2d(classes, 1, initializer=partial(normal, std=0.01), rng=rng)
        load_pretrained(self, weights, pretrained, "a file of save_weights")

    def features(self, x: Operand) -> Result:
        """The output before the last convolution, (N, C, H, W) to (N, 512, h, w), h about H / 16 - 1."""
        x = F.pooling(F.relu(self.conv1(x)), 3, 2, ceil_mode=True)
        for name in SQUEEZED:
            x = getattr(self, name)(x)
            if name in self.pooled:
                x = F.pooling(x, 3, 2, ceil_mode=True)
        return x

    def forward(self, x: Operand) -> Result:
        return F.global_average_pooling(F.relu(self.conv10(self.dropout(self.features(x)))))
