"""The networks on images in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from benchmarks.networks.rows import CLASSES, HEAD, STEM, blocks_of
from benchmarks.problems import Images


def model_of(problem: Images) -> nn.Module:
    side = problem.shape[-1]
    makers = {
        "lenet": lenet,
        "cnn": lambda: cnn(problem.width, side),
        "resnet20": ResNet20,
        "mobile": Mobile,
        "wide": lambda: wide(side),
        "mobilenetv2": lambda: InvertedResiduals("mobilenetv2", convolved),
        "efficientnet": lambda: InvertedResiduals("efficientnet", convolved_as_in_tensorflow),
    }
    return makers[problem.network]()


def lenet() -> nn.Module:
    first = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(
        *first, *second, nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)
    )


def cnn(width: int, side: int) -> nn.Module:
    layers: list[nn.Module] = []
    for c, o in pairwise((3, width, 2 * width, 2 * width)):
        layers += [nn.Conv2d(c, o, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * width * (side // 8) ** 2, 10))


def wide(side: int) -> nn.Module:
    layers: list[nn.Module] = []
    for widths in ((3, 128), (128, 128, 256), (256, 256, 256)):
        for c, o in pairwise(widths):
            layers += [nn.Conv2d(c, o, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * (side // 8) ** 2, 10))


class Block(nn.Module):
    def __init__(self, c: int, o: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(c, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.norm2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.shortcut = nn.Conv2d(c, o, 1, stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet20(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = [16] * 4 + [32] * 3 + [64] * 3
        self.blocks = nn.Sequential(*[Block(c, o, 2 if c < o else 1) for c, o in pairwise(widths)])
        self.out = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.blocks(functional.relu(self.norm(self.conv(x)))).mean((2, 3)))


def convolved(
    c: int, o: int, size: int, stride: int = 1, groups: int = 1, linear: bool = False, eps: float = 1e-5
) -> nn.Module:
    convolution = nn.Conv2d(c, o, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(o, eps), nn.Identity() if linear else nn.ReLU6())


def convolved_as_in_tensorflow(
    c: int, o: int, size: int, stride: int = 1, groups: int = 1, linear: bool = False
) -> nn.Module:
    """Images of even sides are padded more at the end than at the start if the stride is 2."""
    unit = convolved(c, o, size, stride, groups, linear, eps=1e-3)
    if stride == 1:
        return unit
    unit[0].padding = (0, 0)
    before, after = (size - 2) // 2, (size - 1) // 2
    return nn.Sequential(nn.ZeroPad2d((before, after, before, after)), unit)


class InvertedResidual(nn.Module):
    def __init__(
        self,
        c: int,
        o: int,
        stride: int,
        expansion: int,
        size: int = 3,
        unit: Callable[..., nn.Module] = convolved,
        expand: bool = True,
    ) -> None:
        super().__init__()
        inner = c * expansion
        self.expand = unit(c, inner, 1) if expand else nn.Identity()
        self.depthwise = unit(inner, inner, size, stride, inner)
        self.project = unit(inner, o, 1, linear=True)
        self.residual = stride == 1 and c == o

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class Mobile(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        options = [(32, 16, 1, 1), (16, 24, 2, 6), (24, 24, 1, 6), (24, 32, 2, 6), (32, 32, 1, 6)]
        self.features = nn.Sequential(convolved(3, 32, 3, 2), *[InvertedResidual(*option) for option in options])
        self.out = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.features(x).mean((2, 3)))


class InvertedResiduals(nn.Module):
    """MobileNetV2, or EfficientNet-Lite0."""

    def __init__(self, network: str, unit: Callable[..., nn.Module]) -> None:
        super().__init__()
        blocks = blocks_of(network)
        layers = [InvertedResidual(*block, unit, expand=block.expansion > 1) for block in blocks]
        self.features = nn.Sequential(unit(3, STEM, 3, 2), *layers, unit(blocks[-1].o, HEAD, 1))
        self.out = nn.Linear(HEAD, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.features(x).mean((2, 3)))
