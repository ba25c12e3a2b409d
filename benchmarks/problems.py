"""The problems: shapes, initial values and data, the same for every framework."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np

CHAIN = "`square(exp(square(x)))` at x = 0.5 in float64, forward and backward"

OPTIMIZERS = {"sgd": "SGD", "momentum": "momentum SGD", "adam": "Adam"}
MOMENTUM = 0.9
"""Of the optimizer "momentum"."""


@dataclass(frozen=True)
class Perceptron:
    """A training step: relu and softmax cross entropy, or for a regression tanh and the mean squared error.

    ``sizes``: inputs, units of each layer, outputs; ``optimizer``: one of `OPTIMIZERS`.
    """

    kind: ClassVar[str] = "perceptron"
    sizes: tuple[int, ...]
    N: int
    optimizer: str
    lr: float = 0.01
    regression: bool = False

    @property
    def what(self) -> str:
        how = "tanh, mean squared error" if self.regression else "relu, softmax cross entropy"
        sizes = "-".join(map(str, self.sizes))
        return f"training step of {sizes}, {how}, {OPTIMIZERS[self.optimizer]}, batch {self.N}"

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(1)
        x, outputs = rng.standard_normal((self.N, self.sizes[0]), np.float32), self.sizes[-1]
        if self.regression:
            return x, rng.standard_normal((self.N, outputs), np.float32)
        return x, rng.integers(0, outputs, self.N)


UNITS, BATCHES = (16, 32, 64, 128, 256, 512, 1024), (1, 4, 16, 64, 256)
"""Of the map of perceptrons with two hidden layers."""


def on_map(units: int, N: int, optimizer: str = "momentum") -> Perceptron:
    """Return a point of the map, with a rate at which the loss does not reach zero during a measurement."""
    return Perceptron((units, units, units, 10), N, optimizer, lr=1e-6 if optimizer == "adam" else 1e-4)


MAP = {
    **{str(units): {N: on_map(units, N) for N in BATCHES} for units in UNITS},
    "64 Adam": {N: on_map(64, N, "adam") for N in BATCHES},
}
"""Perceptrons by units of a layer and batch; with Adam in the last row."""


def name_on_map(row: str, N: int) -> str:
    """Return the name of a point, such as "perceptron-16-256" or "perceptron-64-adam-1"."""
    return f"perceptron-{row.replace(' ', '-').lower()}-{N}"


POINTS = {name_on_map(row, N): problem for row, points in MAP.items() for N, problem in points.items()}
PERCEPTRONS = {
    "small": Perceptron((4, 64, 64, 2), 32, "adam", lr=1e-3, regression=True),
    "large": Perceptron((784, 1000, 10), 100, "sgd"),
    "larger": Perceptron((512, 2048, 2048, 100), 128, "momentum"),
    **POINTS,
}
VECTORS = ("chain", "small", "large")
SHALLOW = ("chain", *PERCEPTRONS)
"""All others are deep."""

NETWORKS = {
    "lenet": "LeNet-5 with relu and max pooling",
    "cnn": "three convolutions of 3 x 3 with max pooling",
    "resnet20": "ResNet-20",
    "mobile": "five blocks of MobileNetV2",
    "wide": "five convolutions of 128 to 256 channels as in VGG",
    "mobilenetv2": "MobileNetV2",
    "efficientnet": "EfficientNet-Lite0",
}


@dataclass(frozen=True)
class Images:
    """A network on images: a training step with SGD, or the outputs in test mode without a graph."""

    kind: ClassVar[str] = "network"
    lr: ClassVar[float] = 0.01
    network: str
    shape: tuple[int, int, int, int]
    optimizer: str = "sgd"
    training: bool = True
    width: int = 32
    """Channels of the first convolution; it is varied for the network "cnn" only."""

    @property
    def what(self) -> str:
        N, _, H, W = self.shape
        how = "training step" if self.training else "forward pass in test mode"
        width = f", {self.width} to {2 * self.width} channels" if self.network == "cnn" else ""
        return f"{how} of {NETWORKS[self.network]}{width}, {H} x {W}, batch {N}"

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(1)
        return rng.standard_normal(self.shape, np.float32), rng.integers(0, 10, self.shape[0])


TRAINING = {
    "lenet": Images("lenet", (64, 1, 28, 28)),
    "cnn": Images("cnn", (32, 3, 32, 32)),
    "resnet20": Images("resnet20", (64, 3, 32, 32), "momentum"),
    "mobile": Images("mobile", (32, 3, 64, 64), "momentum"),
    "wide": Images("wide", (16, 3, 32, 32)),
}
FORWARD = {f"{name}-forward": replace(images, training=False) for name, images in TRAINING.items()}
PHOTOGRAPHS = {name: Images(name, (1, 3, 224, 224)) for name in ("mobilenetv2", "efficientnet")}
ONE = {
    f"{name}-one": replace(images, shape=(1, *images.shape[1:]), training=False)
    for name, images in {**TRAINING, **PHOTOGRAPHS}.items()
    if name != "wide"
}
CNN = TRAINING["cnn"]
GROWTH = {
    "batch": {n: replace(CNN, shape=(n, 3, 32, 32)) for n in (1, 4, 16, 64, 256)},
    "channels": {n: replace(CNN, width=n) for n in (8, 16, 32, 64, 128)},
    "image size": {n: replace(CNN, shape=(32, 3, n, n)) for n in (8, 16, 32, 64, 128)},
}
"""Variants of the network "cnn", by the property that is varied."""


def name_in_growth(line: str, value: int) -> str:
    """Return the name of a variant, such as "cnn-batch-4" or "cnn-size-64"."""
    return f"cnn-{line.split()[-1]}-{value}"


IMAGES = {
    **TRAINING,
    **FORWARD,
    **ONE,
    **{name_in_growth(line, n): images for line, points in GROWTH.items() for n, images in points.items()},
}


def starting_weights(sizes: tuple[int, ...]) -> list[np.ndarray]:
    """Return W and b of each layer in float32."""
    rng = np.random.default_rng(0)
    weights = []
    for n, m in pairwise(sizes):
        weights += [(rng.standard_normal((n, m)) / np.sqrt(n)).astype(np.float32), np.zeros(m, np.float32)]
    return weights


def values(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Return initial values of weights (O, C, KH, KW) and (I, O) in float32."""
    rng = np.random.default_rng(0)
    return [next_value(rng, shape) for shape in shapes]


def next_value(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    fan = int(np.prod(shape[1:])) if len(shape) == 4 else shape[0]
    return rng.standard_normal(shape, np.float32) * np.float32(fan**-0.5)
