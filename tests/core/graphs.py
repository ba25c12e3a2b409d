"""Small functions and leaves that the tests of the engine build graphs from."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

import passus.functions as F
from passus import Function, Variable
from passus.core import Unary


class Halves(Function):
    """Two outputs: the first and second half of a vector."""

    def forward(self, x):
        n = len(x) // 2
        return x[:n], x[n:]

    def backward(self, ga, gb):
        return np.concatenate([ga, gb])


class Recorder(Unary):
    """The identity. It records the order in which rules are called."""

    visits: ClassVar[list[str]] = []

    def __init__(self, name):
        self.name = name

    def forward(self, x):
        return x + 0.0

    def backward(self, gy):
        self.visits.append(self.name)
        return gy


def leaf(*values: float) -> Variable:
    return Variable(np.array(values))


def derivatives(f: Any, *values: float) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivative of the sum of f, elementwise."""
    x = leaf(*values)
    F.sum(f(x)).backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    F.sum(gx).backward()
    return gx.data, x.grad.data
