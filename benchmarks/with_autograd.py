"""The problems in autograd; the update rules are written out, because it has none for lists of arrays."""

from __future__ import annotations

from collections.abc import Callable

import autograd.numpy as np
from autograd import value_and_grad

from benchmarks.problems import Perceptron, starting_weights

Update = Callable[[list, list], None]
"""Changes weights in place, given their gradients."""


def chain() -> Callable[[], float]:
    gradient = value_and_grad(lambda x: np.square(np.exp(np.square(x))))
    return lambda: gradient(0.5)[0]


def perceptron(problem: Perceptron) -> Callable[[], float]:
    x, t = problem.batch()
    weights = starting_weights(problem.sizes)
    activation, loss_of = (np.tanh, squared_error) if problem.regression else (relu, cross_entropy)
    gradient = value_and_grad(lambda weights: loss_of(outputs(x, weights, activation), t))
    update = {"sgd": sgd, "adam": adam}[problem.optimizer](weights, problem.lr)

    def step() -> float:
        y, gradients = gradient(weights)
        update(weights, gradients)
        return y

    return step


def sgd(weights: list, lr: float) -> Update:
    def update(weights: list, gradients: list) -> None:
        for w, gw in zip(weights, gradients):
            w -= lr * gw

    return update


def adam(weights: list, lr: float) -> Update:
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
    steps = 0

    def update(weights: list, gradients: list) -> None:
        nonlocal steps
        steps += 1
        for w, gw, (m, v) in zip(weights, gradients, moments):
            m += (1 - 0.9) * (gw - m)
            v += (1 - 0.999) * (gw * gw - v)
            w -= lr * (m / (1 - 0.9**steps)) / (np.sqrt(v / (1 - 0.999**steps)) + 1e-8)

    return update


def squared_error(y: np.ndarray, t: np.ndarray) -> float:
    return np.mean((y - t) ** 2)


def cross_entropy(y: np.ndarray, t: np.ndarray) -> float:
    y = y - np.max(y, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(y), axis=1)) - y[np.arange(len(t)), t])


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def outputs(x: np.ndarray, weights: list, activation: Callable) -> np.ndarray:
    *hidden, W, b = weights
    for V, c in zip(hidden[::2], hidden[1::2]):
        x = activation(x @ V + c)
    return x @ W + b
