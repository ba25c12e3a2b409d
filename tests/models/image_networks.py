"""Networks for images in plain PyTorch, and functions to copy the weights of ours into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from passus import layers as L
from passus.config import no_grad, test_mode
from passus.models import (
    VGG16,
    LeNet,
    Model,
    ResNet18,
    ResNet50,
    SqueezeNet,
)

SMALL: dict[str, tuple[Callable[..., Model], int]] = {
    "LeNet": (LeNet, 28),
    "VGG16": (VGG16, 32),
    "ResNet18": (ResNet18, 33),
    "ResNet50": (ResNet50, 32),
    "ResNet50 of DeZero": (lambda **options: ResNet50(downsample_fb=False, **options), 38),
    "SqueezeNet1.0": (SqueezeNet, 45),
    "SqueezeNet1.1": (lambda **options: SqueezeNet(version="1.1", **options), 40),
}
"""Each kind of network with a small image size that it accepts."""
LARGE = {"VGG16": pytest.mark.slow}
"""Initialization of 100 million weights takes long."""
every_network = pytest.mark.parametrize("name", [pytest.param(name, marks=LARGE.get(name, ())) for name in SMALL])


def images(n: int, size: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(size).standard_normal((n, channels, size, size)).astype(np.float32)


def predicted(model: Model, x: np.ndarray) -> np.ndarray:
    with no_grad(), test_mode():
        return model(x).data


class TorchBlock(nn.Module):
    """A residual block of convolutions (in, out, kernel, stride), each with its batch normalization."""

    def __init__(
        self, *convolutions: tuple[int, int, int, int], shortcut: tuple[int, int, int] | None, eps: float = 1e-5
    ) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        for c, o, kernel, stride in convolutions:
            modules += [nn.Conv2d(c, o, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(o, eps), nn.ReLU()]
        self.branch = nn.Sequential(*modules[:-1])
        self.shortcut = nn.Identity()
        if shortcut is not None:
            c, o, stride = shortcut
            self.shortcut = nn.Sequential(nn.Conv2d(c, o, 1, stride, bias=False), nn.BatchNorm2d(o, eps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


def torch_resnet(blocks: list[TorchBlock], features: int, eps: float = 1e-5, pad: int = 1) -> nn.Module:
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64, eps), nn.ReLU(), nn.MaxPool2d(3, 2, pad)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, 1000))


def torch_resnet18() -> nn.Module:
    blocks, c = [], 64
    for o, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks.append(TorchBlock((c, o, 3, stride), (o, o, 3, 1), shortcut=(c, o, stride) if o > 64 else None))
        blocks.append(TorchBlock((o, o, 3, 1), (o, o, 3, 1), shortcut=None))
        c = o
    return torch_resnet(blocks, 512)


def torch_resnet50() -> nn.Module:
    blocks, c = [], 64
    for n, m, stride in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)):
        o = 4 * m
        blocks.append(TorchBlock((c, m, 1, 1), (m, m, 3, stride), (m, o, 1, 1), shortcut=(c, o, stride)))
        blocks += [TorchBlock((o, m, 1, 1), (m, m, 3, 1), (m, o, 1, 1), shortcut=None) for _ in range(n - 1)]
        c = o
    return torch_resnet(blocks, 2048)


def torch_resnet50_of_dezero() -> nn.Module:
    """With the stride in the first convolution, as in the paper, and with the pooling and eps of DeZero."""
    blocks, c, eps = [], 64, 2e-5
    for n, m, stride in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)):
        o = 4 * m
        blocks.append(TorchBlock((c, m, 1, stride), (m, m, 3, 1), (m, o, 1, 1), shortcut=(c, o, stride), eps=eps))
        blocks += [TorchBlock((o, m, 1, 1), (m, m, 3, 1), (m, o, 1, 1), shortcut=None, eps=eps) for _ in range(n - 1)]
        c = o
    return torch_resnet(blocks, 2048, eps, pad=0)


def torch_vgg16() -> nn.Module:
    modules: list[nn.Module] = []
    c = 3
    for o in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        modules += [nn.Conv2d(c, o, 3, padding=1), nn.ReLU()] if o else [nn.MaxPool2d(2)]
        c = o or c
    hidden = [
        nn.Flatten(),
        nn.Linear(512, 4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(),
    ]
    return nn.Sequential(*modules, *hidden, nn.Linear(4096, 1000))


class TorchFire(nn.Module):
    def __init__(self, c: int, s: int, e: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([nn.Conv2d(c, s, 1), nn.Conv2d(s, e, 1), nn.Conv2d(s, e, 3, padding=1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squeeze, one, three = self.convolutions
        x = torch.relu(squeeze(x))
        return torch.cat([torch.relu(one(x)), torch.relu(three(x))], 1)


def torch_squeezenet(*specs: Any) -> nn.Module:
    """A convolution is specified by its four arguments, a fire module by three numbers of channels, a pooling by None."""
    modules: list[nn.Module] = []
    for spec in specs:
        if spec is None:
            modules.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        elif len(spec) == 4:
            modules += [nn.Conv2d(*spec), nn.ReLU()]
        else:
            modules.append(TorchFire(*spec))
    return nn.Sequential(
        *modules, nn.Dropout(), nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


LATE_FIRES = ((256, 48, 192), (384, 48, 192), (384, 64, 256))


def torch_squeezenet10() -> nn.Module:
    early = ((96, 16, 64), (128, 16, 64), (128, 32, 128))
    return torch_squeezenet((3, 96, 7, 2), None, *early, None, (256, 32, 128), *LATE_FIRES, None, (512, 64, 256))


def torch_squeezenet11() -> nn.Module:
    early = ((64, 16, 64), (128, 16, 64), None, (128, 32, 128), (256, 32, 128), None)
    return torch_squeezenet((3, 64, 3, 2), None, *early, *LATE_FIRES, (512, 64, 256))


def torch_lenet() -> nn.Module:
    convolutions = [
        nn.Conv2d(3, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
    ]
    dense = [nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
    return nn.Sequential(*convolutions, nn.Flatten(), *dense)


THEIRS = {
    "LeNet": torch_lenet,
    "VGG16": torch_vgg16,
    "ResNet18": torch_resnet18,
    "ResNet50": torch_resnet50,
    "ResNet50 of DeZero": torch_resnet50_of_dezero,
    "SqueezeNet1.0": torch_squeezenet10,
    "SqueezeNet1.1": torch_squeezenet11,
}


def copy_weights(ours: Model, theirs: nn.Module) -> None:
    """Copy the weights of our network into a network in PyTorch with the same order of layers."""
    kinds: dict[type, type] = {L.Conv2d: nn.Conv2d, L.BatchNorm: nn.BatchNorm2d, L.Linear: nn.Linear}
    mine = [layer for _, layer in ours.named_layers() if type(layer) in kinds]
    his = [module for module in theirs.modules() if type(module) in kinds.values()]
    for layer, module in zip(mine, his, strict=True):
        assert kinds[type(layer)] is type(module)
        W, b = (layer.gamma, layer.beta) if isinstance(layer, L.BatchNorm) else (layer.W, layer.b)
        fill(module.weight, W.data.T if isinstance(layer, L.Linear) else W.data)
        if b is not None:
            fill(module.bias, b.data)
        if isinstance(layer, L.BatchNorm):
            assert module.eps == layer.eps
            fill(module.running_mean, layer.avg_mean)
            fill(module.running_var, layer.avg_var)


def fill(tensor: Any, array: np.ndarray) -> None:
    assert tuple(tensor.shape) == array.shape
    with torch.no_grad():
        tensor.copy_(torch.tensor(array))


def randomize_biases_and_statistics(model: Model) -> None:
    """Assign random biases and statistics, because the initial zeros and ones hide errors."""
    rng = np.random.default_rng(1)
    for _, layer in model.named_layers():
        if isinstance(layer, L.BatchNorm):
            n = layer.gamma.size
            layer.gamma.data, layer.beta.data = (rng.uniform(0.5, 1.0, (2, n))).astype(np.float32)
            layer.avg_mean, layer.avg_var = rng.uniform(0.5, 1.5, (2, n)).astype(np.float32)
        elif isinstance(layer, (L.Conv2d, L.Linear)) and layer.b is not None:
            layer.b.data = rng.uniform(-0.1, 0.1, layer.b.size).astype(np.float32)
