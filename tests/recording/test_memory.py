"""Memory of recordings and of programs, beside that of the eager step."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
from passus import Variable
from passus.layers import Linear, Sequential
from passus.optimizers import MomentumSGD
from passus.recording import recorder
from passus.recording.frozen import Frozen
from passus.recording.recorder import twin

MIB = 1 << 20


def peak(function: Callable[[], Any]) -> int:
    """Bytes that a call has in use at most, besides those before it."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def repeated(x: Any) -> Any:
    for _ in range(30):
        x = np.tanh(x) * 1.5
    return x


def test_recording_frees_arrays_that_the_step_no_longer_needs() -> None:
    x = np.ones(MIB)
    assert peak(lambda: passus.compile(repeated)(x)) < 12 * x.nbytes  # There are sixty results.


def edited(x: Any) -> Any:
    for _ in range(30):
        x = x * 0.5
        x += 1.0
    return x


def test_recording_frees_arrays_into_which_the_step_has_written() -> None:
    x = np.ones(MIB)
    assert peak(lambda: passus.compile(edited)(x)) < 12 * x.nbytes  # There are thirty results.


def test_recording_copies_no_arguments_of_kernels_and_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[tuple[int, ...]] = []
    monkeypatch.setattr(recorder, "twin", lambda x, name="": (copied.append(x.shape), twin(x, name))[1])

    def step(x: Any) -> Any:
        return F.softmax(x, axis=1).reshape(-1).sum() + x.T.max()

    passus.compile(step)(np.ones((30, 40), np.float32))
    assert copied == [(30, 40)]  # The argument of the step.


def test_parameters_are_copied_by_the_recording_that_runs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    updates: list[Frozen] = []
    update = Frozen.update
    monkeypatch.setattr(Frozen, "update", lambda self: (updates.append(self), update(self))[1])
    model = passus.compile(Linear(4, in_size=3, rng=0))
    for _ in range(4):
        model(np.ones((2, 3), np.float32))
    assert len(updates) == 1


def test_arrays_that_were_freed_do_not_count_as_written() -> None:
    """New arrays may get the memory of those into which the step has written."""

    def step(x: Any) -> Any:
        for i in range(200):
            y = x + i
            y += 1
            if y[0] < 0:
                return x
        return y

    compiled = passus.compile(step)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(np.ones(3)), np.full(3, 201.0))


def test_gradients_are_replaced_before_new_ones_are_computed() -> None:
    model = Sequential(Linear(1100, rng=0), F.relu, Linear(1100, rng=1))
    optimizer = MomentumSGD(0.01).setup(model)
    x, t = np.random.default_rng(0).standard_normal((2, 300, 1100), np.float32)
    model(x)

    def step(x: Any, t: Any) -> Variable:
        loss = F.mean_squared_error(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    for _ in range(4):
        step(x, t)
    expected = peak(lambda: step(x, t))
    compiled = passus.compile(step)
    for _ in range(3):
        compiled(x, t)
    assert peak(lambda: compiled(x, t)) <= 1.1 * expected + MIB


def test_gradients_survive_a_run_that_a_condition_ends() -> None:
    w = passus.Parameter(np.array(2.0))

    def step(x: Any) -> Variable:
        y = w * x
        if y.data > 0:
            w.cleargrad()
        y.backward()
        return y

    compiled, eager = passus.compile(step), []
    for x in (1.0, 3.0, 1.0, 3.0, -4.0, -5.0, -4.0, 2.0, -1.0):
        compiled(np.array(x))
        eager.append(w.grad.item())
    assert eager == [1.0, 3.0, 1.0, 3.0, -1.0, -6.0, -10.0, 2.0, 1.0]
