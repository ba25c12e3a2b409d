"""A process that times training steps with one library.

`serve` reads the names of problems from stdin, a line each, and answers each with the seconds of a step. A separate process for
each library keeps the threads of one from competing with those of another.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import passus.functions as F
from passus.kernels import start_using
from passus.layers import Conv2d, Flatten, Linear, MaxPooling, ReLU, Sequential
from passus.optimizers import SGD
from passus.optional import import_optional

__all__ = ["CEILING", "PROBLEMS", "network", "serve"]

CEILING = "product"
"""The name under which the time of a matrix product is reported."""

SIDE = 768
"""Rows and columns of the factors of this product."""

PROBLEMS: dict[str, tuple[int, ...]] = {"perceptron": (100, 784), "convolutions": (32, 1, 28, 28)}
"""The shapes of the batches."""

SECONDS = 0.15
"""The duration of a turn."""


def network(problem: str) -> Any:
    """The network of a problem in passus; that in PyTorch has the same layers."""
    if problem == "perceptron":
        return Sequential(Linear(256), ReLU(), Linear(10))
    convolutions = (Conv2d(16, kernel_size=3, pad=1), ReLU(), MaxPooling(2), Conv2d(32, kernel_size=3, pad=1), ReLU())
    return Sequential(*convolutions, MaxPooling(2), Flatten(), Linear(10))


def _batch(problem: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    shape = PROBLEMS[problem]
    return rng.standard_normal(shape, np.float32), rng.integers(0, 10, shape[0])


def _step_of_passus(problem: str) -> Callable[[], object]:
    x, t = _batch(problem)
    model = network(problem)
    optimizer = SGD(lr=0.01).setup(model)
    start_using()

    def step() -> None:
        loss = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()

    return step


def _step_of_torch(problem: str) -> Callable[[], object]:
    torch = import_optional("torch", "torch", "the comparison")
    nn = torch.nn
    x, t = map(torch.from_numpy, _batch(problem))
    if problem == "perceptron":
        model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    else:
        first, second = [(nn.Conv2d(*sizes, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)) for sizes in ((1, 16), (16, 32))]
        model = nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(32 * 49, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step() -> None:
        loss = nn.functional.cross_entropy(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _product() -> Callable[[], object]:
    a, b = np.ones((2, SIDE, SIDE), np.float32)
    return lambda: a @ b


def _seconds(step: Callable[[], object]) -> float:
    """The shortest time of a step in a turn."""
    best, end = float("inf"), time.perf_counter() + SECONDS
    while best == float("inf") or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - start)
    return best


def serve(library: str) -> None:
    """Answer the lines of stdin."""
    make = {"passus": _step_of_passus, "torch": _step_of_torch}[library]
    steps: dict[str, Callable[[], object]] = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in steps:
            steps[name] = _product() if name == CEILING else make(name)
            steps[name]()  # Compiles kernels, and creates parameters.
        print(_seconds(steps[name]), flush=True)
