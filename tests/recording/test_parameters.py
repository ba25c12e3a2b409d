"""Parameters of a recorded step: gradients that stay, frozen, replaced, loaded and tied weights, and resumed training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import serializers
from passus.core import Parameter, Variable
from passus.layers import BatchNorm, Dropout, Linear, Sequential, Tanh
from passus.optimizers import SGD, Adam, ClipGrad, MomentumSGD, WeightDecay
from tests.recording.comparing import World, assert_same, compared, exactly, numbers

CALLS = numbers(8, (4, 3), (4, 2))


def perceptron() -> Any:
    rng = np.random.default_rng(0)
    return Sequential(Linear(5, in_size=3, rng=rng), Tanh(), Linear(2, in_size=5, rng=rng))


def training(clear: str = "before backward", make_model: Callable[[], Any] = perceptron) -> Callable[[], World]:
    """``clear``: when the step clears the gradients."""

    def make() -> World:
        model = make_model()
        optimizer = MomentumSGD(lr=0.1).setup(model)

        def step(x: Any, t: Any) -> Any:
            if clear == "first":
                model.cleargrads()
            loss = F.mean_squared_error(model(x), t)
            if clear == "before backward":
                model.cleargrads()
            loss.backward()
            optimizer.update()
            if clear == "last":
                model.cleargrads()
            return loss

        return World(step, model, optimizer, model=model, optimizer=optimizer)

    return make


@pytest.mark.parametrize("clear", ["first", "before backward", "last"])
def test_when_gradients_are_cleared(clear: str) -> None:
    compared(training(clear), CALLS)


def test_gradients_that_accumulate_from_call_to_call() -> None:
    compared(training("never"), CALLS, programs=None)


def test_gradients_that_accumulate_and_are_cleared_outside() -> None:
    def clear(world: Any) -> Any:
        return world.model.cleargrads()

    compared(training("never"), CALLS, dict.fromkeys(range(8), clear))


def test_gradients_that_accumulate_over_two_calls() -> None:
    def make() -> World:
        model = perceptron()

        def step(x: Any, t: Any) -> Any:
            loss = F.mean_squared_error(model(x), t)
            loss.backward()
            return loss

        return World(step, model, model=model)

    def clear(world: Any) -> Any:
        return world.model.cleargrads()

    compared(make, CALLS, {2: clear, 4: clear, 6: clear}, programs=2)


def test_backward_twice_in_one_step() -> None:
    def make() -> World:
        model = perceptron()

        def step(x: Any, t: Any) -> Any:
            model.cleargrads()
            for part in (slice(0, 2), slice(2, 4)):
                F.mean_squared_error(model(x[part]), t[part]).backward()
            for p in model.params():
                p.data -= 0.1 * p.grad.data

        return World(step, model)

    compared(make, CALLS)


def test_cleargrad_of_one_parameter() -> None:
    def make() -> World:
        model = perceptron()

        def step(x: Any, t: Any) -> Any:
            loss = F.mean_squared_error(model(x), t)
            model[0].W.cleargrad()
            loss.backward()
            return loss

        return World(step, model)

    compared(make, CALLS, programs=None)


def test_gradient_is_set_to_none_or_to_an_array_by_hand() -> None:
    def make() -> World:
        model = perceptron()

        def step(x: Any, t: Any) -> Any:
            model.cleargrads()
            F.mean_squared_error(model(x), t).backward()
            model[0].W.grad = None
            model[0].b.grad = model[0].b.grad.data * 0.5
            model[2].W.grad = np.ones_like(model[2].W.data)

        return World(step, model)

    compared(make, CALLS)


def test_gradient_is_edited_in_place() -> None:
    def make() -> World:
        model = perceptron()

        def step(x: Any, t: Any) -> Any:
            model.cleargrads()
            F.mean_squared_error(model(x), t).backward()
            for p in model.params():
                p.grad.data *= 0.5
                p.grad.data[...] += 1

        return World(step, model)

    compared(make, CALLS)


def test_gradient_from_before_is_edited_in_place() -> None:
    def make() -> World:
        model = perceptron()
        for p in model.params():
            p.grad = np.ones_like(p.data)

        def step(x: Any) -> Any:
            for p in model.params():
                p.grad.data *= 0.5
            return x

        return World(step, model)

    compared(make, CALLS and numbers(4, (2,)))


def test_parameter_without_gradient() -> None:
    def make() -> World:
        model = perceptron()
        model.unused = Parameter(np.ones(3))
        optimizer = Adam().setup(model)

        def step(x: Any, t: Any) -> Any:
            loss = F.mean_squared_error(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            return loss

        return World(step, model, optimizer, model=model)

    def give(world: World) -> None:
        world.model.unused.grad = np.ones(3)

    compared(make, CALLS, {4: give}, programs=None)


def freeze(world: World) -> None:
    world.model[0].freeze()


def unfreeze(world: World) -> None:
    world.model[0].unfreeze()


def test_frozen_and_unfrozen_between_calls() -> None:
    compared(training(), CALLS, {2: freeze, 5: unfreeze}, programs=2)
    compared(training(), CALLS, {0: freeze, 3: unfreeze, 6: freeze}, programs=2)


def test_frozen_inside_the_step() -> None:
    def make() -> World:
        model = perceptron()

        def step(x: Any, t: Any) -> Any:
            model[0].freeze()
            loss = F.mean_squared_error(model(x), t)
            model.cleargrads()
            loss.backward()
            model[0].unfreeze()
            loss2 = F.mean_squared_error(model(x), t)
            loss2.backward()
            return loss, loss2

        return World(step, model)

    compared(make, CALLS)


def test_data_of_a_parameter_are_replaced() -> None:
    def replace(world: World) -> None:
        world.model[0].W.data = np.full((3, 5), 0.1, np.float32)

    def edit(world: World) -> None:
        world.model[0].W.data[1] = 2.0

    compared(training(), CALLS, {1: replace, 3: replace, 4: edit, 6: edit})


def test_parameter_is_replaced_by_another() -> None:
    def replace(world: World) -> None:
        world.model[0].W = Parameter(np.full((3, 5), 0.1, np.float32))

    compared(training(), CALLS, {2: replace, 5: replace}, programs=None)


def test_parameter_of_another_shape() -> None:
    def widen(world: World) -> None:
        rng = np.random.default_rng(3)
        world.model[0].W.data, world.model[0].b.data = rng.normal(size=(3, 7)).astype("f"), np.ones(7, "f")
        world.model[2].W.data = rng.normal(size=(7, 2)).astype("f")

    def make() -> World:
        model = perceptron()

        def step(x: Any, t: Any) -> Any:
            loss = F.mean_squared_error(model(x), t)
            model.cleargrads()
            loss.backward()
            return loss

        return World(step, model, model=model)

    compared(make, CALLS, {4: widen}, programs=2)


@pytest.mark.parametrize("moment", [1, 2, 5])
def test_loaded_weights(moment: int, tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    other = perceptron()
    for p in other.params():
        p.data = p.data * 0.5
    other.save_weights(str(path))
    compared(training(), CALLS, {moment: lambda world: world.model.load_weights(str(path))})


@pytest.mark.parametrize("moment", [1, 2, 5])
def test_loaded_state(moment: int) -> None:
    other = training()()
    for x, t in CALLS[:3]:
        other.step(x, t)

    def load(world: World) -> None:
        world.model.load_state_dict(other.model.state_dict())
        world.optimizer.load_state_dict(other.optimizer.state_dict())

    compared(training(), CALLS, {moment: load})


def test_tied_weights() -> None:
    def make() -> World:
        model = Sequential(Linear(3, in_size=3, rng=0), Tanh(), Linear(3, in_size=3, rng=1))
        model[2].W = model[0].W
        optimizer = Adam(lr=0.01).setup(model)

        def step(x: Any) -> Any:
            loss = F.mean_squared_error(model(x), x)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            return loss

        return World(step, model, optimizer, model=model)

    def untie(world: World) -> None:
        world.model[2].W = Parameter(world.model[0].W.data.copy())

    compared(make, numbers(7, (4, 3)))
    compared(make, numbers(7, (4, 3)), {3: untie}, programs=None)


def test_tied_by_one_array_in_two_parameters() -> None:
    def make() -> World:
        W = np.random.default_rng(0).normal(size=(3, 3))
        a, b = Parameter(W), Parameter(W)

        def step(x: Any) -> Any:
            a.cleargrad()
            b.cleargrad()
            loss = (F.matmul(F.tanh(F.matmul(x, a)), b) ** 2).sum()
            loss.backward()
            a.data -= 0.1 * a.grad.data
            return loss, F.matmul(x, b)

        return World(step, a, b)

    compared(make, numbers(5, (4, 3), dtype=float), programs=None)


def test_transposed_tied_weights() -> None:
    def make() -> World:
        W = Parameter(np.random.default_rng(0).normal(size=(3, 5)))
        optimizer_lr = 0.1

        def step(x: Any) -> Any:
            W.cleargrad()
            loss = ((F.matmul(F.tanh(F.matmul(x, W)), W.T) - x) ** 2).mean()
            loss.backward()
            W.data -= optimizer_lr * W.grad.data
            return loss

        return World(step, W)

    compared(make, numbers(5, (4, 3), dtype=float))


@pytest.mark.parametrize("by_hand", [True, False])
def test_weights_in_fortran_order(by_hand: bool) -> None:
    def make() -> World:
        model = perceptron()
        for p in model.params():
            p.data = np.asfortranarray(p.data)
        optimizer = SGD(lr=0.1).setup(model)

        def step(x: Any, t: Any) -> Any:
            loss = F.mean_squared_error(model(x), t)
            model.cleargrads()
            loss.backward()
            if by_hand:
                for p in model.params():
                    p.data -= 0.1 * p.grad.data
            else:
                optimizer.update()
            return loss

        return World(step, model, model=model)

    def to_c(world: World) -> None:
        for p in world.model.params():
            p.data = np.ascontiguousarray(p.data)

    def to_view(world: World) -> None:
        for p in world.model.params():
            p.data = np.repeat(p.data, 2, axis=-1)[..., ::2]

    recorded = compared(make, CALLS, {4: to_c, 6: to_view}, programs=None)
    assert recorded.model[0].W.data.strides[-1] == 8


def test_parameters_outside_of_layers() -> None:
    def make() -> World:
        W, b = Parameter(np.ones((3, 2)), name="W"), Variable(np.zeros(2))

        def step(x: Any) -> Any:
            W.cleargrad()
            b.cleargrad()
            loss = (F.linear(x, W, b) ** 2).sum()
            loss.backward()
            for p in (W, b):
                p.data -= 0.01 * p.grad.data
            return loss

        return World(step, W, b)

    compared(make, numbers(4, (4, 3), dtype=float))


def test_data_and_gradient_are_swapped_by_the_step() -> None:
    def make() -> World:
        a, b = Parameter(np.arange(3.0)), Parameter(np.arange(3.0) + 10)

        def step(x: Any) -> Any:
            a.data, b.data = b.data, a.data
            return a * x + b

        return World(step, a, b)

    compared(make, numbers(6, (3,), dtype=float))


def test_array_of_a_parameter_keeps_its_identity_under_updates_in_place() -> None:
    W = Parameter(np.ones((3, 2)))
    array = W.data

    @exactly
    def step(x: Any) -> Any:
        W.cleargrad()
        F.matmul(x, W).sum().backward()
        W.data -= 0.1 * W.grad.data

    for _ in range(5):
        step(np.ones((2, 3)))
    assert W.data is array
    assert np.allclose(array, 0.0)


def noisy() -> Any:
    rng = np.random.default_rng(0)
    return Sequential(Linear(5, in_size=3, rng=rng), BatchNorm(), Dropout(0.3, rng=5), Linear(2, in_size=5, rng=rng))


@pytest.mark.parametrize("eager_first", [True, False])
def test_checkpoint_is_saved_and_resumed_in_the_middle_of_recorded_training(eager_first: bool, tmp_path: Path) -> None:
    make = training(make_model=noisy)
    eager, first, second = make(), make(), make()
    for args in CALLS:
        eager.call(args, {})
    first.step, second.step = exactly(first.step, exact=True), exactly(second.step, exact=True)
    if eager_first:
        first.step = first.step.function
    for args in CALLS[:4]:
        first.call(args, {})
    path = str(tmp_path / "checkpoint")
    serializers.save_checkpoint(path, model=first.model, optimizer=first.optimizer)
    serializers.load_checkpoint(path, model=second.model, optimizer=second.optimizer)
    second.rng.bit_generator.state = first.rng.bit_generator.state
    results = [second.call(args, {}) for args in CALLS[4:]]
    assert len(results) == 4
    assert_same(second.state(), eager.state(), "after a resume")


def add(a: Any, b: Any) -> Any:
    return ((a + b) ** 2).sum()


@pytest.mark.parametrize("hook", [None, ClipGrad(0.01), WeightDecay(0.5)], ids=["none", "ClipGrad", "WeightDecay"])
@pytest.mark.parametrize("loss", ["one gradient for two", "constant", "view", "sum"])
def test_hooks_edit_only_the_gradient_of_their_parameter(hook: Any, loss: str) -> None:
    """Rules return one array for two inputs, a constant, or a view; an optimizer's hooks edit gradients in place."""

    def make() -> World:
        model = Sequential()
        model.a, model.b = Parameter(np.arange(6.0).reshape(2, 3)), Parameter(np.ones((2, 3)))
        optimizer = SGD(lr=0.1).setup(model)
        if hook is not None:
            optimizer.add_hook(hook)

        def step(x: Any) -> Any:
            a, b = model.a, model.b
            if loss == "one gradient for two":
                y = add(a, b) + (b * x).sum()
            elif loss == "constant":
                y = a.sum() + (2.0 * b).sum()
            elif loss == "view":
                y = (F.concatenate([a, b], axis=0) ** 2).sum()
            else:
                y = (a.T.reshape(-1) * x.reshape(-1)).sum() - b.mean()
            model.cleargrads()
            y.backward()
            optimizer.update()
            return y, model.a.grad.data * 1.0, model.b.grad.data * 1.0

        return World(step, model, optimizer)

    compared(make, numbers(5, (2, 3), dtype=float))


def test_data_are_constants() -> None:
    def make() -> World:
        model = Sequential(Linear(2, in_size=3, rng=0))
        optimizer = SGD(lr=0.1).setup(model)

        def step(x: Any) -> Any:
            model[0].W.data = np.ones((3, 2), np.float32)
            loss = (model(x) ** 2).mean()
            model.cleargrads()
            loss.backward()
            optimizer.update()
            model[0].b.data = np.zeros(2, np.float32)
            return loss

        return World(step, model, optimizer)

    compared(make, numbers(5, (4, 3)))


READS = {
    "detach": lambda W: W.detach() * 2.0,
    "comparison": lambda W: (W > 0) * 1.0,
    "equality": lambda W: (W.data[0, 0] == W) * 1.0,
    "any": lambda W: W.any() * 1.0,
    "argmax": lambda W: W.argmax(axis=0) * 1.0,
    "without gradient": lambda W: np.sign(W) + np.floor(W),
    "data": lambda W: W.data * 1.0,
    "T": lambda W: W.T,
    "where": lambda W: F.where(W > 0.5, W, 0.0),
    "index": lambda W: W[0],
    "condition": lambda W: np.ones(2) if W.data.sum() > 0 else np.zeros(2),
    "copy": lambda W: W.copy(),
    "sum": lambda W: np.sum(W, axis=0),
    "operand": lambda W: np.ones((3, 2)) + W,
    "in a list": lambda W: F.stack([W, W]),
    "len": lambda W: W * float(len(W)),
    "round": lambda W: round(W, 1),
}


@pytest.mark.parametrize("how", READS)
def test_every_way_to_read_a_variable_is_noticed(how: str) -> None:
    """The first use of a Variable in a step is never a call of a function with others."""

    def make() -> World:
        W = Parameter(np.random.default_rng(0).normal(size=(3, 2)))
        return World(lambda x: (READS[how](W), x), W, W=W)

    def change(world: World) -> None:
        world.W.data = world.W.data[::-1] * 0.5 + 0.3

    compared(make, numbers(6, (2,)), dict.fromkeys(range(1, 6), change), programs=None)
