"""Scopes, which supply the weights of the networks in JAX."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.problems import next_value

Array = jax.Array
Network = Callable[["Scope", Array], Array]


class Scope:
    """Weights and running averages in the order of use; ``new_averages``: the updated averages."""

    def __init__(self, weights: list[Array], averages: list[Array], training: bool) -> None:
        self.weights: Iterator[Array] = iter(weights)
        self.averages: Iterator[Array] = iter(averages)
        self.training = training
        self.new_averages: list[Array] = []

    def weight(self, shape: tuple[int, ...]) -> Array:
        return next(self.weights)

    def vector(self, size: int, start: float = 0.0) -> Array:
        return next(self.weights)

    def average(self, size: int, start: float) -> Array:
        return next(self.averages)


class Initializer(Scope):
    """Creates the weights and averages that a network uses, and stores them."""

    def __init__(self, training: bool) -> None:
        super().__init__([], [], training)
        self.rng = np.random.default_rng(0)
        self.created: list[np.ndarray] = []
        self.created_averages: list[np.ndarray] = []

    def weight(self, shape: tuple[int, ...]) -> Array:
        """Create weights (I, O), or (KH, KW, C, O) with the values that other frameworks have in (O, C, KH, KW)."""
        if len(shape) == 4:
            W = next_value(self.rng, tuple(shape[i] for i in (3, 2, 0, 1)))
            self.created.append(W.transpose(2, 3, 1, 0))
        else:
            self.created.append(next_value(self.rng, shape))
        return jnp.asarray(self.created[-1])

    def vector(self, size: int, start: float = 0.0) -> Array:
        self.created.append(np.full(size, start, np.float32))
        return jnp.asarray(self.created[-1])

    def average(self, size: int, start: float) -> Array:
        self.created_averages.append(np.full(size, start, np.float32))
        return jnp.asarray(self.created_averages[-1])


def initial_values(network: Network, x: Array, training: bool) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the initial weights and averages of a network."""
    scope = Initializer(training)
    jax.eval_shape(lambda x: network(scope, x), x)
    return scope.created, scope.created_averages
