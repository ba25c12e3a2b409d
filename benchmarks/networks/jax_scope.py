"""Where the networks in JAX, which are plain functions, find their weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.problems import next_value

Array = jax.Array
Network = Callable[["Scope", Array], Array]


class Scope:
    """Weights and averages in the order in which a network asks for them; ``left`` are the averages that follow the batch."""

    def __init__(self, weights: list[Array], averages: list[Array], training: bool) -> None:
        self.weights: Iterator[Array] = iter(weights)
        self.averages: Iterator[Array] = iter(averages)
        self.training = training
        self.left: list[Array] = []

    def weight(self, shape: tuple[int, ...]) -> Array:
        return next(self.weights)

    def vector(self, size: int, start: float = 0.0) -> Array:
        return next(self.weights)

    def average(self, size: int, start: float) -> Array:
        return next(self.averages)


class Beginning(Scope):
    """Makes the weights and averages that a network asks for, and keeps them."""

    def __init__(self, training: bool) -> None:
        super().__init__([], [], training)
        self.rng = np.random.default_rng(0)
        self.made: list[np.ndarray] = []
        self.made_averages: list[np.ndarray] = []

    def weight(self, shape: tuple[int, ...]) -> Array:
        """Of (KH, KW, C, O), with the values that the others have as (O, C, KH, KW), or of (I, O)."""
        if len(shape) == 4:
            W = next_value(self.rng, tuple(shape[i] for i in (3, 2, 0, 1)))
            self.made.append(W.transpose(2, 3, 1, 0))
        else:
            self.made.append(next_value(self.rng, shape))
        return jnp.asarray(self.made[-1])

    def vector(self, size: int, start: float = 0.0) -> Array:
        self.made.append(np.full(size, start, np.float32))
        return jnp.asarray(self.made[-1])

    def average(self, size: int, start: float) -> Array:
        self.made_averages.append(np.full(size, start, np.float32))
        return jnp.asarray(self.made_averages[-1])


def beginning_of(network: Network, x: Array, training: bool) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The weights and averages that a network starts with."""
    scope = Beginning(training)
    jax.eval_shape(lambda x: network(scope, x), x)
    return scope.made, scope.made_averages
