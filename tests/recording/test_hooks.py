"""Hooks in recorded steps: they are called in each run, with the numbers of that run."""

from __future__ import annotations

from typing import Any

import numpy as np

import passus.functions as F
import passus.layers as L
from passus.core import Variable
from passus.optimizers import SGD
from tests.recording.comparing import World, compared, frozen, numbers


def training(seen: list[Any], observe: Any) -> World:
    model = L.Sequential(L.Linear(4, in_size=3, rng=0), L.Tanh(), L.Linear(2, in_size=4, rng=1))
    optimizer = SGD(lr=0.1).setup(model)
    hooks = observe(model, seen)

    def step(x: Any, t: Any) -> Any:
        loss = F.mean_squared_error(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    return World(step, model, optimizer, seen, model=model, hooks=hooks)


CALLS = numbers(6, (4, 3), (4, 2))


def test_forward_hook() -> None:
    def observe(model: Any, seen: list[Any]) -> Any:
        return model[0].add_forward_hook(lambda layer, inputs, y: seen.append(frozen((inputs[0], y.data))))

    recorded = compared(lambda: training([], observe), CALLS)
    assert len(recorded.parts[2]) == len(CALLS)


def test_backward_hook() -> None:
    def observe(model: Any, seen: list[Any]) -> Any:
        return model[0].add_backward_hook(lambda layer, gradient: seen.append(gradient.copy()))

    recorded = compared(lambda: training([], observe), CALLS)
    assert len(recorded.parts[2]) == len(CALLS)


def test_gradient_hook_of_a_parameter() -> None:
    def observe(model: Any, seen: list[Any]) -> Any:
        return model[0].W.add_gradient_hook(lambda gradient: seen.append(float(gradient.sum())))

    recorded = compared(lambda: training([], observe), CALLS)
    assert len(recorded.parts[2]) == len(CALLS)


def test_gradient_hook_of_an_intermediate_result() -> None:
    def make() -> World:
        seen: list[Any] = []
        W = Variable(np.ones((3, 2)), name="W")

        def step(x: Any) -> Any:
            y = F.matmul(x, W)
            y.add_gradient_hook(lambda gradient: seen.append(gradient.copy()))
            W.cleargrad()
            (y * y).sum().backward()
            return y

        return World(step, W, seen)

    recorded = compared(make, numbers(5, (4, 3), dtype=float))
    assert len(recorded.parts[1]) == 5


def test_hook_is_added_and_removed_between_calls() -> None:
    def observe(model: Any, seen: list[Any]) -> Any:
        return [model[0].add_forward_hook(lambda layer, inputs, y: seen.append(y.data.sum()))]

    def add(world: World) -> None:
        seen = world.parts[2]
        world.hooks.append(world.model[2].add_forward_hook(lambda layer, inputs, y: seen.append(y.data.max())))

    def remove(world: World) -> None:
        world.hooks[0].remove()

    compared(lambda: training([], observe), numbers(12, (4, 3), (4, 2)), {3: add, 7: remove}, programs=None)


def test_gradient_hook_is_removed_between_calls() -> None:
    def observe(model: Any, seen: list[Any]) -> Any:
        return [model[0].W.add_gradient_hook(lambda gradient: seen.append(float(gradient.sum())))]

    def remove(world: World) -> None:
        world.hooks[0].remove()

    def add(world: World) -> None:
        seen = world.parts[2]
        world.model[2].b.add_gradient_hook(lambda gradient: seen.append(float(gradient.max())))

    compared(lambda: training([], observe), numbers(12, (4, 3), (4, 2)), {3: remove, 7: add}, programs=None)


def test_hook_with_several_inputs_and_outputs() -> None:
    def make() -> World:
        seen: list[Any] = []
        layer = L.LSTM(4, in_size=3, rng=0)
        layer.add_forward_hook(lambda layer, inputs, outputs: seen.append(frozen((inputs, outputs))))

        def step(x: Any) -> Any:
            y, (h, c) = layer(x, return_state=True)
            return y, h, c

        return World(step, layer, seen)

    compared(make, numbers(4, (2, 5, 3)))
