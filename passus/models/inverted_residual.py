"""Inverted residual blocks, as in MobileNetV2, and networks of such blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import passus.functions as F
from passus.arguments import checked_count, checked_number
from passus.core import Operand, Result
from passus.initializers import he_normal, normal
from passus.layers import BatchNorm, Conv2d, Dropout, Layer, Linear, StochasticDepth
from passus.models.model import Model
from passus.random import RNG, get_rng

__all__ = ["Blocks", "InvertedResidual", "InvertedResiduals", "NormedConv", "Unit"]


class NormedConv(Layer):
    """A convolution, a `BatchNorm` and, unless ``linear``, relu6: (N, C, H, W) to (N, O, OH, OW).

    ``pad``: by default half of the kernel; ``decay``, ``eps``: of the norm; the others as in `Conv2d`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        pad: int | str | None = None,
        linear: bool = False,
        decay: float = 0.9,
        eps: float = 1e-5,
        rng: RNG = None,
    ) -> None:
        pad = kernel_size // 2 if pad is None else pad
        self.conv = Conv2d(
            out_channels,
            kernel_size,
            stride,
            pad,
            nobias=True,
            in_channels=in_channels,
            groups=groups,
            initializer=he_normal,
            rng=rng,
        )
        self.norm = BatchNorm(decay, eps, in_size=out_channels, activation=None if linear else "relu6")

    def forward(self, x: Operand) -> Result:
        return self.norm(self.conv(x))


Unit: TypeAlias = Callable[..., NormedConv]
"""A factory of the convolutions of a network: `NormedConv` with their common options."""


class InvertedResidual(Layer):
    """A 1x1 convolution to more channels, a depthwise one, and a 1x1 one to fewer channels: (N, C, H, W) to (N, O, OH, OW).

    ``x`` is added if the shape is unchanged. ``expansion``: the ratio of the inner channels to C; if it is 1, the first
    convolution is omitted. ``unit``: a factory of the convolutions. ``depth_ratio``: the probability of skipping the residual
    branch for an example in training.

    Source: Sandler et al., 2018, "MobileNetV2: inverted residuals and linear bottlenecks".
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        expansion: int = 6,
        unit: Unit = NormedConv,
        depth_ratio: float = 0.0,
    ) -> None:
        middle = in_channels * expansion
        self.expand = unit(in_channels, middle) if expansion != 1 else None
        self.depthwise = unit(middle, middle, kernel_size, stride, groups=middle)
        self.project = unit(middle, out_channels, linear=True)
        self.shortcut = StochasticDepth(depth_ratio) if stride == 1 and in_channels == out_channels else None

    def forward(self, x: Operand) -> Result:
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return y if self.shortcut is None else x + self.shortcut(y)


class Blocks(NamedTuple):
    """A sequence of blocks, the first of which has the stride."""

    expansion: int
    channels: int
    repeats: int
    stride: int
    kernel_size: int = 3


class InvertedResiduals(Model):
    """The base class: a convolution ``stem``, the ``blocks``, a 1x1 convolution ``head``, average pooling and ``fc``."""

    def __init__(
        self,
        rows: Sequence[Blocks],
        stem: int,
        head: int,
        num_classes: int,
        in_channels: int,
        dropout_ratio: float,
        rng: RNG,
        depth_ratio: float = 0.0,
        **options: Any,
    ) -> None:
        """``depth_ratio``: the value of the last block; it rises linearly from 0.

        ``stem``, ``head``: their numbers of channels; ``options``: common options of all `NormedConv`.
        """
        classes = checked_count(type(self).__name__, "num_classes", num_classes)
        rng = get_rng(rng)  # One generator for all layers; otherwise a seed would give each layer the same numbers.
        unit: Unit = partial(NormedConv, rng=rng, **options)
        self.stem = unit(in_channels, stem, 3, 2)
        self.blocks = _blocks(
            rows, stem, unit, checked_number(type(self).__name__, "depth_ratio", depth_ratio, 0.0, 1.0)
        )
        self.head = unit(rows[-1].channels, head)
        self.dropout = Dropout(dropout_ratio)
        self.fc = Linear(classes, in_size=head, initializer=partial(normal, std=0.01), rng=rng)

    def features(self, x: Operand) -> Result:
        """The output of the convolutions for images (N, C, H, W): (N, F, H / 32, W / 32), rounded up."""
        y = self.stem(x)
        for block in self.blocks:
            y = block(y)
        return self.head(y)

    def classify(self, features: Operand) -> Result:
        """The scores (N, num_classes) of the result of `features`."""
        return self.fc(self.dropout(F.global_average_pooling(features)))

    def forward(self, x: Operand) -> Result:
        return self.classify(self.features(x))


def _blocks(rows: Sequence[Blocks], channels: int, unit: Unit, depth_ratio: float) -> list[InvertedResidual]:
    blocks: list[InvertedResidual] = []
    count = sum(row.repeats for row in rows)
    for row in rows:
        for i in range(row.repeats):
            stride = row.stride if i == 0 else 1
            options = (row.kernel_size, stride, row.expansion, unit, depth_ratio * len(blocks) / count)
            blocks.append(InvertedResidual(channels, row.channels, *options))
            channels = row.channels
    return blocks
