"""What every program computes: the same shapes, starting values and data, so that only the framework differs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

PROBLEMS = {
    "chain": "`square(exp(square(x)))` at x = 0.5 in float64, forward and backward",
    "small": "training step of 4-64-64-2, tanh, mean squared error, Adam, batch 32",
    "large": "training step of 784-1000-10, relu, softmax cross entropy, SGD, batch 100",
}
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
