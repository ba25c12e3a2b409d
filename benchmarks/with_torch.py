"""The problems in PyTorch, run eagerly; each function returns the step to repeat, which returns the loss."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.problems import (
    LARGE,
    SMALL,
    digits_batch,
    large_batch,
    photos_batch,
    small_batch,
    starting_weights,
    values,
)


def chain() -> Callable[[], torch.Tensor]:
    x = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def step() -> torch.Tensor:
        x.grad = None
        y = torch.square(torch.exp(torch.square(x)))
        y.backward()
        return y.detach()

    return step


def small() -> Callable[[], torch.Tensor]:
    model = network(SMALL, nn.Tanh)
    return training(model, functional.mse_loss, torch.optim.Adam(model.parameters(), lr=1e-3), *small_batch())


def large() -> Callable[[], torch.Tensor]:
    model = network(LARGE, nn.ReLU)
    return training(model, functional.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.01), *large_batch())


def lenet() -> Callable[[], torch.Tensor]:
    return training_on_images(lenet_model(), {"lr": 0.01}, *digits_batch())


def cnn() -> Callable[[], torch.Tensor]:
    return training_on_images(cnn_model(), {"lr": 0.01}, *photos_batch(32))


def resnet20() -> Callable[[], torch.Tensor]:
    return training_on_images(ResNet20(), {"lr": 0.01, "momentum": 0.9}, *photos_batch(64))


def lenet_model() -> nn.Module:
    first = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(
        *first, *second, nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)
    )


def cnn_model() -> nn.Module:
    layers: list[nn.Module] = []
    for c, o in pairwise((3, 32, 64, 64)):
        layers += [nn.Conv2d(c, o, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 10))


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


def training_on_images(
    model: nn.Module, options: dict[str, float], x: np.ndarray, t: np.ndarray
) -> Callable[[], torch.Tensor]:
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    as_ours = [tuple(weight.shape) if weight.ndim > 2 else tuple(weight.T.shape) for weight in weights]
    with torch.no_grad():
        for weight, value in zip(weights, values(as_ours)):
            weight.copy_(torch.from_numpy(value if value.ndim > 2 else value.T))
        for module in model.modules():
            if getattr(module, "bias", None) is not None:
                module.bias.zero_()
    return training(model, functional.cross_entropy, torch.optim.SGD(model.parameters(), **options), x, t)


def network(sizes: tuple[int, ...], activation: Callable[[], nn.Module]) -> nn.Module:
    weights = starting_weights(sizes)
    layers: list[nn.Module] = []
    for W, b in zip(weights[::2], weights[1::2]):
        linear = nn.Linear(*W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T))
            linear.bias.copy_(torch.from_numpy(b))
        layers += [linear, activation()]
    return nn.Sequential(*layers[:-1])


def training(
    model: nn.Module, loss: Callable, optimizer: torch.optim.Optimizer, x: np.ndarray, t: np.ndarray
) -> Callable[[], torch.Tensor]:
    inputs, targets = torch.from_numpy(x), torch.from_numpy(t)

    def step() -> torch.Tensor:
        y = loss(model(inputs), targets)
        optimizer.zero_grad(set_to_none=True)
        y.backward()
        optimizer.step()
        return y.detach()

    return step
