"""Residual networks of 18 to 152 layers."""

from __future__ import annotations

from functools import partial
from typing import Any

import passus.functions as F
from passus.arguments import checked_count, checked_integer
from passus.core import Operand, Result
from passus.errors import ArgumentError
from passus.files import FilePath
from passus.initializers import normal
from passus.layers import Linear, Sequential
from passus.models.model import Model
from passus.models.pretrained import take_weights
from passus.models.residual import BuildingBlock, convolution, norm
from passus.random import RNG, get_rng

__all__ = ["ResNet", "ResNet18", "ResNet34", "ResNet50", "ResNet101", "ResNet152"]

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""The numbers of blocks in the four stages, by the number of layers."""

WIDTHS = (64, 128, 256, 512)
"""The channels of the 3x3 convolutions in the four stages."""

STRIDES = (1, 2, 2, 2)


class ResNet(Model):
    """A residual network, (N, C, H, W) to (N, num_classes): a convolution, four stages of blocks, and one linear layer.

    ``n_layers``: 18 or 34, of basic blocks; 50, 101 or 152, of bottlenecks with the stride in their 3x3 convolution
    (known as version 1.5). Made for 224 x 224 pixels; any other size does. ``in_channels``: C; left out, the first call
    tells it. ``weights``: a file of weights; DeZero's do not fit, for they are of a network with other strides.
    ``rng``: what the weights are drawn with.

    Raises `ArgumentError` for another number of layers, `MissingWeightsError` if it shall be ``pretrained`` without a
    file, `WeightsError` for a file that does not fit.
    Source: He et al., 2016, "Deep residual learning for image recognition".

    >>> import numpy as np
    >>> model = ResNet(18, num_classes=10, in_channels=3, rng=0)
    >>> model(np.ones((2, 3, 32, 32), np.float32)).shape, model.count_params()
    ((2, 10), 11181642)
    """

    def __init__(
        self,
        n_layers: int = 152,
        pretrained: bool = False,
        num_classes: int = 1000,
        in_channels: int | None = None,
        weights: FilePath | None = None,
        rng: RNG = None,
    ) -> None:
        name = type(self).__name__
        rng = None if rng is None else get_rng(rng)  # A seed means one sequence of numbers for all layers.
        classes = checked_count(name, "num_classes", num_classes)
        if checked_integer(name, "n_layers", n_layers) not in BLOCKS:
            raise ArgumentError(f"{name}: n_layers is {n_layers}; it must be one of {', '.join(map(str, BLOCKS))}")
        expansion = 1 if n_layers < 50 else 4
        self.conv1, self.bn1 = convolution(in_channels, 64, 7, 2, rng), norm(64, "relu")
        channels = 64
        for i, (n, width, stride) in enumerate(zip(BLOCKS[n_layers], WIDTHS, STRIDES), start=2):
            setattr(self, f"res{i}", BuildingBlock(n, channels, width, expansion * width, stride, rng))
            channels = expansion * width
        self.fc6 = Linear(classes, in_size=channels, initializer=partial(normal, std=0.01), rng=rng)
        take_weights(self, weights, pretrained, "what save_weights wrote")

    @property
    def stages(self) -> list[Sequential]:
        """The four stages, from the first to the last."""
        return [getattr(self, f"res{i}") for i in (2, 3, 4, 5)]

    def features(self, x: Operand) -> Result:
        """What the convolutions make of images: (N, C, H, W) to (N, O, H / 32, W / 32), rounded up."""
        x = self.bn1(self.conv1(x))
        x = F.pooling(x, 3, stride=2, pad=1)
        for stage in self.stages:
            x = stage(x)
        return x

    def forward(self, x: Operand) -> Result:
        return self.fc6(F.global_average_pooling(self.features(x)))


class ResNet18(ResNet):
    """`ResNet` of 18 layers, with 11,689,512 parameters; options as there."""

    def __init__(self, pretrained: bool = False, **options: Any) -> None:
        super().__init__(18, pretrained, **options)


class ResNet34(ResNet):
    """`ResNet` of 34 layers, with 21,797,672 parameters; options as there."""

    def __init__(self, pretrained: bool = False, **options: Any) -> None:
        super().__init__(34, pretrained, **options)


class ResNet50(ResNet):
    """`ResNet` of 50 layers, with 25,557,032 parameters; options as there."""

    def __init__(self, pretrained: bool = False, **options: Any) -> None:
        super().__init__(50, pretrained, **options)


class ResNet101(ResNet):
    """`ResNet` of 101 layers, with 44,549,160 parameters; options as there."""

    def __init__(self, pretrained: bool = False, **options: Any) -> None:
        super().__init__(101, pretrained, **options)


class ResNet152(ResNet):
    """`ResNet` of 152 layers, with 60,192,808 parameters; options as there."""

    def __init__(self, pretrained: bool = False, **options: Any) -> None:
        super().__init__(152, pretrained, **options)
