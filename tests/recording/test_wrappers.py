"""What can be compiled, and how: methods, classes, partials, lambdas, nested steps; copies and pickles."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import weakref
from functools import partial
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
import passus.layers as L
from passus.errors import PassusError, RecordingError
from passus.optimizers import SGD, Adam
from passus.recording import RecordedFunction, compile
from passus.training import Trainer
from tests.recording.comparing import World, assert_same, exactly, frozen, numbers

X = np.arange(6.0).reshape(2, 3)


class Agent:
    """A class with a compiled method, as users write it."""

    def __init__(self, seed: int) -> None:
        self.model = L.Sequential(L.Linear(4, in_size=3, rng=seed), L.Tanh(), L.Linear(2, in_size=4, rng=seed + 1))
        self.optimizer = Adam(lr=0.01).setup(self.model)

    @partial(compile, exact=True)
    def step(self, x: Any, t: Any) -> Any:
        loss = F.mean_squared_error(self.model(x), t)
        self.model.cleargrads()
        loss.backward()
        self.optimizer.update()
        return loss

    def eager(self, x: Any, t: Any) -> Any:
        return type(self).step.function(self, x, t)  # type: ignore[attr-defined]


def test_method() -> None:
    eager, recorded = Agent(0), Agent(0)
    for args in numbers(5, (4, 3), (4, 2)):
        assert_same(frozen(recorded.step(*args)), frozen(eager.eager(*args)), "loss")
        assert_same(frozen(recorded.model), frozen(eager.model), "model")


def test_method_of_several_objects() -> None:
    """Each object is a constant of its own programs."""
    eager, recorded = [Agent(i) for i in range(3)], [Agent(i) for i in range(3)]
    for args in numbers(5, (4, 3), (4, 2)):
        for a, b in zip(eager, recorded):
            assert_same(frozen(b.step(*args)), frozen(a.eager(*args)), "loss")
            assert_same(frozen(b.model), frozen(a.model), "model")


def test_method_of_a_layer() -> None:
    class Net(L.Layer):
        def __init__(self) -> None:
            self.l1, self.norm = L.Linear(4, in_size=3, rng=0), L.BatchNorm(in_size=4)

        @partial(compile, exact=True)
        def forward(self, x: Any) -> Any:
            return self.norm(self.l1(x))

    class Eager(Net):
        forward = Net.__dict__["forward"].function

    a, b = Eager(), Net()
    for (x,) in numbers(5, (4, 3)):
        assert_same(frozen(b(x)), frozen(a(x)), "result")
        assert_same(frozen(b), frozen(a), "state")


def test_bound_method_partial_lambda_and_callable_object() -> None:
    class Scale:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        def __call__(self, x: Any) -> Any:
            return x * self.factor

        def method(self, x: Any) -> Any:
            return x * self.factor

    def f(scale: float, x: Any, shift: float = 0.0) -> Any:
        return x * scale + shift

    steps = [exactly(Scale(3.0)), exactly(Scale(3.0).method), exactly(partial(f, 3.0)), exactly(lambda x: x * 3.0)]
    for step in steps:
        for i in range(4):
            assert (step(X + i) == (X + i) * 3.0).all()
    shifted = exactly(partial(f, 3.0, shift=1.0))
    for i in range(4):
        assert (shifted(X + i) == (X + i) * 3.0 + 1.0).all()


def test_static_and_class_methods() -> None:
    class Functions:
        @staticmethod
        @compile
        def double(x: Any) -> Any:
            return x * 2

        @classmethod
        @compile
        def named(cls, x: Any) -> Any:
            return x * 2, cls.__name__

    for _ in range(4):
        assert (Functions.double(X) == X * 2).all()
        assert Functions.named(X)[1] == "Functions"


def test_decorators() -> None:
    @compile
    def plain(x: Any) -> Any:
        """A docstring."""
        return x + 1

    @compile(fallback=True, exact=True)
    def with_options(x: Any) -> Any:
        return x + 1

    assert plain.__name__ == "plain"
    assert plain.__doc__ == "A docstring."
    assert isinstance(plain, RecordedFunction)
    assert isinstance(with_options, RecordedFunction)
    for _ in range(3):
        assert (plain(X) == with_options(X)).all()


def test_what_cannot_be_compiled() -> None:
    for wrong in (3, "step", X, None):
        if wrong is not None:
            with pytest.raises(PassusError):
                compile(wrong)
    with pytest.raises(PassusError):
        compile(lambda x: x, fallback="yes")
    with pytest.raises(RecordingError, match="no program"):
        _ = compile(lambda x: x).program


def test_nested_compiled_functions() -> None:
    inner = exactly(lambda x: F.exp(x) * 2)
    outer = exactly(lambda x: inner(x) + inner(x * 2))
    for i in range(5):
        x = X * 0.1 + i
        assert_same(outer(x), F.exp(x) * 2 + F.exp(x * 2) * 2, "nested")
    assert inner.versions == []
    for _ in range(3):
        inner(X)
    assert_same(outer(X), F.exp(X) * 2 + F.exp(X * 2) * 2, "nested")


def test_compiled_layer_inside_a_compiled_step() -> None:
    layer = L.Linear(2, in_size=3, rng=0)
    inference = exactly(layer)
    step = exactly(lambda x: inference(x) * 2)
    for (x,) in numbers(4, (4, 3)):
        assert_same(frozen(inference(x) * 2.0), frozen(step(x)), "nested")


def test_compiling_twice() -> None:
    step = exactly(exactly(lambda x: x * 2 + 1))
    for i in range(4):
        assert (step(X + i) == (X + i) * 2 + 1).all()


def test_one_model_in_two_steps() -> None:
    """A training step and an evaluation step share the parameters."""

    def make() -> World:
        model = L.Sequential(L.Linear(4, in_size=3, rng=0), L.BatchNorm(in_size=4), L.Linear(2, in_size=4, rng=1))
        optimizer = SGD(lr=0.1).setup(model)

        def train(x: Any, t: Any) -> Any:
            loss = F.mean_squared_error(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            return loss

        return World(train, model, optimizer, model=model)

    eager, world = make(), make()
    train, evaluate = exactly(world.step), exactly(world.model)
    for x, t in numbers(6, (4, 3), (4, 2)):
        with passus.no_grad(), passus.test_mode():
            expected = eager.model(x)
        assert_same(frozen(evaluate(x)), frozen(expected), "evaluation")
        assert_same(frozen(train(x, t)), frozen(eager.step(x, t)), "training")
        assert_same(world.state(), eager.state(), "state")


def test_eager_and_recorded_calls_alternate() -> None:
    def make() -> World:
        model = L.Sequential(
            L.Linear(4, in_size=3, rng=0), L.BatchNorm(in_size=4), L.LSTM(4, in_size=4, rng=1), L.Dropout(0.2, rng=3)
        )
        optimizer = Adam(lr=0.01).setup(model)

        def step(x: Any) -> Any:
            loss = (model(x) ** 2).mean()
            model.cleargrads()
            loss.backward()
            loss.unchain_backward()
            optimizer.update()
            return loss

        return World(step, model, optimizer)

    eager, world = make(), make()
    recorded = exactly(world.step)
    for i, (x,) in enumerate(numbers(12, (4, 3))):
        step = recorded if i % 3 else world.step
        assert_same(frozen(step(x)), frozen(eager.step(x)), f"call {i}")
        assert_same(world.state(), eager.state(), f"call {i}")


def called(layer: Any, x: Any) -> Any:
    return layer(x)


def double(x: Any) -> Any:
    return x * 2


class Owner:
    """An object with compiled functions as attributes."""

    def __init__(self) -> None:
        self.model = L.Linear(2, in_size=3, rng=0)
        self.infer = compile(self.model)
        self.step = compile(double)


class TestCopies:
    def trained(self) -> Agent:
        agent = Agent(0)
        for args in numbers(3, (4, 3), (4, 2)):
            agent.step(*args)
        return agent

    @pytest.mark.parametrize("how", ["deepcopy", "pickle"])
    def test_copy_of_a_model_that_a_program_has_trained(self, how: str) -> None:
        agent = self.trained()
        copied = copy.deepcopy(agent) if how == "deepcopy" else pickle.loads(pickle.dumps(agent))
        assert_same(frozen(copied.model), frozen(agent.model), "copy")
        for args in numbers(3, (4, 3), (4, 2), seed=3):
            before = frozen(copied.model)
            agent.step(*args)
            assert_same(frozen(copied.model), before, "the copy is not trained")
        for args in numbers(3, (4, 3), (4, 2), seed=3):
            copied.step(*args)
        assert_same(frozen(copied.model), frozen(agent.model), "both are trained")

    def test_compiled_step_as_an_attribute(self) -> None:
        owner = Owner()
        for _ in range(3):
            owner.infer(X.astype(np.float32))
            owner.step(X)
        for other in (copy.deepcopy(owner), pickle.loads(pickle.dumps(owner))):
            assert other.infer.versions == []
            other.model.W.data[...] = 0
            for _ in range(3):
                assert (other.infer(X.astype(np.float32)).data == 0).all()
                assert (other.step(X) == X * 2).all()

    def test_trainer_after_recorded_training(self) -> None:
        model = L.Linear(1, in_size=3, rng=0)
        optimizer = SGD(lr=0.1).setup(model)
        step = compile(lambda x: (model(x) ** 2).mean())
        for (x,) in numbers(3, (4, 3)):
            step(x)
        trainer = Trainer(model, optimizer, [numbers(1, (4, 3), (4, 1))[0]], F.mean_squared_error, progress=False)
        trainer.fit(epochs=1)
        copied = copy.deepcopy(trainer.model)
        assert_same(frozen(copied), frozen(model), "copy")


def test_programs_are_freed_with_their_function() -> None:
    layer = L.Linear(2, in_size=3, rng=0)
    step = compile(partial(called, layer))
    for _ in range(3):
        step(X.astype(np.float32))
    alive = weakref.ref(layer)
    del step, layer
    gc.collect()
    assert alive() is None


def test_results_do_not_keep_the_inputs_alive() -> None:
    step = exactly(lambda x: F.exp(x) * 2)
    for _ in range(3):
        step(X)

    class Array(np.ndarray[Any, Any]):
        pass

    x = np.arange(6.0).reshape(2, 3)
    y = step(x)
    owner = x.view(Array)
    alive = weakref.ref(owner)
    del owner
    assert alive() is None
    assert y.base is None or y.base is not x


CHILD = """
import numpy as np, os, sys
import passus.functions as F
import passus.layers as L
from passus.optimizers import Adam
from passus.recording import compile

model = L.Sequential(L.Linear(4, in_size=3, rng=0), L.Tanh(), L.Linear(2, in_size=4, rng=1))
optimizer = Adam(lr=0.01).setup(model)

@compile
def step(x, t):
    loss = F.mean_squared_error(model(x), t)
    model.cleargrads()
    loss.backward()
    optimizer.update()
    return loss

rng = np.random.default_rng(0)
batches = [(rng.normal(size=(4, 3)).astype("f"), rng.normal(size=(4, 2)).astype("f")) for _ in range(6)]
for args in batches[:3]:
    step(*args)
if hasattr(os, "fork"):
    pid = os.fork()
    for args in batches[3:]:
        step(*args)
    total = float(sum(p.data.sum() for p in model.params()))
    if pid == 0:
        sys.stdout.write(f"{total!r} ")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)
    sys.stdout.write(f"{total!r}")
"""


@pytest.mark.compiles
def test_forked_process_continues_alike() -> None:
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    numbers_ = child.stdout.split()
    assert len(numbers_) in (0, 2)
    assert len(set(numbers_)) <= 1, child.stdout


def test_wrong_arguments_raise_as_they_do_in_python() -> None:
    step = compile(lambda x, t: x + t)
    for _ in range(3):
        step(X, X)
        with pytest.raises(TypeError):
            step(X)
        with pytest.raises(TypeError):
            step(X, X, X)
        with pytest.raises(TypeError):
            step(X, y=X)


def test_default_arguments_and_variable_arguments() -> None:
    def step(x: Any, *more: Any, scale: float = 2.0, **options: Any) -> Any:
        y = x * scale
        for m in more:
            y = y + m
        return y + options.get("shift", 0.0)

    recorded = exactly(step)
    for _ in range(3):
        for args, options in [((X,), {}), ((X, X, X), {}), ((X,), {"scale": 3.0}), ((X, X), {"shift": X})]:
            assert_same(recorded(*args, **options), step(*args, **options), "arguments")


def test_warm_up_changes_nothing() -> None:
    eager, recorded = Agent(0), Agent(0)
    args = numbers(1, (4, 3), (4, 2))[0]
    step = exactly(partial(type(recorded).step.function, recorded))  # type: ignore[attr-defined]
    before = frozen(recorded.model), frozen(recorded.optimizer)
    step.warm_up(*args)
    assert_same((frozen(recorded.model), frozen(recorded.optimizer)), before, "warm_up")
    assert [version.is_checked for version in step.versions] == [True]
    for args in numbers(4, (4, 3), (4, 2)):
        assert_same(frozen(step(*args)), frozen(eager.eager(*args)), "loss")


def test_variables_with_a_graph_as_arguments_are_refused() -> None:
    step = compile(lambda x: (x * 2.0).sum())
    w = passus.Variable(np.ones(3))
    for _ in range(3):
        with pytest.raises(RecordingError, match="computed before the step"):
            step(w * 2.0)
    assert float(step(w).data) == 6.0
    assert float(step(passus.Variable(np.ones(3))).data) == 6.0
