"""A training run in progress, and a check that a failing call leaves it unchanged."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import Config, DataLoader, Variable, optimizers
from passus.datasets import ArrayDataset
from passus.errors import PassusError
from passus.models import Sequential
from passus.random import rng_state
from passus.training import Trainer


class Training:
    """A training run after its first step, inside an epoch."""

    def __init__(self) -> None:
        self.model = Sequential(L.Linear(3, in_size=4, rng=0), L.BatchNorm(in_size=3), L.Linear(2, in_size=3, rng=1))
        self.optimizer = optimizers.Adam(lr=0.01).setup(self.model)
        self.loader = DataLoader(ArrayDataset(np.eye(8, 4, dtype=np.float32), np.arange(8) % 2), 2, rng=0)
        self.batches: Iterator[Any] = iter(self.loader)
        self.x = Variable(np.ones((2, 3)))
        self.labels = np.array([0, 2])
        self.step()

    def step(self) -> None:
        x, t = next(self.batches)
        loss = F.softmax_cross_entropy(self.model(x), t)
        self.model.cleargrads()
        loss.backward()
        self.optimizer.update()

    def trainer(self, **options: Any) -> Trainer:
        given = {"loader": self.loader, "loss": F.l1_loss, "progress": False} | options
        return Trainer(self.model, self.optimizer, **given)

    def state(self) -> Any:
        components = {"model": self.model, "optimizer": self.optimizer, "loader": self.loader}
        grads = {path: p.grad if p.grad is None else p.grad.data.copy() for path, p in self.model.named_params()}
        states = {name: pickle.dumps(component.state_dict()) for name, component in components.items()}
        return states, rng_state(), grads, repr(Config)


def check_harmless(training: Training, call: Callable[[], Any], builtin: type[Exception], match: str) -> PassusError:
    """Check that the call raises and that training continues unaffected; return the error."""
    steps, before = training.optimizer.step, training.state()
    with pytest.raises(builtin, match=match) as caught:
        call()
    assert isinstance(caught.value, PassusError)
    np.testing.assert_equal(training.state(), before)
    training.step()
    assert training.optimizer.step == steps + 1
    return caught.value
