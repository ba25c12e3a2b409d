"""The problems in passus; each function returns the step to repeat, which returns the loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import passus
import passus.functions as F
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
from passus.layers import BatchNorm, Conv2d, Flatten, Layer, Linear, MaxPooling, ReLU, Sequential
from passus.optimizers import SGD, Adam, MomentumSGD, Optimizer


def chain() -> Callable[[], passus.Variable]:
    x = passus.Variable(np.array(0.5))

    def step() -> passus.Variable:
        x.cleargrad()
        y = F.square(F.exp(F.square(x)))
        y.backward()
        return y

    return step


def small() -> Callable[[], passus.Variable]:
    return training(SMALL, F.tanh, F.mean_squared_error, Adam(lr=1e-3), *small_batch())


def large() -> Callable[[], passus.Variable]:
    return training(LARGE, F.relu, F.softmax_cross_entropy, SGD(lr=0.01), *large_batch())


def lenet() -> Callable[[], passus.Variable]:
    convolutions = [Conv2d(6, 5, pad=2), ReLU(), MaxPooling(2), Conv2d(16, 5), ReLU(), MaxPooling(2), Flatten()]
    model = Sequential(*convolutions, Linear(120), ReLU(), Linear(84), ReLU(), Linear(10))
    return training_on_images(model, SGD(lr=0.01), *digits_batch())


def cnn() -> Callable[[], passus.Variable]:
    layers: list[Layer] = []
    for channels in (32, 64, 64):
        layers += [Conv2d(channels, 3, pad=1), ReLU(), MaxPooling(2)]
    return training_on_images(Sequential(*layers, Flatten(), Linear(10)), SGD(lr=0.01), *photos_batch(32))


def resnet20() -> Callable[[], passus.Variable]:
    return training_on_images(ResNet20(), MomentumSGD(lr=0.01), *photos_batch(64))


class Block(Layer):
    def __init__(self, channels: int, stride: int, shortcut: bool) -> None:
        self.conv1, self.norm1 = Conv2d(channels, 3, stride, 1, nobias=True), BatchNorm(eps=1e-5)
        self.conv2, self.norm2 = Conv2d(channels, 3, 1, 1, nobias=True), BatchNorm(eps=1e-5)
        self.shortcut = Conv2d(channels, 1, stride, nobias=True) if shortcut else None

    def forward(self, x: passus.Variable) -> passus.Variable:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + (self.shortcut(x) if self.shortcut else x))


class ResNet20(Layer):
    def __init__(self) -> None:
        self.conv, self.norm = Conv2d(16, 3, 1, 1, nobias=True), BatchNorm(eps=1e-5)
        self.blocks = [
            Block(width, *((2, True) if width > 16 and i == 0 else (1, False)))
            for width in (16, 32, 64)
            for i in range(3)
        ]
        self.out = Linear(10)

    def forward(self, x: passus.Variable) -> passus.Variable:
        x = F.relu(self.norm(self.conv(x)))
        for block in self.blocks:
            x = block(x)
        return self.out(x.mean(axis=(2, 3)))


def training_on_images(
    model: Layer, optimizer: Optimizer, x: np.ndarray, t: np.ndarray
) -> Callable[[], passus.Variable]:
    model(x)
    weights = [parameter for parameter in model.params() if parameter.ndim > 1]
    for parameter, value in zip(weights, values([parameter.shape for parameter in weights])):
        parameter.data = value
    return steps(model, F.softmax_cross_entropy, optimizer, x, t)


def training(
    sizes: tuple[int, ...], activation: Callable, loss: Callable, optimizer: Optimizer, x: np.ndarray, t: np.ndarray
) -> Callable[[], passus.Variable]:
    model = passus.models.MLP(sizes[1:], activation=activation)
    model(x)  # The first call makes the parameters.
    for parameter, value in zip(model.params(), starting_weights(sizes), strict=True):
        parameter.data = value
    return steps(model, loss, optimizer, x, t)


def steps(
    model: Layer, loss: Callable, optimizer: Optimizer, x: np.ndarray, t: np.ndarray
) -> Callable[[], passus.Variable]:
    optimizer.setup(model)

    def step() -> passus.Variable:
        y = loss(model(x), t)
        model.cleargrads()
        y.backward()
        optimizer.update()
        return y

    return step
