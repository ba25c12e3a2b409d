"""The networks on images in passus."""

from __future__ import annotations

import passus
import passus.functions as F
from benchmarks.problems import Images
from passus.layers import BatchNorm, Conv2d, Flatten, Layer, Linear, MaxPooling, Sequential


def model_of(problem: Images) -> Layer:
    makers = {
        "lenet": lenet,
        "cnn": lambda: cnn(problem.width),
        "resnet20": ResNet20,
        "mobile": Mobile,
        "wide": wide,
        "mobilenetv2": passus.models.MobileNetV2,
        "efficientnet": passus.models.EfficientNetLite0,
    }
    return makers[problem.network]()


def lenet() -> Layer:
    relu = {"activation": "relu"}
    convolutions = [Conv2d(6, 5, pad=2, **relu), MaxPooling(2), Conv2d(16, 5, **relu), MaxPooling(2), Flatten()]
    return Sequential(*convolutions, Linear(120, **relu), Linear(84, **relu), Linear(10))


def cnn(width: int) -> Layer:
    layers: list[Layer] = []
    for channels in (width, 2 * width, 2 * width):
        layers += [Conv2d(channels, 3, pad=1, activation="relu"), MaxPooling(2)]
    return Sequential(*layers, Flatten(), Linear(10))


def wide() -> Layer:
    layers: list[Layer] = []
    for widths in ((128,), (128, 256), (256, 256)):
        for channels in widths:
            layers.append(Conv2d(channels, 3, pad=1, activation="relu"))
        layers.append(MaxPooling(2))
    return Sequential(*layers, Flatten(), Linear(10))


class Block(Layer):
    def __init__(self, channels: int, stride: int, shortcut: bool) -> None:
        self.conv1, self.norm1 = Conv2d(channels, 3, stride, 1, nobias=True), BatchNorm(eps=1e-5, activation="relu")
        self.conv2, self.norm2 = Conv2d(channels, 3, 1, 1, nobias=True), BatchNorm(eps=1e-5)
        self.shortcut = Conv2d(channels, 1, stride, nobias=True) if shortcut else None

    def forward(self, x: passus.Variable) -> passus.Variable:
        y = self.norm2(self.conv2(self.norm1(self.conv1(x))))
        return F.add_relu(y, self.shortcut(x) if self.shortcut else x)


class ResNet20(Layer):
    def __init__(self) -> None:
        self.conv, self.norm = Conv2d(16, 3, 1, 1, nobias=True), BatchNorm(eps=1e-5, activation="relu")
        self.blocks = [
            Block(width, *((2, True) if width > 16 and i == 0 else (1, False)))
            for width in (16, 32, 64)
            for i in range(3)
        ]
        self.out = Linear(10)

    def forward(self, x: passus.Variable) -> passus.Variable:
        x = self.norm(self.conv(x))
        for block in self.blocks:
            x = block(x)
        return self.out(x.mean(axis=(2, 3)))


def convolved(channels: int, size: int, stride: int = 1, groups: int = 1) -> Sequential:
    convolution = Conv2d(channels, size, stride, size // 2, nobias=True, groups=groups)
    return Sequential(convolution, BatchNorm(eps=1e-5, activation="relu6"))


class InvertedResidual(Layer):
    def __init__(self, c: int, o: int, stride: int, expansion: int) -> None:
        inner = c * expansion
        self.expand = convolved(inner, 1)
        self.depthwise = convolved(inner, 3, stride, inner)
        self.project = Sequential(Conv2d(o, 1, nobias=True), BatchNorm(eps=1e-5))
        self.residual = stride == 1 and c == o

    def forward(self, x: passus.Variable) -> passus.Variable:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class Mobile(Layer):
    def __init__(self) -> None:
        options = [(32, 16, 1, 1), (16, 24, 2, 6), (24, 24, 1, 6), (24, 32, 2, 6), (32, 32, 1, 6)]
        self.features = Sequential(convolved(32, 3, 2), *[InvertedResidual(*option) for option in options])
        self.out = Linear(10)

    def forward(self, x: passus.Variable) -> passus.Variable:
        return self.out(self.features(x).mean(axis=(2, 3)))
