"""The problems in JAX: a training step is one compiled function with donated arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.networks.in_jax import network_of
from benchmarks.networks.jax_scope import Array, Scope, initial_values
from benchmarks.problems import MOMENTUM, Images, Perceptron, starting_weights
from benchmarks.sequences.problems import Training

Step = Callable[[], Array]
Update = Callable[[Any, Any, Any], tuple[Any, Any]]
"""Computes new weights and slots from the old ones and the gradients."""


def chain() -> Step:
    jax.config.update("jax_enable_x64", True)  # For this process only.
    x = jnp.array(0.5, jnp.float64)
    both = jax.jit(jax.value_and_grad(lambda x: jnp.square(jnp.exp(jnp.square(x)))))
    return lambda: jax.block_until_ready(both(x))[0]


def perceptron(problem: Perceptron) -> Step:
    activation, loss_of = (jnp.tanh, squared_error) if problem.regression else (jax.nn.relu, cross_entropy)

    def loss(weights: list[Array], averages: None, x: Array, t: Array) -> tuple[Array, None]:
        return loss_of(outputs(weights, x, activation), t), None

    weights = starting_weights(problem.sizes)
    return training(loss, *optimizer_of(problem, weights), weights, None, *problem.batch())


def network(problem: Images) -> Step:
    network = network_of(problem)
    x, t = problem.batch()
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    weights, averages = initial_values(network, x, problem.training)

    def loss(weights: list[Array], averages: list[Array], x: Array, t: Array) -> tuple[Array, list[Array]]:
        scope = Scope(weights, averages, training=True)
        return cross_entropy(network(scope, x), t), scope.new_averages

    if problem.training:
        return training(loss, *optimizer_of(problem, weights), weights, averages, x, t)
    scores = jax.jit(lambda weights, averages, x: network(Scope(weights, averages, training=False), x))
    arguments = jax.device_put((weights, averages, x))
    return lambda: scores(*arguments).block_until_ready()


def training(
    loss: Callable, update: Update, slots: object, weights: list, averages: object, x: np.ndarray, t: np.ndarray
) -> Step:
    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def updated(weights: list, slots: object, averages: object, x: Array, t: Array) -> tuple:
        (y, averages), gradients = jax.value_and_grad(loss, has_aux=True)(weights, averages, x, t)
        return y, (*update(weights, slots, gradients), averages)

    state, batch = jax.device_put((weights, slots, averages)), jax.device_put((x, t))

    def step() -> Array:
        nonlocal state
        y, state = jax.block_until_ready(updated(*state, *batch))
        return y

    return step


def optimizer_of(problem: Images | Perceptron | Training, weights: list[np.ndarray]) -> tuple[Update, object]:
    """Return the update rule and its first slots."""
    rule = {"sgd": sgd, "momentum": momentum, "adam": adam}[problem.optimizer]
    zeros = [np.zeros_like(w) for w in weights]
    slots = {"sgd": None, "momentum": zeros, "adam": (zeros, [*zeros], np.float32(0))}[problem.optimizer]
    return partial(rule, lr=problem.lr), slots


def sgd(weights: list[Array], slots: None, gradients: list[Array], lr: float) -> tuple[list[Array], None]:
    return [w - lr * g for w, g in zip(weights, gradients)], None


def momentum(
    weights: list[Array], slots: list[Array], gradients: list[Array], lr: float
) -> tuple[list[Array], list[Array]]:
    slots = [MOMENTUM * v + g for v, g in zip(slots, gradients)]
    return [w - lr * v for w, v in zip(weights, slots)], slots


def adam(weights: list[Array], slots: tuple, gradients: list[Array], lr: float) -> tuple[list[Array], tuple]:
    ms, vs, n = slots
    n = n + 1
    ms = [0.9 * m + 0.1 * g for m, g in zip(ms, gradients)]
    vs = [0.999 * v + 0.001 * g * g for v, g in zip(vs, gradients)]
    c, d = 1 - 0.9**n, 1 - 0.999**n
    return [w - lr * (m / c) / (jnp.sqrt(v / d) + 1e-8) for w, m, v in zip(weights, ms, vs)], (ms, vs, n)


def outputs(weights: list[Array], x: Array, activation: Callable) -> Array:
    *hidden, W, b = weights
    for V, c in zip(hidden[::2], hidden[1::2]):
        x = activation(x @ V + c)
    return x @ W + b


def squared_error(y: Array, t: Array) -> Array:
    return jnp.mean((y - t) ** 2)


def cross_entropy(y: Array, t: Array) -> Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(y), t[:, None], 1).mean()
