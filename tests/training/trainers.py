"""A small trainer, callbacks that interrupt it, and comparisons of runs."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np

import passus.functions as F
import passus.random
from passus.dataloaders import DataLoader
from passus.datasets import Spiral
from passus.layers import BatchNorm, Dropout, Layer, Linear, ReLU, Sequential
from passus.metrics import Accuracy
from passus.optimizers import SGD, Adam
from passus.schedules import cosine
from passus.training import Callback, Trainer

X, T = Spiral().data, Spiral().label


BATCHES = 10


class Killed(Exception):
    """Stands for the death of a process at any moment."""


class At(Callback):
    """Call a function at one step."""

    def __init__(self, step: int, action: Any) -> None:
        self.step, self.action = step, action

    def on_step(self, run: Any) -> None:
        if run.step == self.step:
            self.action()


def kill() -> None:
    raise Killed


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


def trainer(*callbacks: Callback, seed: int = 0, **options: Any) -> Trainer:
    """A run whose components all have state: dropout, batch normalization, shuffling, Adam, a schedule, metrics."""
    passus.random.seed(seed)
    model = Sequential(Linear(16, in_size=2), BatchNorm(), ReLU(), Dropout(0.5), Linear(3))
    optimizer = Adam(lr=cosine(0.05, steps=30)).setup(model)
    loader = DataLoader(Spiral(), batch_size=32)
    given = {
        "test_loader": DataLoader(Spiral(train=False), batch_size=128, shuffle=False),
        "metrics": {"accuracy": Accuracy()},
        "progress": False,
    }
    return Trainer(model, optimizer, loader, F.softmax_cross_entropy, callbacks=callbacks, **given | options)


def linear(loader: Any, **options: Any) -> Trainer:
    """A minimal run: a linear model in float32."""
    model = Linear(1, in_size=2)
    return Trainer(model, SGD(lr=0.1).setup(model), loader, **{"progress": False} | options)


def pairs(*sizes: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((n, 2)).astype(np.float32), np.ones((n, 1), np.float32)) for n in sizes]


def assert_same_state(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for path, x in a.items():
        np.testing.assert_array_equal(x, b[path], err_msg=path)


def assert_same_run(a: Trainer, b: Trainer) -> None:
    assert a.history == b.history
    assert (a.epoch, a.batch, a.step) == (b.epoch, b.batch, b.step)
    assert_same_state(a.model.state_dict(), b.model.state_dict())


class Two(Layer):
    """A model of two inputs whose output has one of several structures."""

    def __init__(self, kind="array", dtype=np.float32):
        self.kind, self.linear, self.dropout = kind, Linear(3, dtype=dtype), Dropout(0.5)
        self.norm = BatchNorm(dtype=dtype)

    def forward(self, x1, x2):
        y = self.dropout(self.norm(self.linear(x1))) + F.sum(x2, axis=1, keepdims=True)
        return {"array": y, "tuple": (y, y * 2), "dict": {"a": y, "b": [y]}, "constant": y.data}[self.kind]


def two_inputs(n, dtype=np.float32):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 2)).astype(dtype), rng.standard_normal((n, 4)).astype(dtype)
