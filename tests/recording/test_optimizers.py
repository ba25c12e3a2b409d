"""Recorded training steps with every optimizer, option and hook, against the eager steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import compile, optimizers, schedules
from passus.core import Parameter, Variable
from passus.errors import ShapeError
from passus.layers import BatchNorm, Layer, Linear, Sequential, Tanh
from passus.optimizers import (
    EMA,
    SGD,
    Adam,
    AdamW,
    ClipGrad,
    ClipValue,
    FreezeParam,
    GradientAccumulation,
    MomentumSGD,
    WeightDecay,
)
from passus.optimizers.stepping import Stepper
from passus.recording import machine
from tests.recording.comparing import World, assert_same, compared, frozen, numbers

CALLS = numbers(6, (4, 3), (4, 2))


def perceptron() -> Layer:
    rng = np.random.default_rng(0)
    return Sequential(Linear(5, in_size=3, rng=rng), Tanh(), Linear(2, in_size=5, rng=rng))


def training(
    make_optimizer: Callable[[Layer], Any],
    make_model: Callable[[], Layer] = perceptron,
    watched: Callable[[Any], tuple[Any, ...]] = lambda o: (),
) -> Callable[[], World]:
    """Copies of a model and a step that trains it. ``watched``: further objects of the optimizer whose state is compared."""

    def make() -> World:
        model = make_model()
        optimizer = make_optimizer(model)

        def step(x: Any, t: Any) -> Any:
            loss = F.mean_squared_error(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            return loss

        return World(step, model, optimizer, *watched(optimizer), model=model, optimizer=optimizer)

    return make


ALL = [name for name in optimizers.__all__ if isinstance(getattr(optimizers, name), type)]
RULES = [name for name in ALL if issubclass(getattr(optimizers, name), optimizers.Optimizer) and name != "Optimizer"]


@pytest.mark.parametrize("name", RULES)
def test_every_rule(name: str) -> None:
    compared(training(lambda model: getattr(optimizers, name)().setup(model)), CALLS)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_dtypes(dtype: Any) -> None:
    calls = numbers(5, (4, 3), (4, 2), dtype=dtype)

    def make_model() -> Any:
        return Sequential(Linear(5, in_size=3, rng=0, dtype=dtype), Tanh(), Linear(2, in_size=5, rng=1, dtype=dtype))

    compared(training(lambda model: Adam().setup(model), make_model), calls)


class BookMomentum(optimizers.Optimizer):
    """A rule as in the book."""

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__()
        self.lr, self.momentum, self.vs = lr, momentum, {}

    def update_one(self, param: Any) -> None:  # type: ignore[override]
        v_key = id(param)
        if v_key not in self.vs:
            self.vs[v_key] = np.zeros_like(param.data)
        v = self.vs[v_key]
        v *= self.momentum
        v -= self.lr * param.grad.data
        param.data += v


class BookSGD(optimizers.Optimizer):
    """A rule as in the book, without state."""

    def __init__(self, lr: float = 0.01) -> None:
        super().__init__()
        self.lr = lr

    def update_one(self, param: Any) -> None:  # type: ignore[override]
        param.data -= self.lr * param.grad.data


class Replacing(optimizers.Optimizer):
    """A rule that assigns new arrays to the parameters."""

    def __init__(self, lr: float = 0.01) -> None:
        super().__init__()
        self.lr = lr

    def update_one(self, param: Any) -> None:  # type: ignore[override]
        param.data = param.data - self.lr * param.grad.data


@pytest.mark.parametrize("rule", [BookMomentum, BookSGD, Replacing])
def test_rules_as_in_the_book(rule: Any) -> None:
    compared(training(lambda model: rule().setup(model)), CALLS)


def test_own_rule_with_slots() -> None:
    class Sign(optimizers.Optimizer):
        slots = ("m",)

        def update_one(self, p: Any, g: Any, slots: Any, o: Any) -> None:
            m = slots["m"]
            m += g
            p -= o.lr * np.sign(m)

    compared(training(lambda model: Sign(lr=0.1).setup(model)), CALLS)


def test_groups() -> None:
    def make(model: Layer) -> Any:
        optimizer = AdamW(lr=1e-2, weight_decay=0.1).setup(model)
        optimizer.add_group(lambda path, p: path.endswith("b"), weight_decay=0.0, lr=1e-3)
        return optimizer

    compared(training(make), CALLS)


@pytest.mark.parametrize(
    "schedule",
    [schedules.warmup(schedules.cosine(0.1, steps=6), steps=2), schedules.step(0.1, every=2), lambda t: 0.1 / (1 + t)],
)
def test_schedules(schedule: Any) -> None:
    recorded = compared(training(lambda model: MomentumSGD(lr=schedule).setup(model)), CALLS)
    assert recorded.optimizer.step == len(CALLS)


def test_rate_that_is_assigned_between_calls() -> None:
    def assign(world: World) -> None:
        world.optimizer.lr = 0.3
        world.optimizer.momentum = 0.5

    compared(training(lambda model: MomentumSGD(lr=0.1).setup(model)), CALLS, {1: assign, 4: assign})


HOOKS: dict[str, Callable[[Layer], Any]] = {
    "WeightDecay": lambda model: WeightDecay(0.1),
    "ClipGrad": lambda model: ClipGrad(0.01),
    "ClipValue": lambda model: ClipValue(0.001),
    "FreezeParam": lambda model: FreezeParam(model[0]),  # type: ignore[index]
    "EMA": lambda model: EMA(model, decay=0.9),
    "function": lambda model: lambda params: [p.cleargrad() for p in params[:1]],
    "function that edits": lambda model: lambda params: [np.multiply(p.grad.data, 2, out=p.grad.data) for p in params],
    "function that assigns": lambda model: lambda params: [setattr(p, "grad", p.grad.data * 0.5) for p in params],
}


@pytest.mark.parametrize("name", HOOKS)
def test_hooks(name: str) -> None:
    def make(model: Layer) -> Any:
        optimizer = Adam(lr=0.01).setup(model)
        optimizer.add_hook(HOOKS[name](model))
        return optimizer

    compared(training(make, watched=lambda o: tuple(h for h in o.hooks if hasattr(h, "state_dict"))), CALLS)


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_and_gradients_that_the_step_assigns(name: str) -> None:
    """A hook edits a copy of a gradient with a graph, and the array of any other."""

    def make() -> World:
        model = perceptron()
        optimizer = Adam(lr=0.01).setup(model)
        optimizer.add_hook(HOOKS[name](model))

        def step(x: Any, t: Any) -> Any:
            loss = F.mean_squared_error(model(x), t)
            model.cleargrads()
            loss.backward(create_graph=True)
            W, b = model[0].W, model[0].b  # type: ignore[index]
            with_graph, without = W.grad.data * 2, b.grad.data * 3
            W.grad, b.grad = Variable(with_graph), without
            optimizer.update()
            return loss, with_graph.sum(), without.sum()

        return World(step, model, optimizer)

    compared(make, CALLS)


def test_all_hooks_at_once() -> None:
    def make(model: Layer) -> Any:
        optimizer = SGD(lr=0.1).setup(model)
        for hook in (WeightDecay(0.1), ClipGrad(0.5), FreezeParam(model[0].W), EMA(model, decay=0.5)):  # type: ignore[index]
            optimizer.add_hook(hook)
        return optimizer

    recorded = compared(training(make, watched=lambda o: (o.hooks[3],)), CALLS)
    assert recorded.optimizer.hooks[1].norm > 0


def test_hook_added_between_calls() -> None:
    def add(world: World) -> None:
        world.optimizer.add_hook(ClipGrad(0.01))

    compared(training(lambda model: SGD(lr=0.1).setup(model)), CALLS, {3: add})


@pytest.mark.parametrize("every", [1, 2, 3])
def test_gradient_accumulation(every: int) -> None:
    make = training(lambda model: GradientAccumulation(Adam(lr=0.01).setup(model), every=every))
    compared(make, numbers(8, (4, 3), (4, 2)), {5: lambda world: world.optimizer.flush()})


def test_two_updates_in_a_step() -> None:
    def make() -> World:
        model = perceptron()
        first, second = SGD(lr=0.1).setup(model[0]), Adam(lr=0.01).setup(model[2])  # type: ignore[index]

        def step(x: Any, t: Any) -> Any:
            losses = []
            for optimizer in (first, second):
                loss = F.mean_squared_error(model(x), t)
                model.cleargrads()
                loss.backward()
                optimizer.update()
                losses.append(loss)
            return losses

        return World(step, model, first, second)

    compared(make, CALLS)


def test_optimizer_is_set_up_for_another_model_between_calls() -> None:
    def set_up(world: World) -> None:
        world.optimizer.setup(world.model[2])

    compared(training(lambda model: SGD(lr=0.1).setup(model)), CALLS, {3: set_up})


def test_plain_update_by_hand() -> None:
    def make() -> World:
        model = perceptron()

        def step(x: Any, t: Any) -> Any:
            loss = F.mean_squared_error(model(x), t)
            model.cleargrads()
            loss.backward()
            for p in model.params():
                p.data -= 0.1 * p.grad.data
            return loss

        return World(step, model)

    compared(make, CALLS)


@pytest.mark.parametrize("how", ["in place", "assigned", "grad itself", "copyto", "slice", "out="])
def test_ways_to_update_by_hand(how: str) -> None:
    def make() -> World:
        W = Parameter(np.random.default_rng(0).normal(size=(3, 2)), name="W")

        def step(x: Any, t: Any) -> Any:
            loss = F.mean_squared_error(F.matmul(x, W), t)
            W.cleargrad()
            loss.backward()
            if how == "in place":
                W.data -= 0.1 * W.grad.data
            elif how == "assigned":
                W.data = W.data - 0.1 * W.grad.data
            elif how == "grad itself":
                W.data -= 0.1 * W.grad
            elif how == "copyto":
                np.copyto(W.data, W.data - 0.1 * W.grad.data)
            elif how == "slice":
                W.data[:2] -= 0.1 * W.grad.data[:2]
            else:
                np.subtract(W.data, 0.1 * W.grad.data, out=W.data)
            return loss

        return World(step, W)

    compared(make, numbers(5, (4, 3), (4, 2), dtype=np.float64))


def test_batch_norm_and_updates() -> None:
    def make_model() -> Any:
        return Sequential(Linear(5, in_size=3, rng=0), BatchNorm(), Tanh(), Linear(2, in_size=5, rng=1))

    compared(training(lambda model: Adam().setup(model), make_model), CALLS, exact_only=True)


def test_parameters_that_another_step_has_updated_have_their_own_age() -> None:
    """Two programs update with one Adam, and gradients are cleared in between; its rates depend on the age of a parameter."""

    def trained(prepared: Callable[[Any], Any]) -> list[Any]:
        body, heads = Linear(4, in_size=3, rng=0), [Linear(2, in_size=4, rng=i) for i in (1, 2)]
        model = Sequential(body, *heads)
        optimizer = Adam(0.05).setup(model)

        @prepared
        def step(x: Any, t: Any, head: int) -> Any:
            loss = F.mean_squared_error(heads[head](body(x)), t)
            loss.backward()
            optimizer.update()
            model.cleargrads()
            return loss

        rng = np.random.default_rng(3)
        for head in (0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 0):
            step(rng.standard_normal((4, 3), np.float32), rng.standard_normal((4, 2), np.float32), head)
        return [p.data for p in model.params()]

    for found, expected in zip(trained(compile), trained(lambda step: step), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


# Updates on the machine, and what is in their way.


class Heads(Layer):
    """A layer of two parameters, of which one is used. All operations have the same bits on the machine."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        rng = np.random.default_rng(5)
        self.used, self.unused = [Parameter(rng.standard_normal(shape, np.float32)) for _ in range(2)]

    def forward(self, x: Any) -> Any:
        return self.used * x


def heads(
    rule: Any,
    shape: tuple[int, ...] = (4, 3),
    clears_all: bool = True,
    before: Callable[[Heads], Any] = lambda model: None,
) -> Callable[[], World]:
    """Copies of `Heads` and a step that trains it.

    ``clears_all``: whether it clears the gradient of the unused parameter, too. ``before``: what it does before the update.
    """

    def make() -> World:
        model = Heads(shape)
        optimizer = rule(lr=0.05).setup(model)

        def step(x: Any, t: Any) -> Any:
            y = model(x)
            for p in model.params() if clears_all else [model.used]:
                p.cleargrad()
            F.mean_squared_error(y, t).backward()
            before(model)
            optimizer.update()
            return y

        return World(step, model, optimizer, model=model, optimizer=optimizer)

    return make


@pytest.fixture
def updated_in_python(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], list[int]]:
    """For an optimizer, the numbers of its updates that the machine has not computed."""
    pytest.importorskip("numba")
    updates: list[tuple[Any, int]] = []
    step = Stepper.step

    def noted(self: Any, rule: Any, *args: Any) -> None:
        updates.append((rule, rule.step))
        step(self, rule, *args)

    monkeypatch.setattr(Stepper, "step", noted)
    monkeypatch.setattr(machine, "PATIENCE", 2)
    return lambda world: [number for rule, number in updates if rule is world.optimizer]


def stale(world: World) -> None:
    world.model.unused.grad = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


def cleared(world: World) -> None:
    world.model.cleargrads()


def clip(world: World) -> None:
    world.optimizer.add_hook(ClipValue(0.01))


def clip_no_more(world: World) -> None:
    world.optimizer.hooks.clear()


Events = dict[int, Callable[[World], Any]]

OBSTACLES: dict[str, tuple[bool, Events, list[int]]] = {
    "none": (True, {}, []),
    "old gradient that the step clears": (True, {0: stale}, []),
    "new gradient that the step clears": (True, {4: stale, 6: stale}, []),
    "old gradient that the step keeps": (False, {0: stale}, [0, 1, 2, 3, 4, 5, 6, 7]),
    "new gradient that the step keeps": (False, {5: stale}, [5, 6, 7]),
    "old gradient that the user clears": (False, {0: stale, 3: cleared}, [0, 1, 2, 3]),
    "new gradient that the user clears": (False, {2: stale, 4: cleared}, [2, 3, 4]),
    "gradient that comes and goes": (False, {1: stale, 2: cleared, 3: stale, 4: cleared, 6: stale}, [1, 2, 3, 4, 6, 7]),
    "gradients that the user clears": (False, {2: cleared, 5: cleared}, []),
    "hook": (True, {2: clip, 5: clip_no_more}, [2, 3, 4, 5]),
}


@pytest.mark.parametrize("rule", [MomentumSGD, Adam])
@pytest.mark.parametrize("name", OBSTACLES)
def test_machine_updates_unless_something_is_in_its_way(
    name: str, rule: Any, updated_in_python: Callable[[World], list[int]]
) -> None:
    clears_all, events, expected = OBSTACLES[name]
    calls = numbers(8, (4, 3), (4, 3))
    recorded = compared(heads(rule, clears_all=clears_all), calls, events, compile=compile, exact_only=True)
    assert updated_in_python(recorded) == expected


def regroup(world: World) -> None:
    world.optimizer.add_group(lambda path, p: path == "used", lr=0.5)


def test_groups_that_are_added_between_calls(updated_in_python: Callable[[World], list[int]]) -> None:
    recorded = compared(heads(Adam), numbers(6, (4, 3), (4, 3)), {3: regroup}, compile=compile, exact_only=True)
    assert updated_in_python(recorded) == []


@pytest.mark.parametrize("rule", [MomentumSGD, Adam])
def test_parameter_that_the_step_assigns_before_the_update(rule: Any) -> None:
    def halve(model: Heads) -> None:
        model.used.data = model.used.data * 0.5

    compared(heads(rule, before=halve), numbers(6, (4, 3), (4, 3)), compile=compile, exact_only=True)


def test_parameter_that_the_model_no_longer_has() -> None:
    def make() -> World:
        model, first, second = Layer(), Heads((4, 3)), Heads((4, 3))
        model.first, model.second = first, second
        optimizer = MomentumSGD(0.05).setup(model)

        def step(x: Any, t: Any) -> Any:
            y = second(first(x))
            for part in (first, second):
                part.cleargrads()
            F.mean_squared_error(y, t).backward()
            optimizer.update()
            return y

        return World(step, first, second, optimizer, model=model)

    def replace(world: World) -> None:
        world.model.second = Heads((4, 3))

    calls = numbers(6, (4, 3), (4, 3))
    compared(make, calls, {3: replace}, compile=compile, exact_only=True)


def test_parameter_that_has_outgrown_its_state() -> None:
    world = heads(Adam)()
    step = compile(world.step)
    for x, t in numbers(3, (4, 3), (4, 3)):
        step(x, t)
    cleared(world)
    world.model.used.data = np.ones((8, 3), np.float32)
    before = frozen(world.optimizer.state_dict())
    with pytest.raises(ShapeError, match="no longer fits"):
        step(*numbers(1, (8, 3), (8, 3))[0])
    assert_same(frozen(world.optimizer.state_dict()), before, "state")
    assert (world.model.used.data == 1).all()


def test_gradient_that_the_step_replaces_by_one_of_another_shape() -> None:
    def cut(model: Heads) -> None:
        model.used.grad.data = model.used.grad.data[:2]

    step = compile(heads(Adam, before=cut)().step)
    with pytest.raises(ShapeError, match="must have its shape"):
        step(*numbers(1, (4, 3), (4, 3))[0])


def test_state_whose_memory_order_is_not_that_of_the_parameter() -> None:
    shape = 128, 80  # Small states are joined, so they have one order.

    def transpose(world: World) -> None:
        world.model.used.data = np.asfortranarray(world.model.used.data)

    def transpose_back(world: World) -> None:
        world.model.used.data = np.ascontiguousarray(world.model.used.data)

    events = {0: transpose, 3: transpose_back}
    compared(heads(Adam, shape), numbers(6, shape, shape), events, compile=compile, exact_only=True, programs=2)
