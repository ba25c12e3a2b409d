"""What the engine offers besides functions, inside of recorded steps and around them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import random as passus_random
from passus.config import no_grad, test_mode, using_config
from passus.core import Parameter, Variable
from passus.layers.carried import new_sequences, preserved_state
from passus.layers.undo import undoable
from passus.optimizers import EMA, SGD, Adam
from passus.random import get_rng, using_rng
from passus.recording.reach import Captured
from tests.recording.comparing import World, assert_same, assert_untraced, compared, exactly, frozen, numbers

CALLS = numbers(5, (4, 3), (4, 2))


class TestBackward:
    def parameters(self, step: Any) -> World:
        W = Parameter(np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32), name="W")
        return World(lambda x: step(W, x), W)

    def test_retained_gradients(self) -> None:
        def step(W: Any, x: Any) -> Any:
            y = F.matmul(x, W)
            z = F.exp(y * 0.1)
            W.cleargrad()
            z.sum().backward(retain_grad=True)
            return y.grad, z.grad, W.grad

        compared(lambda: self.parameters(step), numbers(4, (4, 3)))

    def test_seed_of_the_backward_pass(self) -> None:
        def step(W: Any, x: Any) -> Any:
            y = F.matmul(x, W)
            W.cleargrad()
            y.grad = np.full_like(y.data, 0.5)
            y.backward()
            return y.grad

        compared(lambda: self.parameters(step), numbers(4, (4, 3)))

    def test_backward_from_a_result_that_is_no_number(self) -> None:
        def step(W: Any, x: Any) -> Any:
            W.cleargrad()
            F.tanh(F.matmul(x, W)).backward()

        compared(lambda: self.parameters(step), numbers(4, (4, 3)))

    def test_data_that_are_released(self) -> None:
        def step(W: Any, x: Any) -> Any:
            t = F.matmul(x, W)
            y = t + 1.0
            t.data = None
            loss = (y * y).sum()
            W.cleargrad()
            loss.backward()
            return loss

        compared(lambda: self.parameters(step), numbers(4, (4, 3)))

    def test_unchain(self) -> None:
        def step(W: Any, x: Any) -> Any:
            y = F.exp(F.matmul(x, W) * 0.1)
            y.unchain()
            loss = (y * W.sum()).sum()
            W.cleargrad()
            loss.backward()
            return loss, y.grad

        compared(lambda: self.parameters(step), numbers(4, (4, 3)))

    def test_walk_by_hand(self) -> None:
        def step(W: Any, x: Any) -> Any:
            y = F.exp(W * x.sum())
            creator = y.creator
            gy = np.ones_like(y.data)
            return creator.backward(gy), creator.input, len(creator.outputs)

        compared(lambda: self.parameters(step), numbers(4, (4, 3)))

    def test_data_edited_between_forward_and_backward(self) -> None:
        def step(W: Any, x: Any) -> Any:
            loss = F.exp(F.matmul(x, W)).sum()
            W.data = W.data * 2
            W.cleargrad()
            loss.backward()

        with pytest.raises(Exception, match="edited") as eager:
            self.parameters(step).step(CALLS[0][0])
        world = self.parameters(step)
        before = world.state()
        with pytest.raises(type(eager.value), match="edited"):
            exactly(world.step)(CALLS[0][0])
        assert_same(world.state(), before, "state")

    def test_sum_of_gradients_of_one_parameter_used_often(self) -> None:
        def step(W: Any, x: Any) -> Any:
            y = x
            for _ in range(6):
                y = F.tanh(F.matmul(F.matmul(y, W), W.T))
            W.cleargrad()
            (y * y).sum().backward()
            return y

        compared(lambda: self.parameters(step), numbers(4, (4, 3)))

    def test_two_losses(self) -> None:
        def step(W: Any, x: Any) -> Any:
            h = F.matmul(x, W)
            a, b = (h * h).sum(), F.exp(h * 0.1).sum()
            W.cleargrad()
            a.backward()
            first = W.grad.data.copy()
            b.backward()
            return first, W.grad

        compared(lambda: self.parameters(step), numbers(4, (4, 3)))

    def test_chain_of_a_thousand_calls(self) -> None:
        def step(W: Any, x: Any) -> Any:
            y = W * 1.0
            for _ in range(1000):
                y = y + 0.001
            W.cleargrad()
            y.sum().backward()
            return y

        compared(lambda: self.parameters(step), numbers(3, (4, 3)), exact_only=True)


class TestGenerators:
    def test_current_generator_is_seeded_between_calls(self) -> None:
        step = exactly(lambda x: F.dropout(x, 0.5))
        x = np.ones((4, 4))
        for seed in (0, 1, 0, 1, 0):
            passus_random.seed(seed)
            first = step(x)
            passus_random.seed(seed)
            assert_same(first, F.dropout(x, 0.5), "mask")

    def test_block_with_another_generator_around_the_call(self) -> None:
        step = exactly(lambda x: F.dropout(x, 0.5))
        x = np.ones((4, 4))
        for seed in (3, 3, 4, 5, 3):
            with using_rng(seed):
                y = step(x)
            with using_rng(seed):
                assert_same(y, F.dropout(x, 0.5), "mask")

    def test_block_with_a_seed_inside_of_the_step(self) -> None:
        def step(x: Any) -> Any:
            with using_rng(5):
                y = F.dropout(x, 0.5)
            return F.dropout(y, 0.3)

        compared(lambda: World(step), numbers(4, (4, 4)))

    def test_generator_as_an_argument(self) -> None:
        def make() -> World:
            rng = np.random.default_rng(2)
            return World(lambda x, rng=rng: F.dropout(x, 0.5, rng=rng), rng)

        compared(make, numbers(4, (4, 4)))

    def test_layer_with_the_current_generator(self) -> None:
        """The generator of a layer is the current one in the first calls, and another one is current later."""
        rng = np.random.default_rng(0)
        layer = L.Dropout(0.5, rng=rng)
        step = exactly(lambda x: (layer(x), F.dropout(x, 0.5)))
        x = np.ones((3, 3))
        for current in (rng, rng, rng, np.random.default_rng(1), np.random.default_rng(1)):
            state = rng.bit_generator.state, current.bit_generator.state
            with using_rng(current):
                y = step(x)
            rng.bit_generator.state, current.bit_generator.state = state
            with using_rng(current):
                assert_same(list(y), [layer(x), F.dropout(x, 0.5)], "masks")

    def test_numbers_of_arguments_are_parameters_of_draws(self) -> None:
        def step(low: Any, scale: Any) -> Any:
            rng = get_rng()
            return rng.normal(low, scale), rng.uniform(low, low + 1.0), rng.permutation(low)

        compared(lambda: World(step), [(a, np.abs(b)) for a, b in numbers(4, (5,), (5,), dtype=float)])


class TestAround:
    """Blocks that restore state, around recorded calls."""

    def model(self) -> Any:
        return L.Sequential(L.LSTM(4, in_size=3, rng=0), L.BatchNorm(in_size=4), L.Linear(2, in_size=4, rng=1))

    def test_preserved_state(self) -> None:
        eager, layer = self.model(), self.model()
        recorded = exactly(layer)
        for i, (x, _) in enumerate(CALLS * 2):
            with no_grad(), test_mode():
                if i % 2:
                    with preserved_state():
                        expected = eager(x)
                    with preserved_state():
                        y = recorded(x)
                else:
                    expected, y = eager(x), recorded(x)
            assert_same(frozen(y), frozen(expected), f"call {i}")
            assert_same(frozen(layer), frozen(eager), f"call {i}")

    def test_new_sequences(self) -> None:
        eager, layer = self.model(), self.model()
        recorded = exactly(layer)
        for i, (x, _) in enumerate(CALLS):
            with no_grad(), test_mode():
                assert_same(frozen(recorded(x)), frozen(eager(x)), f"call {i}")
                with new_sequences(layer):
                    y = recorded(x)
                with new_sequences(eager):
                    assert_same(frozen(y), frozen(eager(x)), f"call {i}")
            assert_same(frozen(layer), frozen(eager), f"call {i}")

    def test_undone_calls(self) -> None:
        layer = self.model()

        def step(x: Any) -> Any:
            loss = (layer(x) ** 2).mean()
            loss.unchain_backward()
            return loss

        recorded = exactly(step)
        for x, _ in CALLS:
            recorded(x)
            before = frozen(layer)
            with undoable() as undo:
                recorded(x)
                undo()
            assert_same(frozen(layer), before, "undone")
            assert_untraced(layer)

    def test_predictions_between_recorded_training_steps(self) -> None:
        def make() -> World:
            model = L.Sequential(L.Linear(4, in_size=3, rng=0), L.BatchNorm(in_size=4), L.Linear(2, in_size=4, rng=1))
            optimizer = Adam(lr=0.01).setup(model)
            ema = EMA(model, decay=0.5)
            optimizer.add_hook(ema)

            def step(x: Any, t: Any) -> Any:
                loss = F.mean_squared_error(model(x), t)
                model.cleargrads()
                loss.backward()
                optimizer.update()
                return loss

            return World(step, model, optimizer, ema, model=model, ema=ema, seen=[])

        def evaluate(world: World) -> None:
            if world.ema.averages:
                with world.ema.swap():
                    world.seen.append(world.model.predict(CALLS[0][0], batch_size=2))

        compared(make, CALLS, dict.fromkeys(range(5), evaluate), exact_only=True)

    def test_switches_inside_of_the_step(self) -> None:
        def make() -> World:
            model = L.Sequential(L.Linear(4, in_size=3, rng=0), L.Dropout(0.5, rng=1), L.BatchNorm(in_size=4))

            def step(x: Any) -> Any:
                with using_config("native", False), test_mode():
                    a = model(x)
                with no_grad():
                    b = model(x)
                return a, b, model(x)

            return World(step, model)

        compared(make, numbers(5, (4, 3)))

    def test_optimizer_state_is_saved_and_loaded_between_calls(self) -> None:
        def make() -> World:
            model = L.Linear(2, in_size=3, rng=0)
            optimizer = Adam(lr=0.01).setup(model)

            def step(x: Any, t: Any) -> Any:
                loss = F.mean_squared_error(model(x), t)
                model.cleargrads()
                loss.backward()
                optimizer.update()
                return loss

            return World(step, model, optimizer, model=model, optimizer=optimizer, saved=[])

        def save(world: World) -> None:
            world.saved.append((world.model.state_dict(), world.optimizer.state_dict()))

        def load(world: World) -> None:
            model, optimizer = world.saved[0]
            world.model.load_state_dict(model)
            world.optimizer.load_state_dict(optimizer)

        compared(make, numbers(8, (4, 3), (4, 2)), {2: save, 5: load, 7: load})


class Training:
    """An object with what a step uses."""

    def __init__(self, lr: float) -> None:
        self.model = L.Linear(2, in_size=3, rng=0)
        self.optimizer = SGD(lr=lr).setup(self.model)
        self.scale = 1.0

    def step(self, x: Any, t: Any) -> Any:
        loss = F.mean_squared_error(self.model(x), t) * self.scale
        self.model.cleargrads()
        loss.backward()
        self.optimizer.update()
        return loss


def scale_of(world: World) -> None:
    world.training.scale = 2.0


def optimizer_of(world: World) -> None:
    world.training.optimizer = SGD(lr=0.5).setup(world.training.model)


def model_of(world: World) -> None:
    world.training.model = L.Linear(2, in_size=3, rng=5)
    world.training.optimizer = SGD(lr=0.5).setup(world.training.model)


@pytest.mark.parametrize("change", [scale_of, optimizer_of, model_of])
def test_attributes_of_the_object_of_a_method_between_calls(change: Any) -> None:
    def make() -> World:
        training = Training(lr=0.1)
        return World(
            training.step, training=training, state=lambda: [frozen(training.model), frozen(training.optimizer)]
        )

    compared(make, numbers(9, (4, 3), (4, 2)), {4: change}, programs=2)


def test_model_of_a_notebook_is_created_again() -> None:
    """The cell with the model runs again, and that with the step does not."""
    model = L.Linear(2, in_size=3, rng=0)

    @exactly
    def step(x: Any) -> Any:
        return model(x)

    for seed in (0, 0, 0, 1, 1, 1, 0):
        model = L.Linear(2, in_size=3, rng=seed)
        for x, _ in CALLS:
            assert_same(frozen(step(x)), frozen(model(x)), f"seed {seed}")


def shifted(x: Any) -> Any:
    return x + SHIFT[0]


SHIFT = [1.0]


class TestCaptured:
    def test_closure_globals_and_attributes(self) -> None:
        scale, count = 2.0, 0

        def step(x: Any) -> Any:
            nonlocal count
            count += 1
            return shifted(x) * scale

        captured = Captured(step)
        count = 5
        assert captured.changed() is None
        scale = 2.0
        assert captured.changed() is None
        scale = 3.0
        assert captured.changed() == "scale"

    def test_functions_that_the_function_calls(self, monkeypatch: pytest.MonkeyPatch) -> None:
        captured = Captured(partial(shifted))
        assert captured.changed() is None
        monkeypatch.setitem(globals(), "SHIFT", [2.0])
        assert captured.changed() == "SHIFT"

    def test_methods(self) -> None:
        training = Training(lr=0.1)
        captured = Captured(training.step)
        assert captured.changed() is None
        training.scale = -0.0
        training.scale = 1.0
        assert captured.changed() is None
        training.optimizer = SGD(lr=0.1).setup(training.model)
        assert captured.changed() == "optimizer"


def test_variables_in_containers_of_a_user() -> None:
    """Parameters in a dict, as in functional code."""

    def make() -> World:
        rng = np.random.default_rng(0)
        params = {name: Variable(rng.normal(size=shape)) for name, shape in {"W1": (3, 4), "W2": (4, 2)}.items()}

        def step(x: Any) -> Any:
            loss = (F.matmul(F.tanh(F.matmul(x, params["W1"])), params["W2"]) ** 2).mean()
            for p in params.values():
                p.cleargrad()
            loss.backward()
            for p in params.values():
                p.data -= 0.1 * p.grad.data
            return loss

        return World(step, params, params=params)

    compared(make, numbers(5, (4, 3), dtype=float))


def test_attributes_that_the_step_does_not_name_may_change() -> None:
    class Loop:
        def __init__(self) -> None:
            self.epoch, self.scale = 0, 2.0

        def scaled(self, x: Any) -> Any:
            return x * self.scale

        def step(self, x: Any) -> Any:
            return self.scaled(x) + 1

    loop = Loop()
    step = exactly(loop.step)
    x = np.ones(3)
    for loop.epoch in range(12):
        np.testing.assert_array_equal(step(x), x * 2.0 + 1)
    assert len(step.versions) == 1
    loop.scale = 3.0
    np.testing.assert_array_equal(step(x), x * 3.0 + 1)
