"""Steps that no program can replace: an error that names the line, or with fallback one warning and the eager step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
import passus.layers as L
from passus.core import Variable
from passus.errors import LabelError, PassusWarning, RecordingError
from passus.optimizers import SGD
from passus.random import get_rng, seed, using_rng
from tests.recording.comparing import World, assert_same, assert_untraced, compared, exactly, frozen, numbers

X = np.arange(1.0, 7.0).reshape(2, 3)


state: Any = None


def trainer(read: Callable[[Any, Any], Any]) -> World:
    """A training step that calls ``read`` with the loss and the prediction before its update."""
    model = L.Sequential(
        L.Linear(4, in_size=3, rng=0), L.BatchNorm(in_size=4), L.Dropout(0.2, rng=1), L.Linear(2, in_size=4, rng=2)
    )
    optimizer = SGD(lr=0.1).setup(model)

    def step(x: Any, t: Any) -> Any:
        y = model(x)
        loss = F.mean_squared_error(y, t)
        model.cleargrads()
        loss.backward()
        found = read(loss, y)
        optimizer.update()
        return loss, found

    return World(step, model, optimizer, model=model, optimizer=optimizer)


READS: dict[str, Callable[[Any, Any], Any]] = {
    "float": lambda loss, y: float(loss),
    "float of an array": lambda loss, y: float(loss.data),
    "int": lambda loss, y: int(loss),
    "item": lambda loss, y: loss.item(),
    "item of an array": lambda loss, y: y.data[0, 0].item(),
    "asarray": lambda loss, y: np.asarray(y.detach()),
    "asarray of an array": lambda loss, y: np.asarray(y.data).sum(),
    "tolist": lambda loss, y: y.data.tolist(),
    "tobytes": lambda loss, y: y.data.tobytes(),
    "index": lambda loss, y: [10, 20, 30][y.data.argmax() * 0],
    "range": lambda loss, y: list(range(y.data.argmax() * 0 + 2)),
    "memory": lambda loss, y: y.data.ctypes.data,
    "format": lambda loss, y: f"{float(y.data.sum()):.2f}",
    "math": lambda loss, y: __import__("math").sqrt(abs(loss.data)),
    "in a list": lambda loss, y: np.array([loss.data, loss.data]),
}


@pytest.mark.parametrize("name", READS)
class TestReads:
    def test_error_names_the_line(self, name: str) -> None:
        world = trainer(READS[name])
        before = frozen(world.state())
        recorded = exactly(world.step)
        for args in numbers(2, (4, 3), (4, 2)):
            with pytest.raises(RecordingError) as caught:
                recorded(*args)
            assert_same(frozen(world.state()), before, "state")
            assert_untraced(list(world.parts))
            assert "test_refusals.py:" in str(caught.value), caught.value

    def test_fallback_warns_once_and_runs_the_step(self, name: str) -> None:
        eager, world = trainer(READS[name]), trainer(READS[name])
        recorded = exactly(world.step, fallback=True)

        def call() -> None:
            for args in numbers(4, (4, 3), (4, 2)):
                expected, result = eager.call(args, {}), frozen(recorded(*args))
                if name != "memory":
                    assert_same(result, expected[0], "result")
                assert_same(world.state(), eager.state(), "state")

        with pytest.warns(PassusWarning, match="runs without a program") as caught:
            call()
        assert len(caught) == 1
        with pytest.raises(RecordingError, match="no program"):
            _ = recorded.program


class TestConditions:
    def test_both_branches(self) -> None:
        def make() -> World:
            W = Variable(np.ones((3, 2)))

            def step(x: Any) -> Any:
                W.cleargrad()
                y = F.matmul(x, W)
                loss = (y * y).sum()
                if loss.data > 100:
                    loss = loss * 0.5
                loss.backward()
                if (y.data > 0).all():
                    return loss, y
                return loss, y, "some are negative"

            return World(step, W)

        calls = [X, X, X, X * 0.1, X * 0.1, X * 0.1, X, -X, -X, X * 0.1, -X * 0.1, -X * 0.1, X, -X, X * 0.1]
        compared(make, calls, programs=None)

    def test_alternating(self) -> None:
        def step(x: Any) -> Any:
            return x * 2 if x.sum() > 0 else x - 1

        compared(lambda: World(step), [X * (-1) ** i for i in range(10)], programs=2)

    def test_conditions_of_variables_and_of_and_or(self) -> None:
        def step(x: Any) -> Any:
            v = Variable(x)
            if v.sum() > 3 and not (v.data < -10).any():
                return F.exp(-v)
            return v if np.isfinite(x).all() or x[0, 0] == 0 else v * 0

        calls = [X, X, -X, -X * 20, X / 0.1, X * 0, X, X * 0] * 2
        compared(lambda: World(step), calls, programs=None)

    def test_while_loop(self) -> None:
        def step(x: Any) -> Any:
            n = 0
            while np.abs(x).max() > 1:
                x = x / 2
                n += 1
            return x, n

        compared(lambda: World(step), [X * 2.0 ** (i % 4) for i in range(16)], programs=None)

    def test_singular_matrices(self) -> None:
        """The gradient of a determinant takes another way where there is no inverse."""

        def step(x: Any) -> Any:
            v = Variable(x)
            F.det(v).sum().backward()
            return v.grad

        matrices = [
            np.eye(3) * 2,
            np.eye(3) * 3,
            np.diag([1.0, 2.0, 0.0]),
            np.zeros((3, 3)),
            np.eye(3),
            np.diag([0.0, 2.0, 3.0]),
        ]
        compared(lambda: World(step), [*matrices, *matrices], programs=2)

    def test_min_and_max_of_python(self) -> None:
        compared(lambda: World(lambda x: max(x[0, 0], x[0, 1]) + min(x[0, 2], 2.0)), [X, X, -X, -X, X, -X], programs=2)

    def test_state_of_a_run_whose_condition_fails(self) -> None:
        def make() -> World:
            model = L.Sequential(
                L.Linear(4, in_size=3, rng=0),
                L.BatchNorm(in_size=4),
                L.Dropout(0.3, rng=2),
                L.Linear(1, in_size=4, rng=1),
            )
            optimizer = SGD(lr=0.1).setup(model)

            def step(x: Any) -> Any:
                y = F.dropout(model(x), 0.2)
                model.cleargrads()
                loss = (y * y).mean()
                loss.backward()
                if x.sum() > 0:
                    optimizer.update()
                return loss

            return World(step, model, optimizer)

        calls = [(x * 0.1 + (1 if i % 3 else -1)).astype(np.float32) for i, (x,) in enumerate(numbers(12, (4, 3)))]
        compared(make, calls, programs=2)

    def test_condition_after_an_update_is_refused(self) -> None:
        def make() -> World:
            model = L.Linear(2, in_size=3, rng=0)
            optimizer = SGD(lr=0.1).setup(model)

            def step(x: Any) -> Any:
                loss = (model(x) ** 2).mean()
                model.cleargrads()
                loss.backward()
                optimizer.update()
                return loss if loss.data > 0.1 else None

            return World(step, model, optimizer)

        world = make()
        before = world.state()
        with pytest.raises(RecordingError, match=r"test_refusals\.py:\d+: the step reads a value after"):
            exactly(world.step)(X.astype(np.float32))
        assert_same(world.state(), before, "state")

    @pytest.mark.parametrize("what", ["argument", "parameter", "buffer"])
    def test_condition_after_an_edit_is_refused_or_right(self, what: str) -> None:
        def make() -> World:
            layer = L.Linear(2, in_size=3, rng=0)
            layer.register_buffer("count", np.zeros(2))

            def step(x: Any) -> Any:
                if what == "argument":
                    x *= 2
                elif what == "parameter":
                    layer.W.data -= 1
                else:
                    layer.count += 1
                y = layer(x)
                return y * 2 if y.data.sum() > 0 else y

            return World(step, layer)

        calls = [(x * (-1) ** i,) for i, (x,) in enumerate(numbers(6, (4, 3)))]
        with pytest.raises(RecordingError, match="after it has changed"):
            compared(make, calls)
        with pytest.warns(PassusWarning):
            compared(make, calls, compile=lambda step: exactly(step, fallback=True), programs=None)

    def test_too_many_branches_run_the_step(self) -> None:
        def step(x: Any) -> Any:
            n = sum([1 for v in x if v > 0])
            return x * n

        calls = [np.where(np.arange(12) < i, 1.0, -1.0) for i in range(12)] * 2
        with pytest.warns(match="keeps 8 programs"):
            compared(lambda: World(step), calls, programs=None)


class TestLabels:
    def world(self) -> World:
        model = L.Sequential(L.Linear(4, in_size=3, rng=0), L.BatchNorm(in_size=4), L.Linear(5, in_size=4, rng=1))
        optimizer = SGD(lr=0.1).setup(model)

        def step(x: Any, t: Any) -> Any:
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            return loss

        return World(step, model, optimizer)

    def test_bad_labels_raise_the_eager_error_and_change_nothing(self) -> None:
        eager, world = self.world(), self.world()
        recorded = exactly(world.step)
        good, bad = np.array([0, 1, 4, 2]), np.array([0, 1, 5, 2])
        with pytest.raises(LabelError) as expected:
            self.world().step(np.ones((4, 3), np.float32), bad)
        for i, (x,) in enumerate(numbers(8, (4, 3))):
            if i in (0, 2, 5):
                before = world.state()
                with pytest.raises(LabelError) as caught:
                    recorded(x, bad)
                assert str(caught.value) == str(expected.value)
                assert_same(world.state(), before, f"call {i}")
                continue
            assert_same(frozen(recorded(x, good)), frozen(eager.step(x, good)), f"call {i}")
            assert_same(world.state(), eager.state(), f"call {i}")

    def test_bad_indices_of_an_embedding(self) -> None:
        layer = L.Embedding(5, 3, rng=0)
        recorded = exactly(lambda ids: layer(ids))
        for _ in range(3):
            recorded(np.array([0, 4]))
        for _ in range(2):
            with pytest.raises(LabelError) as caught:
                recorded(np.array([0, 5]))
        with pytest.raises(LabelError) as expected:
            layer(np.array([0, 5]))
        assert str(caught.value) == str(expected.value)
        assert (recorded(np.array([1, 2])).data == layer(np.array([1, 2])).data).all()


class TestDifferences:
    """The step depends on something that the program does not read."""

    def check(self, step: Callable[..., Any], *args: Any, match: str = r"test_refusals\.py:\d+") -> None:

        def call(recorded: Callable[..., Any]) -> None:
            for _ in range(5):
                recorded(*args)

        with pytest.raises(RecordingError, match=match):
            call(exactly(step))
        with pytest.warns(PassusWarning, match="runs without a program") as caught:
            call(exactly(step, fallback=True))
        assert len(caught) == 1

    def test_counter(self) -> None:
        count = 0

        def step(x: Any) -> Any:
            nonlocal count
            count += 1
            return x * count

        self.check(step, X)

    def test_counter_in_the_result(self) -> None:
        count = 0

        def step(x: Any) -> Any:
            nonlocal count
            count += 1
            return x, count

        self.check(step, X, match="results of two calls differ")

    def test_numbers_of_numpys_generator(self) -> None:
        rng = np.random.default_rng(0)
        self.check(lambda x: x + rng.normal(size=3), X)
        self.check(lambda x: x + np.random.rand(3), X)  # noqa: NPY002
        self.check(lambda x: x * float(rng.normal()), X)

    def test_generator_of_the_standard_library(self) -> None:
        import random

        self.check(lambda x: x * random.random(), X)

    def test_time(self) -> None:
        import time

        self.check(lambda x: x + time.perf_counter_ns(), X)

    @pytest.mark.parametrize("how", ["iadd", "out", "copyto", "global"])
    def test_array_of_numpy_that_the_step_writes_into(self, how: str) -> None:
        kept = np.zeros((2, 3))

        def step(x: Any) -> Any:
            total = kept if how == "global" else np.zeros((2, 3))
            if how == "out":
                np.multiply(x, 2, out=total)
            elif how == "copyto":
                np.copyto(total, x)
            else:
                total += x
            return total * 2

        self.check(step, X, match=r"test_refusals\.py:\d+: the step writes into an array")

    def test_array_like_an_argument_that_the_step_writes_into(self) -> None:
        def step(x: Any) -> Any:
            total = np.zeros_like(x)
            total += x
            total[0] = x[1]
            return total

        compared(lambda: World(step), [X, X + 1, X * 2, X * 3])

    def test_appended_list(self) -> None:
        losses: list[Any] = []

        def step(x: Any) -> Any:
            loss = F.exp(x).sum()
            losses.append(loss)
            return loss

        self.check(step, X, match=r"test_refusals\.py:\d+: the step keeps")

    @pytest.mark.parametrize("what", ["array", "intermediate", "argument", "gradient"])
    def test_appended_arrays(self, what: str) -> None:
        kept: list[Any] = []

        def step(x: Any) -> Any:
            v = Variable(x)
            y = F.exp(v)
            loss = y.sum()
            loss.backward()
            kept.append({"array": loss.data, "intermediate": y, "argument": x, "gradient": v.grad}[what])
            return loss

        self.check(step, X, match="the step keeps")

    def test_attribute_of_an_object_that_is_no_layer(self) -> None:
        class Owner:
            last: Any = None

        owner = Owner()

        def step(x: Any) -> Any:
            owner.last = x * 2
            return x

        self.check(step, X, match="the step keeps")

    def test_global_variable_that_is_replaced(self) -> None:
        global state
        state = Variable(np.zeros(3))

        def step(x: Any) -> Any:
            global state
            state = F.tanh(state + x.sum(axis=0)).detach()
            return state

        self.check(step, X, match="the step keeps")

    def test_array_of_an_earlier_call(self) -> None:
        memory: dict[str, Any] = {"h": np.zeros((2, 3))}

        def step(x: Any) -> Any:
            memory["h"] = memory["h"] * 0.5 + x
            return memory["h"]

        self.check(step, X, match="the step keeps")

    def test_variable_with_a_graph_from_before(self) -> None:
        w = Variable(np.ones(3))
        y = F.exp(w)
        recorded = exactly(lambda x: (y * x).sum())
        with pytest.raises(RecordingError, match=r"test_refusals\.py:\d+.*computed before it"):
            recorded(X)
        assert type(y.data) is np.ndarray
        assert y.creator is not None
        y.backward()
        assert w.grad is not None

    def test_state_with_a_graph(self) -> None:
        model = L.Sequential(L.LSTM(4, in_size=3, rng=0), L.Linear(2, in_size=4, rng=1))

        def step(x: Any) -> Any:
            loss = (model(x) ** 2).mean()
            model.cleargrads()
            loss.backward()
            return loss

        recorded = exactly(step)
        with pytest.raises(RecordingError, match=r"l0\.h keeps the graph of the step.*unchain_backward"):
            recorded(X.astype(np.float32))
        assert model[0].h is None

    def test_number_among_the_attributes_that_counts(self) -> None:
        class Counting(L.Layer):
            def __init__(self) -> None:
                self.calls = 0

            def forward(self, x: Any) -> Any:
                self.calls += 1
                return x * 2

        def make() -> World:
            layer = Counting()
            return World(lambda x: layer(x), layer)

        with pytest.warns(PassusWarning, match=r"counting\.calls"):
            compared(make, [X] * 12, programs=None)

    @pytest.mark.parametrize("dtype", [object, np.dtypes.StringDType()])
    def test_array_of_objects_among_the_arguments(self, dtype: Any) -> None:
        def step(x: Any, names: Any) -> Any:
            return x * len(names)

        names = np.array(["cat", "dog"], dtype)
        with pytest.raises(RecordingError, match=r"names: an array of Python objects.*Use a list or a tuple"):
            exactly(step)(X, names)
        recorded = exactly(step, fallback=True)
        with pytest.warns(PassusWarning, match="names"):
            assert (recorded(X, names) == X * 2).all()
        assert (exactly(step)(X, names.tolist()) == X * 2).all()

    def test_array_of_objects_that_the_step_makes(self) -> None:
        def step(x: Any) -> Any:
            return x * (x.astype(object) > 0).astype(x.dtype)

        for compile in exactly, passus.compile:
            with pytest.raises(RecordingError, match=r"test_refusals\.py:\d+: an array of Python objects"):
                compile(step)(X)

    def test_array_of_objects_among_the_attributes(self) -> None:
        class Naming(L.Layer):
            def __init__(self) -> None:
                self.names = np.array(["cat", "dog"], object)

            def forward(self, x: Any) -> Any:
                return x * len(self.names[0])

        def make() -> World:
            layer = Naming()
            return World(lambda x: layer(x), layer)

        compared(make, [X] * 4, programs=1)

    def test_list_among_the_attributes_that_grows(self) -> None:
        class Noting(L.Layer):
            def __init__(self) -> None:
                self.shapes: list[Any] = []

            def forward(self, x: Any) -> Any:
                self.shapes.append(x.shape)
                return x * 2

        def make() -> World:
            layer = Noting()
            return World(lambda x: layer(x), layer)

        with pytest.raises(RecordingError, match=r"noting\.shapes"):
            compared(make, [X] * 12, programs=None)
        with pytest.warns(PassusWarning, match=r"noting\.shapes"):
            compared(make, [X] * 8, programs=None, compile=lambda step: exactly(step, fallback=True))

    def test_dict_among_the_attributes_that_is_filled_once(self) -> None:
        class Caching(L.Layer):
            def __init__(self) -> None:
                self.masks: dict[Any, Any] = {}

            def forward(self, x: Any) -> Any:
                if x.shape not in self.masks:
                    self.masks[x.shape] = np.tri(*x.shape)
                return x * self.masks[x.shape]

        def make() -> World:
            layer = Caching()
            return World(lambda x: layer(x), layer)

        compared(make, [X] * 5 + [X.T.copy()] * 5, programs=None)

    def test_list_of_arrays_among_the_attributes(self) -> None:
        class Noting(L.Layer):
            def __init__(self) -> None:
                self.arrays: list[Any] = []

            def forward(self, x: Any) -> Any:
                self.arrays = [x * 2, x]
                return x * 2

        layer = Noting()
        self.check(lambda x: layer(x), X, match=r"noting\.arrays")

    def test_bit_generator_of_the_current_generator(self) -> None:
        self.check(lambda x: x + get_rng().bit_generator.random_raw(), X, match="bit_generator")

    def test_seed_of_the_current_generator(self) -> None:
        def step(x: Any) -> Any:
            seed(3)
            return x + get_rng().normal(size=3)

        with using_rng(0):
            self.check(step, X, match="seed")

    def test_generator_that_is_created_in_the_step(self) -> None:
        compared(lambda: World(lambda x: x + np.random.default_rng(3).normal(size=3)), [X] * 4)


def test_error_in_debugging_prints_does_not_matter(capsys: Any) -> None:
    recorded = exactly(lambda x: print(x, Variable(x), repr(x)) or x * 2)
    for _ in range(4):
        assert (recorded(X) == X * 2).all()
    assert capsys.readouterr().out.count("Traced") >= 2
