"""A short test of each component on public names only. Run this file first."""

from __future__ import annotations

import numpy as np

import passus
import passus.functions as F
from passus import Variable


def test_gradient() -> None:
    x = Variable(np.array(3.0))
    y = x**2
    y.backward()
    assert (float(y), float(x.grad)) == (9.0, 6.0)


def test_second_derivative() -> None:
    x = Variable(np.array(2.0))
    (x**3).backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    gx.backward()
    assert float(x.grad) == 12.0


def test_broadcasting() -> None:
    W, b = Variable(np.ones((2, 3))), Variable(np.zeros(3))
    F.sum(W + b).backward()
    assert b.grad.data.tolist() == [2.0, 2.0, 2.0]


def test_no_grad() -> None:
    with passus.no_grad():
        assert (Variable(np.array(1.0)) * 2.0).creator is None


def test_float32_stays_float32() -> None:
    x = Variable(np.ones(2, np.float32))
    y = F.sum(F.exp(x) * 2.0 + 1)
    y.backward()
    assert y.dtype == x.grad.dtype == np.float32


def test_arrays_in_arrays_out() -> None:
    assert type(F.exp(np.zeros(2))) is np.ndarray


def test_a_network_learns() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((64, 1), dtype=np.float32)
    t = np.sin(2 * np.pi * x)
    passus.random.seed(0)
    model = passus.models.MLP((16, 1), activation=F.tanh)
    optimizer = passus.optimizers.Adam(lr=0.02).setup(model)
    losses = []
    for _ in range(200):
        loss = F.mean_squared_error(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        losses.append(float(loss))
    assert losses[-1] < losses[0] / 10
