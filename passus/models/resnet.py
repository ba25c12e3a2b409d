"""Residual networks of 18 to 152 layers."""

from __future__ import annotations

from functools import partial
from typing import Any

import passus.functions as F
from passus.arguments import checked_count, checked_flag, checked_integer
from passus.backend import Array
from passus.core import Operand, Result
from passus.errors import ArgumentError, WeightsError
from passus.files import FilePath, checked_path
from passus.initializers import normal
from passus.layers import Linear, Sequential
from passus.models.model import Model
from passus.models.pretrained import load_pretrained
from passus.models.residual import EPS, BuildingBlock, convolution, norm
from passus.models.resnet_files import from_dezero, from_torch, is_dezero
from passus.random import RNG, get_rng
from passus.serializers import load_torch
from passus.transforms import CenterCrop, Compose, Convert, Normalize, Resize, ToArray

__all__ = ["ResNet", "ResNet18", "ResNet34", "ResNet50", "ResNet101", "ResNet152"]

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""The numbers of blocks in the four stages, by the number of layers."""

WIDTHS = (64, 128, 256, 512)
"""The channels of the 3x3 convolutions in the four stages."""

STRIDES = (1, 2, 2, 2)

PUBLISHED = {
    18: "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    34: "https://download.pytorch.org/models/resnet34-b627a593.pth",
    50: "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    101: "https://download.pytorch.org/models/resnet101-63fe2227.pth",
    152: "https://download.pytorch.org/models/resnet152-394f9c45.pth",
}
"""PyTorch weights trained on ImageNet; file names end with the first digits of the sha256."""

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
"""Mean and standard deviation of red, green and blue in ImageNet, from 0 to 1."""


class ResNet(Model):
    """A residual network, (N, C, H, W) to (N, num_classes): a convolution, four stages of blocks, and one linear layer.

    ``n_layers``: 18 or 34 for basic blocks; 50, 101 or 152 for bottlenecks with the stride in the 3x3 convolution (known as
    version 1.5). ``downsample_fb``: False builds the variant of DeZero's weights, with the stride in the first 1x1
    convolution. Designed for 224 x 224 pixels, but any size works. ``in_channels``: C; by default inferred on the first
    call. ``weights``: a file of passus, of DeZero (``.npz``) or of PyTorch (``.pth``). ``pretrained``: download the PyTorch
    weights trained on ImageNet; `preprocess` prepares pictures for them. ``rng``: a seed or generator for the initial
    weights.

    Raises `ArgumentError` for another number of layers, `DataError` for a failed download, `WeightsError` for a file that
    does not fit, `MissingWeightsError` for ``pretrained`` with ``downsample_fb=False``: DeZero's file has no published
    checksum and must be passed as ``weights``.
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
        downsample_fb: bool = True,
    ) -> None:
        name = type(self).__name__
        self.downsample_fb = checked_flag(name, "downsample_fb", downsample_fb)
        rng = None if rng is None else get_rng(rng)  # One generator for all layers.
        classes = checked_count(name, "num_classes", num_classes)
        if checked_integer(name, "n_layers", n_layers) not in BLOCKS:
            raise ArgumentError(f"{name}: n_layers is {n_layers}; it must be one of {', '.join(map(str, BLOCKS))}")
        expansion = 1 if n_layers < 50 else 4
        self.conv1, self.bn1 = convolution(in_channels, 64, 7, 2, rng), norm(64, "relu", EPS[downsample_fb])
        channels = 64
        for i, (n, width, stride) in enumerate(zip(BLOCKS[n_layers], WIDTHS, STRIDES), start=2):
            setattr(self, f"res{i}", BuildingBlock(n, channels, width, expansion * width, stride, downsample_fb, rng))
            channels = expansion * width
        self.fc6 = Linear(classes, in_size=channels, initializer=partial(normal, std=0.01), rng=rng)
        known = f"a file of save_weights, or DeZero's resnet{n_layers}.npz with downsample_fb=False"
        load_pretrained(self, weights, pretrained, known, PUBLISHED[n_layers] if downsample_fb else None)

    @property
    def stages(self) -> list[Sequential]:
        """The four stages, from the first to the last."""
        return [getattr(self, f"res{i}") for i in (2, 3, 4, 5)]

    def features(self, x: Operand) -> Result:
        """The output of the convolutions, (N, C, H, W) to (N, O, H / 32, W / 32), rounded up."""
        x = self.bn1(self.conv1(x))
        x = F.pooling(x, 3, stride=2, pad=1 if self.downsample_fb else 0)
        for stage in self.stages:
            x = stage(x)
        return x

    def _read_weights(self, path: FilePath) -> dict[str, Array]:
        """The arrays of a file of passus, DeZero (``.npz``) or PyTorch (``.pth``).

        DeZero's ``res2/a/conv1/W`` becomes ``res2.l0.conv1.W``, ``res2/b1`` becomes ``res2.l1``, and ``conv4`` with ``bn4``
        is the shortcut; ``conv1/b`` is subtracted from the mean of ``bn1``, which is equivalent. Raises `WeightsError` for
        weights of the variant with other strides.
        """
        if checked_path(path).suffix.lower() == ".pth":
            arrays, downsample_fb = from_torch(load_torch(path)), True
        else:
            arrays = super()._read_weights(path)
            if not is_dezero(arrays):
                return arrays
            arrays, downsample_fb = from_dezero(arrays), False
        if downsample_fb != self.downsample_fb:
            raise WeightsError(
                f"{path}: the weights are for other positions of the strides; create the network with "
                f"{type(self).__name__}(downsample_fb={downsample_fb})"
            )
        return arrays

    @staticmethod
    def preprocess(image: Any) -> Array:
        """The central square of a Pillow picture as an array (3, 224, 224), normalized for the PyTorch weights.

        Raises `DependencyError` if Pillow is not installed.

        >>> from PIL import Image
        >>> ResNet.preprocess(Image.new("RGB", (300, 256))).shape
        (3, 224, 224)
        """
        side = min(image.size)
        square = CenterCrop(224 * side // 256)
        return Compose([Convert(), square, Resize(224), ToArray(), Normalize(MEAN, STD)])(image)

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
