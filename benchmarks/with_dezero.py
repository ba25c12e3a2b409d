"""The problems in DeZero 0.0.13, for a separate environment with an older NumPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import dezero.functions as F
import dezero.layers as L
import numpy as np
from dezero import Layer, Variable
from dezero.optimizers import SGD, MomentumSGD, Optimizer

from benchmarks.problems import MOMENTUM, Images, Perceptron, starting_weights, values

Step = Callable[[], np.ndarray]


def chain() -> Step:
    x = Variable(np.array(0.5))

    def step() -> np.ndarray:
        x.cleargrad()
        y = F.exp(x**2) ** 2
        y.backward()
        return y.data

    return step


def perceptron(problem: Perceptron) -> Step:
    model = Layers(problem.sizes)
    for layer, W in zip(model.ordered, starting_weights(problem.sizes)[::2]):
        layer.W.data = W
    return training(model, optimizer_of(problem), *problem.batch())


def network(problem: Images) -> Step:
    model = {"lenet": LeNet, "cnn": CNN, "resnet20": ResNet20}[problem.network]()
    x, t = problem.batch()
    for layer, value in zip(model.ordered, values([layer.W.shape for layer in model.ordered])):
        layer.W.data = value
    return training(model, optimizer_of(problem), x, t)


def optimizer_of(problem: Images | Perceptron) -> Optimizer:
    return {"sgd": SGD, "momentum": partial(MomentumSGD, momentum=MOMENTUM)}[problem.optimizer](lr=problem.lr)


class Network(Layer):
    """Records the layers with weights in order, because DeZero's parameters are unordered sets."""

    def __init__(self) -> None:
        super().__init__()
        self.ordered: list[Layer] = []

    def conv(self, c: int, o: int, size: int, stride: int = 1, pad: int = 0, nobias: bool = False) -> Layer:
        return self.add(L.Conv2d(o, size, stride, pad, nobias, in_channels=c))

    def linear(self, n: int, m: int) -> Layer:
        return self.add(L.Linear(m, in_size=n))

    def add(self, layer: Layer) -> Layer:
        self.ordered.append(layer)
        return self.register(layer)

    def register(self, layer: Layer) -> Layer:
        """Make a layer an attribute, as DeZero requires; a layer with two names would be updated twice."""
        setattr(self, f"layer{len(self.__dict__)}", layer)
        return layer


class Layers(Network):
    """A perceptron with relu."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        for n, m in pairwise(sizes):
            self.linear(n, m)

    def forward(self, x: np.ndarray) -> Variable:
        *hidden, out = self.ordered
        for linear in hidden:
            x = F.relu(linear(x))
        return out(x)


class LeNet(Network):
    def __init__(self) -> None:
        super().__init__()
        self.convs = self.conv(1, 6, 5, pad=2), self.conv(6, 16, 5)
        self.linears = [self.linear(n, m) for n, m in pairwise((400, 120, 84, 10))]

    def forward(self, x: np.ndarray) -> Variable:
        for conv in self.convs:
            x = F.pooling(F.relu(conv(x)), 2, 2)
        *hidden, out = self.linears
        x = F.flatten(x)
        for linear in hidden:
            x = F.relu(linear(x))
        return out(x)


class CNN(Network):
    def __init__(self) -> None:
        super().__init__()
        self.convs = [self.conv(c, o, 3, pad=1) for c, o in pairwise((3, 32, 64, 64))]
        self.linear(1024, 10)

    def forward(self, x: np.ndarray) -> Variable:
        for conv in self.convs:
            x = F.pooling(F.relu(conv(x)), 2, 2)
        return self.ordered[-1](F.flatten(x))


class ResNet20(Network):
    def __init__(self) -> None:
        super().__init__()
        self.first = self.normalized(3, 16)
        self.blocks = [self.block(c, o) for c, o in pairwise([16] * 4 + [32] * 3 + [64] * 3)]
        self.linear(64, 10)

    def normalized(self, c: int, o: int, stride: int = 1) -> Callable[[Variable], Variable]:
        conv, norm = self.conv(c, o, 3, stride, 1, nobias=True), self.register(L.BatchNorm())
        return lambda x: norm(conv(x))

    def block(self, c: int, o: int) -> Callable[[Variable], Variable]:
        stride = 1 if c == o else 2
        first, second = self.normalized(c, o, stride), self.normalized(o, o)
        shortcut = self.conv(c, o, 1, stride, nobias=True) if stride > 1 else lambda x: x
        return lambda x: F.relu(second(F.relu(first(x))) + shortcut(x))

    def forward(self, x: np.ndarray) -> Variable:
        x = F.relu(self.first(x))
        for block in self.blocks:
            x = block(x)
        return self.ordered[-1](F.sum(F.sum(x, axis=3), axis=2) / (x.shape[2] * x.shape[3]))


def training(model: Layer, optimizer: Optimizer, x: np.ndarray, t: np.ndarray) -> Step:
    optimizer.setup(model)
    model(x)  # The first call creates the parameters of batch normalization for the optimizer.

    def step() -> np.ndarray:
        y = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        y.backward()
        optimizer.update()
        return y.data

    return step
