"""What every program computes: the same shapes, starting values and data, so that only the framework differs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

PROBLEMS = {
    "chain": "`square(exp(square(x)))` at x = 0.5 in float64, forward and backward",
    "small": "training step of 4-64-64-2, tanh, mean squared error, Adam, batch 32",
    "large": "training step of 784-1000-10, relu, softmax cross entropy, SGD, batch 100",
    "lenet": "training step of LeNet-5 with relu and max pooling, 28 x 28, SGD, batch 64",
    "cnn": "training step of three convolutions (32, 64, 64 channels), 32 x 32, SGD, batch 32",
    "resnet20": "training step of ResNet-20, 32 x 32, SGD with momentum, batch 64",
}
IMAGES = ("lenet", "cnn", "resnet20")
"""The problems for which only these programs are written: passus with and without Numba, and PyTorch."""

SMALL = (4, 64, 64, 2)
LARGE = (784, 1000, 10)


def starting_weights(sizes: tuple[int, ...]) -> list[np.ndarray]:
    """W and b of each layer in turn, in float32."""
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


def digits_batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((64, 1, 28, 28), np.float32), rng.integers(0, 10, 64)


def photos_batch(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((count, 3, 32, 32), np.float32), rng.integers(0, 10, count)


def values(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Starting values of weights (O, C, KH, KW) and (I, O), in float32."""
    rng = np.random.default_rng(0)
    fans = [int(np.prod(shape[1:])) if len(shape) == 4 else shape[0] for shape in shapes]
    return [rng.standard_normal(shape, np.float32) * np.float32(fan**-0.5) for shape, fan in zip(shapes, fans)]
