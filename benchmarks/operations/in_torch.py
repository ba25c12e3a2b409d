"""The operations in PyTorch, with channels last in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from benchmarks.operations.costs import Operation, channels_last

Step = Callable[[], object]


def forward(operation: Operation) -> Step:
    function, xs = FUNCTIONS[operation.kind](operation), [torch.from_numpy(x) for x in operation.arrays()]

    def step() -> torch.Tensor:
        with torch.inference_mode():
            return function(*xs)

    return step


def backward(operation: Operation) -> Step:
    """Return a step that computes the gradients of all arguments from one recorded result."""
    xs = [torch.from_numpy(x).requires_grad_() for x in operation.arrays()]
    y = FUNCTIONS[operation.kind](operation)(*xs)
    gy = torch.from_numpy(channels_last(np.random.default_rng(1).standard_normal(y.shape, np.float32)))
    return lambda: torch.autograd.grad(y, xs, gy, retain_graph=True)


def update(operation: Operation) -> Step:
    W = torch.from_numpy(operation.arrays()[0]).requires_grad_()
    W.grad = torch.ones_like(W)
    optimizer = torch.optim.Adam([W], lr=1e-3, fused=True)

    def step() -> torch.Tensor:
        optimizer.step()
        return W.detach()

    return step


def convolution(operation: Operation) -> Callable:
    pad, groups = operation.options["pad"], operation.options["groups"]
    return lambda x, W: functional.conv2d(x, W, padding=pad, groups=groups)


def cross_entropy(operation: Operation) -> Callable:
    N, classes = operation.shapes[0]
    t = torch.from_numpy(np.random.default_rng(2).integers(0, classes, N))
    return lambda x: functional.cross_entropy(x, t)


FUNCTIONS: dict[str, Callable[[Operation], Callable]] = {
    "conv2d": convolution,
    "matmul": lambda operation: torch.matmul,
    "max_pooling": lambda operation: lambda x: functional.max_pool2d(x, 2),
    "batch_norm": lambda operation: lambda x, gamma, beta: functional.batch_norm(x, None, None, gamma, beta, True),
    "relu": lambda operation: functional.relu,
    "gelu": lambda operation: lambda x: functional.gelu(x, approximate="tanh"),
    "layer_norm": lambda operation: lambda x, gamma, beta: functional.layer_norm(x, gamma.shape, gamma, beta),
    "softmax_cross_entropy": cross_entropy,
}
