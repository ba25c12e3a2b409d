"""The operations in passus."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import passus
import passus.functions as F
from benchmarks.operations.costs import Operation, channels_last
from passus.core import Parameter
from passus.core.backward import gradients
from passus.layers import Layer

Step = Callable[[], object]


def forward(operation: Operation) -> Step:
    function, xs = FUNCTIONS[operation.kind](operation), operation.arrays()
    return lambda: function(*xs)


def backward(operation: Operation) -> Step:
    """Return a step that computes the gradients of all arguments from one recorded result."""
    xs = [passus.Variable(x) for x in operation.arrays()]
    y = FUNCTIONS[operation.kind](operation)(*xs)
    gy = passus.Variable(channels_last(np.random.default_rng(1).standard_normal(y.shape, np.float32)))
    return lambda: gradients([y], xs, [gy])


def update(operation: Operation) -> Step:
    model = Layer()
    model.W = Parameter(operation.arrays()[0])
    model.W.grad = passus.Variable(np.ones_like(model.W.data))
    optimizer = passus.optimizers.Adam(lr=1e-3).setup(model)

    def step() -> passus.Variable:
        optimizer.update()
        return model.W

    return step


def convolution(operation: Operation) -> Callable:
    return lambda x, W: F.conv2d(x, W, None, 1, **operation.options)


def cross_entropy(operation: Operation) -> Callable:
    N, classes = operation.shapes[0]
    t = np.random.default_rng(2).integers(0, classes, N)
    return lambda x: F.softmax_cross_entropy(x, t)


FUNCTIONS: dict[str, Callable[[Operation], Callable]] = {
    "conv2d": convolution,
    "matmul": lambda operation: F.matmul,
    "max_pooling": lambda operation: lambda x: F.pooling(x, 2, 2),
    "batch_norm": lambda operation: lambda x, gamma, beta: F.batch_norm(x, gamma, beta, None, None, eps=1e-5),
    "relu": lambda operation: F.relu,
    "gelu": lambda operation: lambda x: F.gelu(x, "tanh"),
    "layer_norm": lambda operation: F.layer_norm,
    "softmax_cross_entropy": cross_entropy,
}
