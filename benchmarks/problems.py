"""The problems: shapes, initial values and data, the same for every framework."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

SMALL = (4, 64, 64, 2)
LARGE = (784, 1000, 10)

VECTORS = {
    "chain": "`square(exp(square(x)))` at x = 0.5 in float64, forward and backward",
    "small": "training step of 4-64-64-2, tanh, mean squared error, Adam, batch 32",
    "large": "training step of 784-1000-10, relu, softmax cross entropy, SGD, batch 100",
}

NETWORKS = {
    "lenet": "LeNet-5 with relu and max pooling",
    "cnn": "three convolutions of 3 x 3 with max pooling",
    "resnet20": "ResNet-20",
    "mobile": "five blocks of MobileNetV2",
    "wide": "five convolutions of 128 to 256 channels as in VGG",
}


@dataclass(frozen=True)
class Images:
    """A network on images: a training step with SGD, or the outputs in test mode without a graph."""

    network: str
    shape: tuple[int, int, int, int]
    momentum: float = 0.0
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
    "resnet20": Images("resnet20", (64, 3, 32, 32), momentum=0.9),
    "mobile": Images("mobile", (32, 3, 64, 64), momentum=0.9),
    "wide": Images("wide", (16, 3, 32, 32)),
}
FORWARD = {f"{name}-forward": replace(images, training=False) for name, images in TRAINING.items()}
ONE = {
    f"{name}-one": replace(TRAINING[name], shape=(1, *TRAINING[name].shape[1:]), training=False)
    for name in ("lenet", "resnet20", "mobile")
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


def small_batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((32, 4), np.float32), rng.standard_normal((32, 2), np.float32)


def large_batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((100, 784), np.float32), rng.integers(0, 10, 100)


def values(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Return initial values of weights (O, C, KH, KW) and (I, O) in float32."""
    rng = np.random.default_rng(0)
    return [next_value(rng, shape) for shape in shapes]


def next_value(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    fan = int(np.prod(shape[1:])) if len(shape) == 4 else shape[0]
    return rng.standard_normal(shape, np.float32) * np.float32(fan**-0.5)
