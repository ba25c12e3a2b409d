"""A layer with children and parameters of all kinds, for the tests of layers."""

from __future__ import annotations

from typing import Any

import numpy as np

import passus.functions as F
from passus import Variable
from passus.core import Parameter
from passus.layers import Layer, Linear

X = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


def parameter(*shape: int) -> Parameter:
    return Parameter(np.zeros(shape))


def paths(layer: Layer) -> list[str]:
    return [path for path, _ in layer.named_params()]


def loss(layer: Layer, x: Any = X) -> Variable:
    return F.sum(F.square(layer(x)))


class Block(Layer):
    def __init__(self) -> None:
        self.first = Linear(3, in_size=4)
        self.scale = Parameter(np.zeros(3, np.float32))
        self.many = [Linear(3, in_size=3), F.relu, {"gate": Linear(3, in_size=3), "bias": parameter(1)}]
        self.pair = (parameter(1), 2.0)
        self.last = Linear(2, nobias=True, in_size=3)

    def forward(self, x: Any) -> Any:
        return self.last(self.many[1](self.many[0](self.first(x) + self.scale)))
