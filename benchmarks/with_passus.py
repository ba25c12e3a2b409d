"""The problems in passus; each function returns the step to repeat, which returns the loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import passus
import passus.functions as F
from benchmarks.problems import LARGE, SMALL, large_batch, small_batch, starting_weights
from passus.optimizers import SGD, Adam, Optimizer


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


def training(
    sizes: tuple[int, ...], activation: Callable, loss: Callable, optimizer: Optimizer, x: np.ndarray, t: np.ndarray
) -> Callable[[], passus.Variable]:
    model = passus.models.MLP(sizes[1:], activation=activation)
    model(x)  # The first call makes the parameters.
    for parameter, value in zip(model.params(), starting_weights(sizes), strict=True):
        parameter.data = value
    optimizer.setup(model)

    def step() -> passus.Variable:
        y = loss(model(x), t)
        model.cleargrads()
        y.backward()
        optimizer.update()
        return y

    return step
