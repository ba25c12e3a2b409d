"""VGG16, the plain network of 3x3 convolutions."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_dtype
from passus.backend import Array
from passus.core import Operand, Result
from passus.errors import DTypeError, kind_of
from passus.files import FilePath
from passus.initializers import he_normal, normal
from passus.layers import Conv2d, Dropout, Linear
from passus.models.model import Model
from passus.models.pretrained import load_pretrained
from passus.random import RNG, get_rng
from passus.transforms import Compose, Convert, Resize, ToArray
from passus.transforms.pictures import Image

__all__ = ["VGG16"]

SIZES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))

STAGES = [{f"conv{i}_{j}": channels for j in range(1, n + 1)} for i, (channels, n) in enumerate(SIZES, start=1)]
"""The convolutions before each pooling, with their channels."""

BY_HAND = "https://github.com/koki0702/dezero-models/releases/download/v0.1/vgg16.npz"
"""The URL of DeZero's weights, for which no checksum is published."""

IMAGENET_BGR = np.array([103.939, 116.779, 123.68])
"""The mean blue, green and red of the original training images, from 0 to 255."""


class VGG16(Model):
    """VGG, (N, C, H, W) to (N, num_classes): 13 convolutions of 3x3 in five stages, and three fully connected layers.

    Designed for 224 x 224 pixels, for which it has 138,357,544 parameters; the input size of ``fc6`` is inferred from the
    image size on the first call. ``in_channels``: C; by default also inferred on the first call. ``weights``: a file of
    weights, such as DeZero's ``vgg16.npz``; `preprocess` prepares images for it. ``rng``: a seed or generator for the initial
    weights. After a call, each layer refers to its output before relu: ``model.conv5_3.outputs[0]()``.

    ``pretrained``: load DeZero's weights from the cache folder, where the user must put them.

    Raises `ArgumentError` for numbers out of range, `MissingWeightsError` for ``pretrained`` without a file, `WeightsError`
    for a file that does not fit, `ShapeError` for images below 32 x 32 pixels.
    Source: Simonyan and Zisserman, 2015, "Very deep convolutional networks for large-scale image recognition".

    >>> model = VGG16(rng=0)
    >>> model.features(np.ones((1, 3, 64, 32), np.float32)).shape
    (1, 512, 2, 1)
    """

    def __init__(
        self,
        pretrained: bool = False,
        num_classes: int = 1000,
        in_channels: int | None = None,
        weights: FilePath | None = None,
        rng: RNG = None,
    ) -> None:
        classes = checked_count("VGG16", "num_classes", num_classes)
        rng = None if rng is None else get_rng(rng)  # One generator for all layers.
        for stage in STAGES:
            for name, channels in stage.items():
                known = in_channels if name == "conv1_1" else None
                convolution = partial(Conv2d, channels, 3, pad=1, initializer=he_normal, rng=rng)
                setattr(self, name, convolution(in_channels=known))
        self.fc6 = Linear(4096, initializer=he_normal, rng=rng)
        self.fc7 = Linear(4096, initializer=he_normal, rng=rng)
        self.fc8 = Linear(classes, initializer=partial(normal, std=0.01), rng=rng)
        self.dropout = Dropout(0.5)
        suitable = "DeZero's vgg16.npz, or a file of save_weights"
        load_pretrained(self, weights, pretrained, suitable, by_hand=BY_HAND)

    def features(self, x: Operand) -> Result:
        """The output of the convolutions, (N, C, H, W) to (N, 512, H // 32, W // 32)."""
        for stage in STAGES:
            *before, last = stage
            for name in before:
                x = F.relu(getattr(self, name)(x))
            x = F.relu(
                F.pooling(getattr(self, last)(x), 2, 2)
            )  # Equal to pooling after relu, with a quarter of the work.
        return x

    def forward(self, x: Operand) -> Result:
        y = F.flatten(self.features(x))
        for layer in (self.fc6, self.fc7):
            y = self.dropout(F.relu(layer(y)))
        return self.fc8(y)

    @staticmethod
    def preprocess(image: Image, size: tuple[int, int] | None = (224, 224), dtype: DTypeLike = np.float32) -> Array:
        """A Pillow picture as an array (3, H, W) for DeZero's weights: blue, green, red, minus their means.

        ``size``: (width, height); None preserves the size. Raises `DependencyError` without Pillow, `DTypeError` for other
        types than pictures.

        >>> from PIL import Image
        >>> x = VGG16.preprocess(Image.new("RGB", (20, 10), (255, 0, 0)))
        >>> x.shape, x.dtype, x[:, 0, 0].round().tolist()
        ((3, 224, 224), dtype('float32'), [-104.0, -117.0, 131.0])
        """
        if not hasattr(image, "convert"):
            raise DTypeError(f"VGG16.preprocess: {kind_of(image)} is not a Pillow image")
        kind = checked_dtype("VGG16.preprocess", dtype, kinds="f")
        resize = [] if size is None else [Resize(size)]
        x = Compose([Convert("BGR"), *resize, ToArray(np.uint8)])(image)
        return x.astype(kind) - IMAGENET_BGR.astype(kind)[:, None, None]
