"""The problems in passus; each function returns a step, which returns the loss or the outputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

import passus
import passus.functions as F
from benchmarks.networks.in_passus import model_of
from benchmarks.preparing import Prepare, eagerly
from benchmarks.problems import MOMENTUM, Images, Perceptron, starting_weights, values
from benchmarks.sequences.problems import Training
from passus.layers import Layer
from passus.optimizers import SGD, Adam, MomentumSGD, Optimizer

Step = Callable[[], passus.Variable]


def chain(prepared: Prepare = eagerly) -> Step:
    @prepared
    def step(x: passus.Variable) -> passus.Variable:
        x.cleargrad()
        y = F.square(F.exp(F.square(x)))
        y.backward()
        return y

    return partial(step, passus.Variable(np.array(0.5)))


def perceptron(problem: Perceptron, prepared: Prepare = eagerly) -> Step:
    activation, loss = (F.tanh, F.mean_squared_error) if problem.regression else (F.relu, F.softmax_cross_entropy)
    model = passus.models.MLP(problem.sizes[1:], activation=activation)
    x, t = problem.batch()
    model(x)  # The first call creates the parameters.
    for parameter, value in zip(model.params(), starting_weights(problem.sizes), strict=True):
        parameter.data = value
    return steps(model, loss, optimizer_of(problem), x, t, prepared)


def in_test_mode(model: Callable) -> Callable:
    """Prepare a model for predictions."""

    def predict(*xs: np.ndarray) -> passus.Variable:
        with passus.no_grad(), passus.test_mode():
            return model(*xs)

    return predict


def network(
    problem: Images, prepared: Prepare = eagerly, predicting: Prepare = in_test_mode
) -> Step | Callable[[], np.ndarray]:
    """Return a step; ``prepared`` prepares a training step, ``predicting`` a model in test mode."""
    model = model_of(problem)
    x, t = problem.batch()
    in_test_mode(model)(x)  # The first call creates the parameters.
    weights = [parameter for parameter in model.params() if parameter.ndim > 1]
    for parameter, value in zip(weights, values([parameter.shape for parameter in weights])):
        parameter.data = value
    if not problem.training:
        passus.kernels.start_using()  # One line for the user: single images use kernels, too.
        predict = predicting(model)
        return lambda: predict(x).data
    return steps(model, F.softmax_cross_entropy, optimizer_of(problem), x, t, prepared)


def optimizer_of(problem: Images | Perceptron | Training) -> Optimizer:
    makers = {"sgd": SGD, "momentum": partial(MomentumSGD, momentum=MOMENTUM), "adam": Adam}
    return makers[problem.optimizer](lr=problem.lr)


def steps(
    model: Layer, loss: Callable, optimizer: Optimizer, x: np.ndarray, t: np.ndarray, prepared: Prepare = eagerly
) -> Step:
    optimizer.setup(model)

    @prepared
    def step(x: np.ndarray, t: np.ndarray) -> passus.Variable:
        y = loss(model(x), t)
        model.cleargrads()
        y.backward()
        optimizer.update()
        return y

    return partial(step, x, t)
