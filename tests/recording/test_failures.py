"""Errors while a step is recorded, and in runs of its program: the state stays as it was, or as the eager step leaves it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus.core import Variable
from passus.errors import PassusError, RecordingError, ShapeError
from passus.optimizers import Adam
from passus.random import get_rng
from tests.recording.comparing import World, assert_same, assert_untraced, exactly, numbers


class Failing(L.Layer):
    """Fails on request, after it has changed its state."""

    error: type[BaseException] | None = None

    def __init__(self) -> None:
        self.norm = L.BatchNorm(in_size=4)
        self.rnn = L.LSTM(4, in_size=4, rng=3)
        self.register_buffer("count", np.zeros(1, np.float32))

    def forward(self, x: Any) -> Any:
        self.count = self.count + 1
        y = self.rnn(self.norm(x))
        if self.error is not None:
            raise self.error("on request")
        return y


def make() -> World:
    model = L.Sequential(L.Linear(4, in_size=3, rng=0), L.Dropout(0.3, rng=1), Failing(), L.Linear(2, in_size=4, rng=2))
    optimizer = Adam(lr=0.01).setup(model)
    failing = {"where": ""}

    def check(where: str) -> None:
        if failing["where"] == where:
            raise ZeroDivisionError(where)

    def step(x: Any, t: Any) -> Any:
        x = x + get_rng().normal(size=x.shape).astype(np.float32)
        loss = F.mean_squared_error(model(x), t)
        check("forward")
        model.cleargrads()
        check("cleared")
        loss.backward()
        check("backward")
        loss.unchain_backward()
        optimizer.update()
        check("updated")
        return loss

    return World(step, model, optimizer, model=model, optimizer=optimizer, failing=failing)


CALLS = numbers(8, (4, 3), (4, 2))


@pytest.mark.parametrize("where", ["forward", "cleared", "backward", "updated"])
@pytest.mark.parametrize("moment", [0, 1, 2])
def test_error_while_the_step_is_recorded(where: str, moment: int) -> None:
    """The failed call is not counted: afterwards all goes on as if it had not been made."""
    eager, world = make(), make()
    recorded = exactly(world.step)
    world.step = recorded
    for i, args in enumerate(CALLS[:6]):
        if i == moment:
            before = world.state()
            world.failing["where"] = where
            if moment < 2:
                with pytest.raises(ZeroDivisionError, match=where):
                    world.call(args, {})
                assert_same(world.state(), before, "state after an error")
            assert_untraced(list(world.parts))
            world.failing["where"] = ""
        assert_same(world.call(args, {}), eager.call(args, {}), f"call {i}")
        assert_same(world.state(), eager.state(), f"call {i}")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, MemoryError, RecordingError])
@pytest.mark.parametrize("moment", [0, 1])
def test_error_in_a_layer_while_the_step_is_recorded(error: type[BaseException], moment: int) -> None:
    eager, world = make(), make()
    world.step = exactly(world.step)
    for i, args in enumerate(CALLS[:6]):
        if i == moment:
            before = world.state()
            world.model[2].error = error
            with pytest.raises(error):
                world.call(args, {})
            del world.model[2].error
            assert_same(world.state(), before, "state after an error")
            assert_untraced(list(world.parts))
        assert_same(world.call(args, {}), eager.call(args, {}), f"call {i}")
        assert_same(world.state(), eager.state(), f"call {i}")


@pytest.mark.parametrize("moment", [0, 1])
def test_model_works_without_recording_after_an_error(moment: int) -> None:
    eager, world = make(), make()
    step = world.step
    recorded = exactly(step)
    for i, args in enumerate(CALLS):
        if i <= moment:
            world.step = recorded
            if i == moment:
                world.failing["where"] = "backward"
                with pytest.raises(ZeroDivisionError):
                    world.call(args, {})
                world.failing["where"] = ""
                world.step = step
        assert_same(world.call(args, {}), eager.call(args, {}), f"call {i}")
        assert_same(world.state(), eager.state(), f"call {i}")


def test_shapes_that_do_not_fit() -> None:
    layer = L.Linear(2, in_size=3, rng=0)
    recorded = exactly(lambda x: layer(x))
    for _ in range(2):
        with pytest.raises(ShapeError) as caught:
            recorded(np.ones((4, 5), np.float32))
    with pytest.raises(ShapeError) as expected:
        layer(np.ones((4, 5), np.float32))
    assert str(caught.value) == str(expected.value)
    assert_untraced(layer)
    for _ in range(3):
        assert recorded(np.ones((4, 3), np.float32)).shape == (4, 2)


def test_error_in_a_run_names_operation_layer_and_line() -> None:
    class Solving(L.Layer):
        def forward(self, A: Any, b: Any) -> Any:
            return F.solve(A, b)

    model = L.Sequential(L.Linear(2, in_size=2, rng=0))
    model.solving = Solving()

    def step(A: Any, b: Any) -> Any:
        return model.solving(A, b) * 2

    recorded = exactly(step)
    outer = L.Sequential(model)
    recorded = exactly(lambda A, b: outer[0].solving(A, b))
    A, b = np.eye(2) * 2, np.ones(2)
    for _ in range(3):
        recorded(A, b)
    with pytest.raises((PassusError, np.linalg.LinAlgError)) as caught:
        recorded(np.zeros((2, 2)), b)
    notes = "".join(getattr(caught.value, "__notes__", []))
    assert "solv" in notes
    assert "test_failures.py:" in notes
    assert "solving" in notes
    assert np.allclose(recorded(A, b), 0.5)


@pytest.mark.parametrize("where", ["update", "hook", "optimizer hook"])
def test_error_outside_of_the_program_leaves_what_the_eager_step_leaves(where: str) -> None:
    def failing() -> World:
        model = L.Sequential(
            L.Linear(4, in_size=3, rng=0), L.BatchNorm(), L.Dropout(0.3, rng=1), L.Linear(2, in_size=4, rng=2)
        )
        optimizer = Adam(lr=0.01).setup(model)
        fails = {"now": False}

        def fail(*args: Any) -> None:
            if fails["now"]:
                raise ZeroDivisionError

        if where == "hook":
            model[3].add_forward_hook(fail)
        elif where == "optimizer hook":
            optimizer.add_hook(fail)

        def step(x: Any, t: Any) -> Any:
            loss = F.mean_squared_error(model(x), t)
            model.cleargrads()
            loss.backward()
            if where == "update" and fails["now"]:
                model[0].W.data.flags.writeable = False
            optimizer.update()
            return loss

        return World(step, model, optimizer, fails=fails, model=model)

    eager, world = failing(), failing()
    world.step = exactly(world.step)
    for i, args in enumerate(CALLS):
        for w in (eager, world):
            w.fails["now"] = i == 4 and where != "update"
            if where == "update" and i == 4:
                w.model[0].W.data.flags.writeable = False
            if i == 4:
                with pytest.raises((ZeroDivisionError, PassusError)):
                    w.call(args, {})
                w.model[0].W.data.flags.writeable = True
            else:
                w.call(args, {})
        if i != 4:
            continue
        for a, b in zip(world.model.params(), eager.model.params()):
            assert_same(a.data, b.data, "parameter")
    assert_untraced(list(world.parts))


def test_interrupt_in_a_run() -> None:
    seen: list[int] = []

    def hook(layer: Any, inputs: Any, y: Any) -> None:
        seen.append(1)
        if len(seen) == 4:
            raise KeyboardInterrupt

    layer = L.Linear(2, in_size=3, rng=0)
    layer.add_forward_hook(hook)
    recorded = exactly(lambda x: layer(x))
    x = np.ones((1, 3), np.float32)
    for _ in range(3):
        recorded(x)
    with pytest.raises(KeyboardInterrupt):
        recorded(x)
    assert (recorded(x).data == layer(x).data).all()


def test_variables_outside_of_layers_after_a_failed_recording() -> None:
    w, g = Variable(np.ones(3)), np.full(3, 5.0)
    w.grad = g

    @exactly
    def step(x: Any) -> Any:
        y = (w * x).sum()
        y.backward()
        w.data = w.data * 2
        return float(y)

    with pytest.raises(RecordingError):
        step(np.ones(3))
    assert type(w.data) is np.ndarray
    assert (w.data == 1).all()
    assert w.grad is not None
    assert w.grad.data is g
    (w * 2.0).sum().backward()
    assert (w.grad.data == 7.0).all()
