"""The network, the optimizer and the random generator that the parameters of an estimator describe."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any

import numpy as np

import passus.functions as F
from passus.arguments import shown
from passus.errors import ArgumentError, DTypeError, kind_of
from passus.layers import Layer, LazyParameter
from passus.models import MLP
from passus.optimizers import SGD, Adam, AdamW, MomentumSGD, Optimizer
from passus.random import get_rng

__all__ = ["dtype_of", "new_generator", "new_network", "new_optimizer"]


def _identity(x: Any) -> Any:
    return x


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": F.gelu,
    "identity": _identity,
    "logistic": F.sigmoid,
    "relu": F.relu,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
}
"""The activations by name, those of `sklearn.neural_network.MLPClassifier` included."""

OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {
    "adam": lambda lr: Adam(lr=lr),
    "adamw": lambda lr: AdamW(lr=lr),
    "momentum": lambda lr: MomentumSGD(lr=lr),
    "sgd": lambda lr: SGD(lr=lr),
}
"""The optimizers by name, as functions of the learning rate."""


def new_network(
    network: Any, hidden_layer_sizes: Any, activation: Any, in_size: int, out_size: int, dtype: Any = np.float32
) -> Layer:
    """An untrained network of ``out_size`` outputs: a copy of a layer, the result of a factory, or an `MLP` of ``dtype``.

    Raises `DTypeError` if ``network`` is neither a layer, a factory nor None, or the factory returns something else;
    `ArgumentError` for an unknown activation and for hidden layers without units.

    >>> new_network(None, (8,), "relu", 4, 3)(np.ones((2, 4), np.float32)).shape
    (2, 3)
    """
    if network is None:
        sizes = (hidden_layer_sizes,) if isinstance(hidden_layer_sizes, Integral) else hidden_layer_sizes
        made = MLP((*_checked_sizes(sizes), out_size), _activation(activation), in_size=in_size)
        for parameter in made.params():
            parameter.data = parameter.data.astype(dtype)
        return made
    if isinstance(network, Layer):
        return copy.deepcopy(network)
    if not callable(network):
        raise DTypeError(f"network is {kind_of(network)}; give a layer, or a function of (in_size, out_size)")
    given = network(in_size, out_size)
    if not isinstance(given, Layer):
        raise DTypeError(f"network(in_size, out_size) returned {kind_of(given)}; it must return a new layer")
    return given


def dtype_of(network: Layer) -> Any:
    """The dtype in which a network computes: that of its first parameter, or float32 without parameters.

    >>> dtype_of(MLP((3,)))
    dtype('float32')
    """
    for parameter in network.params():
        if isinstance(parameter, LazyParameter) and parameter._data is None:
            return parameter.spec.dtype
        return parameter.dtype
    return np.dtype(np.float32)


def _checked_sizes(sizes: Any) -> tuple[int, ...]:
    if not isinstance(sizes, Iterable) or isinstance(sizes, str):
        raise DTypeError(f"hidden_layer_sizes={shown(sizes)}; give a tuple of integers, as in (100,)")
    checked = tuple(sizes)
    if any(isinstance(n, bool) or not isinstance(n, Integral) or n < 1 for n in checked):
        raise ArgumentError(f"hidden_layer_sizes={shown(sizes)}; give integers of 1 or more")
    return tuple([int(n) for n in checked])


def _activation(activation: Any) -> Callable[[Any], Any]:
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    if callable(activation):
        function: Callable[[Any], Any] = activation
        return function
    raise ArgumentError(
        f"activation={shown(activation)}; give one of {', '.join(ACTIVATIONS)}, or a function such as F.leaky_relu"
    )


def new_optimizer(optimizer: Any, learning_rate: float) -> Optimizer:
    """An optimizer by name, or a copy of the given one, which has its own learning rate.

    Raises `ArgumentError` for an unknown name, `DTypeError` for other values.

    >>> new_optimizer("sgd", 0.1).lr
    0.1
    """
    if isinstance(optimizer, Optimizer):
        return copy.deepcopy(optimizer)
    if not isinstance(optimizer, str):
        raise DTypeError(f"optimizer is {kind_of(optimizer)}; give a name such as 'adam', or an optimizer")
    if optimizer not in OPTIMIZERS:
        raise ArgumentError(f"optimizer={shown(optimizer)}; give one of {', '.join(OPTIMIZERS)}, or an optimizer")
    return OPTIMIZERS[optimizer](learning_rate)


def new_generator(random_state: Any) -> np.random.Generator:
    """A separate generator, seeded by ``random_state``: an integer, a generator of NumPy, or None.

    None takes the seed from the current generator of passus, so `passus.random.seed` makes it reproducible.

    >>> bool(new_generator(3).random() == new_generator(3).random())
    True
    """
    if isinstance(random_state, np.random.RandomState):
        return get_rng(int(random_state.randint(1 << 31)))
    if isinstance(random_state, (np.random.Generator, type(None))):
        return get_rng(int(get_rng(random_state).integers(1 << 31)))
    return get_rng(random_state)
