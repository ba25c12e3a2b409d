"""The problems in autograd; the update rules are written out, because it has none for lists of arrays."""

from __future__ import annotations

from collections.abc import Callable

import autograd.numpy as np
from autograd import value_and_grad

from benchmarks.problems import LARGE, SMALL, large_batch, small_batch, starting_weights


def chain() -> Callable[[], float]:
    gradient = value_and_grad(lambda x: np.square(np.exp(np.square(x))))
    return lambda: gradient(0.5)[0]


def small() -> Callable[[], float]:
    x, t = small_batch()
    weights = starting_weights(SMALL)
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
    steps = 0

    def loss(weights: list) -> float:
        return np.mean((perceptron(x, weights, np.tanh) - t) ** 2)

    gradient = value_and_grad(loss)

    def step() -> float:
        nonlocal steps
        steps += 1
        y, gradients = gradient(weights)
        for w, gw, (m, v) in zip(weights, gradients, moments):
            m += (1 - 0.9) * (gw - m)
            v += (1 - 0.999) * (gw * gw - v)
            w -= 1e-3 * (m / (1 - 0.9**steps)) / (np.sqrt(v / (1 - 0.999**steps)) + 1e-8)
        return y

    return step


def large() -> Callable[[], float]:
    x, t = large_batch()
    weights = starting_weights(LARGE)
    rows = np.arange(len(t))

    def loss(weights: list) -> float:
        y = perceptron(x, weights, lambda h: np.maximum(h, 0))
        y = y - np.max(y, axis=1, keepdims=True)
        return np.mean(np.log(np.sum(np.exp(y), axis=1)) - y[rows, t])

    gradient = value_and_grad(loss)

    def step() -> float:
        y, gradients = gradient(weights)
        for w, gw in zip(weights, gradients):
            w -= 0.01 * gw
        return y

    return step


def perceptron(x: np.ndarray, weights: list, activation: Callable) -> np.ndarray:
    *hidden, W, b = weights
    for V, c in zip(hidden[::2], hidden[1::2]):
        x = activation(x @ V + c)
    return x @ W + b
