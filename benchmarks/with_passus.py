"""The problems in passus; each function returns a step, which returns the loss or the outputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import passus
import passus.functions as F
from benchmarks.networks.in_passus import model_of
from benchmarks.problems import LARGE, SMALL, Images, large_batch, small_batch, starting_weights, values
from passus.layers import Layer
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


def network(problem: Images) -> Callable[[], np.ndarray]:
    model = model_of(problem)
    x, t = problem.batch()
    predictions(model, x)()  # The first call creates the parameters.
    weights = [parameter for parameter in model.params() if parameter.ndim > 1]
    for parameter, value in zip(weights, values([parameter.shape for parameter in weights])):
        parameter.data = value
    if not problem.training:
        passus.kernels.start_using()  # One line for the user: single images use kernels, too.
        return predictions(model, x)
    optimizer = MomentumSGD(lr=0.01, momentum=problem.momentum) if problem.momentum else SGD(lr=0.01)
    return steps(model, F.softmax_cross_entropy, optimizer, x, t)


def predictions(model: Layer, x: np.ndarray) -> Callable[[], np.ndarray]:
    def step() -> np.ndarray:
        with passus.no_grad(), passus.test_mode():
            return model(x).data

    return step


def training(
    sizes: tuple[int, ...], activation: Callable, loss: Callable, optimizer: Optimizer, x: np.ndarray, t: np.ndarray
) -> Callable[[], passus.Variable]:
    model = passus.models.MLP(sizes[1:], activation=activation)
    model(x)  # The first call creates the parameters.
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
