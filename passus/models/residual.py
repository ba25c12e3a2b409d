"""The blocks of residual networks."""

from __future__ import annotations

import passus.functions as F
from passus.arguments import checked_count
from passus.core import Operand, Result
from passus.initializers import he_normal
from passus.layers import BatchNorm, Conv2d, Layer, Sequential
from passus.random import RNG, get_rng

EPS = {True: 1e-5, False: 2e-5}
"""The eps of batch normalization in published networks, by ``downsample_fb``; the second is DeZero's."""

__all__ = ["EPS", "BasicBlock", "BottleneckA", "BottleneckB", "BuildingBlock", "Residual", "convolution", "norm"]


class Residual(Layer):
    """The base of blocks: ``relu(branch(x) + shortcut(x))``; a ``shortcut`` of None is the identity.

    Source: He et al., 2016, "Deep residual learning for image recognition".
    """

    shortcut: Layer | None

    def branch(self, x: Operand) -> Result:
        """The residual branch."""
        raise NotImplementedError(f"{type(self).__name__}.branch is not implemented")

    def forward(self, x: Operand) -> Result:
        return F.add_relu(self.branch(x), x if self.shortcut is None else self.shortcut(x))


class BasicBlock(Residual):
    """Two convolutions of 3x3: (N, C, H, W) to (N, O, H / stride, W / stride), rounded up.

    ``in_channels``: C; ``out_channels``: O. If the shape changes, the shortcut is a 1x1 convolution.

    >>> import numpy as np
    >>> BasicBlock(8, 16, stride=2, rng=0)(np.ones((2, 8, 6, 6), np.float32)).shape
    (2, 16, 3, 3)
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, rng: RNG = None) -> None:
        rng = get_rng(rng)
        self.conv1, self.bn1 = convolution(in_channels, out_channels, 3, stride, rng), norm(out_channels, "relu")
        self.conv2, self.bn2 = convolution(out_channels, out_channels, 3, 1, rng), norm(out_channels)
        same = stride == 1 and in_channels == out_channels
        self.shortcut = None if same else projection(in_channels, out_channels, stride, rng)

    def branch(self, x: Operand) -> Result:
        return self.bn2(self.conv2(self.bn1(self.conv1(x))))


class Bottleneck(Residual):
    """The base of bottlenecks: 1x1 convolution to fewer channels, 3x3 with the stride, and 1x1 to more channels.

    ``downsample_fb``: False moves the stride to the first convolution.
    """

    def __init__(
        self, in_channels: int, mid_channels: int, out_channels: int, stride: int, downsample_fb: bool, rng: RNG
    ) -> None:
        first, second = (1, stride) if downsample_fb else (stride, 1)
        eps = EPS[downsample_fb]
        self.conv1, self.bn1 = convolution(in_channels, mid_channels, 1, first, rng), norm(mid_channels, "relu", eps)
        self.conv2, self.bn2 = convolution(mid_channels, mid_channels, 3, second, rng), norm(mid_channels, "relu", eps)
        self.conv3, self.bn3 = convolution(mid_channels, out_channels, 1, 1, rng), norm(out_channels, eps=eps)

    def branch(self, x: Operand) -> Result:
        x = self.bn1(self.conv1(x))
        x = self.bn2(self.conv2(x))
        return self.bn3(self.conv3(x))


class BottleneckA(Bottleneck):
    """The first bottleneck of a stage: (N, C, H, W) to (N, O, H / stride, W / stride), rounded up.

    Its shortcut is a 1x1 convolution. ``in_channels``: C; ``mid_channels``: the channels of the 3x3 convolution, which has
    the ``stride``, as in current networks; ``out_channels``: O. ``downsample_fb``: False moves the stride to the first
    convolution, as in the paper and in DeZero.

    >>> import numpy as np
    >>> BottleneckA(8, 4, 16, rng=0)(np.ones((2, 8, 6, 6), np.float32)).shape
    (2, 16, 3, 3)
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        stride: int = 2,
        downsample_fb: bool = True,
        rng: RNG = None,
    ) -> None:
        rng = get_rng(rng)
        super().__init__(in_channels, mid_channels, out_channels, stride, downsample_fb, rng)
        self.shortcut = projection(in_channels, out_channels, stride, rng, EPS[downsample_fb])


class BottleneckB(Bottleneck):
    """A later bottleneck of a stage: (N, C, H, W) to the same shape; its shortcut is the identity.

    ``in_channels``: C; ``mid_channels``: the channels of the 3x3 convolution.

    >>> import numpy as np
    >>> BottleneckB(8, 2, rng=0)(np.ones((2, 8, 6, 6), np.float32)).shape
    (2, 8, 6, 6)
    """

    def __init__(self, in_channels: int, mid_channels: int, downsample_fb: bool = True, rng: RNG = None) -> None:
        super().__init__(in_channels, mid_channels, in_channels, 1, downsample_fb, get_rng(rng))
        self.shortcut = None


def BuildingBlock(
    n_layers: int,
    in_channels: int,
    mid_channels: int,
    out_channels: int,
    stride: int,
    downsample_fb: bool = True,
    rng: RNG = None,
) -> Sequential:
    """A stage of ``n_layers`` blocks: one `BottleneckA` with the stride, then `BottleneckB`.

    If ``mid_channels`` equals ``out_channels``, all blocks are of type `BasicBlock`.
    ``downsample_fb``: as in `BottleneckA`.
    Raises `ArgumentError` for numbers below 1.

    >>> [type(block).__name__ for block in BuildingBlock(3, 64, 64, 256, stride=1)]
    ['BottleneckA', 'BottleneckB', 'BottleneckB']
    """
    rng, later = get_rng(rng), range(checked_count("BuildingBlock", "n_layers", n_layers) - 1)
    if mid_channels == out_channels:
        first = BasicBlock(in_channels, out_channels, stride, rng)
        return Sequential(first, *[BasicBlock(out_channels, out_channels, rng=rng) for _ in later])
    bottleneck = BottleneckA(in_channels, mid_channels, out_channels, stride, downsample_fb, rng)
    return Sequential(bottleneck, *[BottleneckB(out_channels, mid_channels, downsample_fb, rng) for _ in later])


def convolution(in_channels: int | None, out_channels: int, kernel_size: int, stride: int, rng: RNG) -> Conv2d:
    """A convolution without bias, which the following batch normalization would cancel; stride 1 preserves the size."""
    return Conv2d(
        out_channels,
        kernel_size,
        stride,
        pad=kernel_size // 2,
        nobias=True,
        in_channels=in_channels,
        initializer=he_normal,
        rng=rng,
    )


def norm(channels: int, activation: str | None = None, eps: float = EPS[True]) -> BatchNorm:
    """The batch normalization after a convolution, with the eps of the published networks."""
    return BatchNorm(eps=eps, in_size=channels, activation=activation)


def projection(in_channels: int, out_channels: int, stride: int, rng: RNG, eps: float = EPS[True]) -> Sequential:
    """The shortcut of a block that changes the shape."""
    return Sequential(convolution(in_channels, out_channels, 1, stride, rng), norm(out_channels, eps=eps))
