"""Arguments and results of recorded steps: kinds, dtypes, orders in memory, aliases, edits, and other sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus.config import no_grad, using_config
from passus.core import Parameter, Variable
from passus.optimizers import SGD
from tests.recording.comparing import World, assert_same, compared, exactly, frozen, numbers


def function(step: Callable[..., Any]) -> Callable[[], World]:
    return lambda: World(step)


ROWS = np.arange(12.0).reshape(3, 4)


class TestTrees:
    def test_tuples_lists_and_dicts(self) -> None:
        def step(batch: Any, options: Any) -> Any:
            (x, t), [mask] = batch
            return {"y": x * options["scale"], "both": [t + 1, (mask, x)], "none": None, "text": "name", "n": 3}

        calls = [(((x, t), [x > 0]), {"scale": t}) for x, t in numbers(4, (3, 2), (3, 2))]
        compared(function(step), calls)

    def test_named_tuples_are_results(self) -> None:
        class Pair(NamedTuple):
            a: Any
            b: Any

        compared(function(lambda x: Pair(x + 1, [Pair(x, 2.0)])), numbers(4, (3,)))

    def test_named_arguments(self) -> None:
        step = exactly(lambda x, *, scale=2.0, shift=None: x * scale if shift is None else x + shift)
        x = np.arange(3.0)
        for _ in range(3):
            assert (step(x) == x * 2).all()
            assert (step(x, scale=3.0) == x * 3).all()
            assert (step(shift=x, x=x) == x + x).all()
            assert (step(x=x, scale=3.0) == x * 3).all()

    def test_none_numbers_and_strings_are_constants(self) -> None:
        def step(x: Any, how: Any, n: Any, none: Any) -> Any:
            y = getattr(F, how)(x) * n
            return y if none is None else y + none

        x = np.linspace(-1, 1, 5)
        calls = [
            (x, how, n, none) for _ in range(3) for how in ("exp", "tanh") for n in (2, 2.0) for none in (None, 1.0)
        ]
        compared(function(step), calls, programs=8)

    def test_equal_numbers_of_other_types(self) -> None:
        compared(
            function(lambda x, n: x * n), [(np.arange(3), n) for _ in range(3) for n in (1, 1.0, True)], programs=3
        )

    def test_nan_and_signed_zeros_as_numbers(self) -> None:
        calls = [(np.arange(3.0), n) for _ in range(3) for n in (0.0, -0.0, float("nan"))]
        compared(function(lambda x, n: x * n), calls, programs=None)

    def test_results_without_arrays(self) -> None:
        compared(function(lambda x: (x.shape, x.ndim, x.dtype, len(x), x.size)), numbers(4, (3, 2)))
        compared(function(lambda x: None), numbers(4, (3, 2)))

    def test_no_arguments(self) -> None:
        def make() -> World:
            x = Variable(np.arange(3.0))

            def step() -> Any:
                x.data += 1
                return x * 2

            return World(step, x)

        compared(make, [()] * 4)

    def test_a_result_of_constants(self) -> None:
        compared(function(lambda x: (np.ones(3), Variable(np.zeros(2)), x)), numbers(4, (3,)))

    def test_constant_results_belong_to_the_caller(self) -> None:
        step = exactly(lambda x: (np.ones(3), [Variable(np.ones(2))]))
        for _ in range(4):
            a, (b,) = step(np.zeros(1))
            assert (a == 1).all()
            assert (b.data == 1).all()
            a += 1
            b.data += 1


class TestKinds:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.int64, np.uint8, bool])
    def test_dtypes(self, dtype: Any) -> None:
        calls = [((3 + x).clip(0, 5).astype(dtype),) for (x,) in numbers(4, (3, 4))]
        compared(function(lambda x: (x, x * 2, x.sum(), x.mean(axis=0), F.exp(x.astype(np.float32)))), calls)

    def test_scalars_of_numpy(self) -> None:
        calls = [(np.float32(i), np.arange(3.0, dtype=np.float32)) for i in range(4)]
        compared(function(lambda s, x: (s * x, s, s + 1)), calls)

    def test_arrays_without_axes_and_without_elements(self) -> None:
        calls = [(np.array(float(i)), np.zeros((0, 3)), np.zeros((2, 0))) for i in range(4)]
        compared(function(lambda a, b, c: (a * 2, a, b + a, F.sum(b), c.T, F.exp(b), b.sum(axis=1))), calls)

    def test_results_have_the_types_of_eager_ones(self) -> None:
        def step(x: Any) -> Any:
            return x.sum(), F.sum(x), x[0, 0], x[0], x.max(), x.T, np.sum(x, axis=0), x.mean(), x.argmax(), x > 1

        compared(function(step), numbers(4, (3, 4)))

    def test_variables(self) -> None:
        def step(x: Any) -> Any:
            y = F.exp(x)
            return y, x.data * 2, y.data, x

        compared(function(step), [(Variable(x),) for (x,) in numbers(4, (3, 4))])

    def test_gradients_of_variables_among_the_arguments(self) -> None:
        def step(x: Any, ws: Any) -> Any:
            loss = (F.exp(x) * ws[0]).sum() + ws[1].sum()
            loss.backward()
            return loss, x.grad

        calls = [(Variable(x), [Variable(w), Variable(b)]) for x, w, b in numbers(4, (3, 4), (3, 4), (2,))]
        compared(function(step), calls)

    def test_earlier_gradients_of_arguments(self) -> None:
        def with_grad(x: Any, g: Any) -> Variable:
            v = Variable(x)
            v.grad = g
            return v

        def step(x: Any) -> Any:
            F.exp(x).sum().backward()
            return x.grad

        compared(function(step), [(with_grad(x, g),) for x, g in numbers(4, (3, 4), (3, 4))])

        def cleared(x: Any) -> Any:
            x.cleargrad()
            F.exp(x).sum().backward()

        compared(function(cleared), [(with_grad(x, g),) for x, g in numbers(4, (3, 4), (3, 4))])

    def test_frozen_variables_among_the_arguments(self) -> None:
        def frozen_variable(x: Any) -> Variable:
            v = Variable(x)
            v.requires_grad = False
            return v

        def step(x: Any, w: Any) -> Any:
            (x * w).sum().backward()
            return x.grad, w.grad

        calls = [(v(x), Variable(w)) for x, w in numbers(3, (3,), (3,)) for v in (Variable, frozen_variable)]
        compared(function(step), calls, programs=2)

    def test_variables_that_are_returned_as_they_are(self) -> None:
        W = Parameter(np.ones(3))
        step = exactly(lambda x: (W, [x], W * x))
        for _ in range(4):
            x = Variable(np.arange(3.0))
            results = step(x)
            assert results[0] is W
            assert results[1][0] is x


class TestMemory:
    @pytest.mark.parametrize(
        "view",
        [
            lambda x: x.T,
            lambda x: x[::2],
            lambda x: x[:, ::-1],
            lambda x: np.broadcast_to(x[0], (3, 4)),
            lambda x: np.asfortranarray(x),
            lambda x: x[1:, 1:],
            lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        ],
    )
    def test_views(self, view: Any) -> None:
        def step(x: Any, w: Any) -> Any:
            return F.matmul(x, w), x.sum(axis=0), F.exp(x), x.reshape(-1), x.T, x.copy()

        calls = [(view(x), np.ones((view(x).shape[1], 2), np.float32)) for (x,) in numbers(4, (3, 4))]
        compared(function(step), calls)

    def test_orders_in_memory_have_programs_of_their_own(self) -> None:
        views = [lambda x: x, lambda x: np.asfortranarray(x), lambda x: np.repeat(x, 2, axis=1)[:, ::2]]
        calls = [(view(x), np.ones((4, 2), np.float32)) for (x,) in numbers(4, (3, 4)) for view in views]
        compared(function(lambda x, w: F.matmul(x, w)), calls, programs=3)

    def test_array_that_is_not_aligned(self) -> None:
        memory = np.zeros(97, np.uint8)
        x = memory[1:].view(np.float64).reshape(3, 4)
        x[...] = ROWS
        step = exactly(lambda x: x * 2)
        for _ in range(4):
            assert (step(x) == ROWS * 2).all()
            assert (step(ROWS) == ROWS * 2).all()

    def test_read_only_arrays(self) -> None:
        x = ROWS.copy()
        x.flags.writeable = False
        compared(function(lambda x: (x * 2, F.exp(x))), [(x,)] * 4)

    def test_read_only_array_that_the_step_edits(self) -> None:
        def step(x: Any) -> Any:
            x += 1
            return x

        read_only = ROWS.copy()
        read_only.flags.writeable = False
        recorded = exactly(step)
        for _ in range(3):
            with pytest.raises(ValueError, match="read-only"):
                recorded(read_only)
        for i in range(4):
            assert (recorded(ROWS + i) == ROWS + i + 1).all()
        with pytest.raises(ValueError, match="read-only"):
            recorded(read_only)
        assert (read_only == ROWS).all()

    def test_same_array_twice(self) -> None:
        step = exactly(lambda a, b: a * 2 + b)
        for _ in range(4):
            x, y = ROWS.copy(), ROWS + 1
            assert (step(x, x) == x * 3).all()
            assert (step(x, y) == x * 2 + y).all()

    @pytest.mark.parametrize("first", ["aliases", "copies"])
    def test_same_array_twice_that_the_step_edits(self, first: str) -> None:
        def step(a: Any, b: Any) -> Any:
            a += 1
            c = b * 2
            b *= 3
            return a - c

        recorded = exactly(step)
        for i in range(8):
            aliases = (i % 2 == 0) == (first == "aliases")
            xs = [ROWS.copy() for _ in range(4)]
            expected = step(xs[0], xs[0] if aliases else xs[1])
            result = recorded(xs[2], xs[2] if aliases else xs[3])
            assert_same(result, expected, f"call {i}")
            assert_same(xs[2:], xs[:2], f"call {i}: arguments")

    def test_overlapping_views_that_the_step_edits(self) -> None:
        def step(a: Any, b: Any) -> Any:
            a += 1
            return b * 2

        recorded = exactly(step)
        for i in range(4):
            x, y = np.arange(10.0), np.arange(10.0)
            assert_same(recorded(x[:6], x[4:]), step(y[:6], y[4:]), f"call {i}")
            assert_same(x, y, "arguments")

    def test_parameter_as_an_argument(self) -> None:
        def make() -> World:
            layer = L.Linear(2, in_size=3, rng=0)

            def step(w: Any, x: Any) -> Any:
                y = layer(x) + w.sum()
                layer.W.data += 1
                return y, w * 2

            return World(lambda x: step(layer.W.data, x), layer, inner=step)

        eager, recorded = make(), make()
        recorded.inner_step = None
        step = exactly(recorded.inner)
        layers = eager.parts[0], recorded.parts[0]
        for (x,) in numbers(4, (4, 3)):
            a, b = eager.inner(layers[0].W.data, x), step(layers[1].W.data, x)
            assert_same(frozen(b), frozen(a), "result")
            assert_same(recorded.state(), eager.state(), "state")


class TestEdits:
    @pytest.mark.parametrize("how", ["iadd", "setitem", "slice", "out", "copyto", "fill", "sort", "mask", "at", "view"])
    def test_arguments_that_the_step_edits(self, how: str) -> None:
        def step(x: Any, y: Any) -> Any:
            z = x * 2
            if how == "iadd":
                x += y
            elif how == "setitem":
                x[0] = y[0]
            elif how == "slice":
                x[:, 1:] *= y[:, 1:]
            elif how == "out":
                np.add(x, y, out=x)
            elif how == "copyto":
                np.copyto(x, y)
            elif how == "fill":
                x.fill(3.0)
            elif how == "sort":
                x.sort(axis=0)
            elif how == "mask":
                x[y > 0] = 0.0
            elif how == "at":
                np.add.at(x, np.array([0, 0, 1]), 1.0)
            else:
                v = x[1:]
                v -= 5
            return z, x + 1, x

        compared(function(step), numbers(5, (3, 4), (3, 4), dtype=float))

    def test_edit_that_changes_nothing_at_first(self) -> None:
        def step(x: Any, y: Any) -> Any:
            z = x[:]
            x *= y
            return z + 1, x

        ones = np.ones((3, 4))
        compared(function(step), [(ROWS, ones), (ROWS, ones), (ROWS, ones * 2), (ROWS, ones * 3)])

        def masked(x: Any, mask: Any) -> Any:
            z = x[1:]
            x[mask] = 7.0
            np.copyto(x, -1.0, where=~mask)
            return z * 2

        calls = [(ROWS, np.full((3, 4), flag)) for flag in (False, False, True, False, True)]
        compared(function(masked), calls)

    def test_results_that_are_inputs_or_views(self) -> None:
        def step(x: Any) -> Any:
            y = x * 2
            return x, x[1:], x.T, y, y[0], y.reshape(-1), [y]

        step_ = exactly(step)
        for i in range(5):
            x = ROWS + i
            a, b, c, y, row, flat, (again,) = step_(x)
            assert a is x
            assert b.base is x
            assert c.base is x
            assert np.shares_memory(row, y)
            assert np.shares_memory(flat, y)
            assert again is y

    def test_results_that_the_caller_edits(self) -> None:
        def make() -> World:
            model = L.Sequential(L.Linear(4, in_size=4, rng=0), L.BatchNorm(), L.Dropout(0.2, rng=3))
            optimizer = SGD(lr=0.1, momentum=0.9) if False else SGD(lr=0.1)
            optimizer.setup(model)

            def step(x: Any) -> Any:
                y = model(x)
                loss = (y * y).mean()
                model.cleargrads()
                loss.backward()
                gradient = model[0].W.grad
                optimizer.update()
                return y, loss, gradient.data * 1.0, model[1].avg_mean * 1.0

            return World(step, model, optimizer, model=model)

        eager, recorded = make(), make()
        recorded.step = exactly(recorded.step)
        for (x,) in numbers(6, (5, 4)):
            results = []
            for world in (eager, recorded):
                y, loss, gradient, mean = world.step(x)
                results.append(frozen((y, loss, gradient, mean)))
                y.data[...] = np.nan
                loss.data[...] = np.nan
                gradient += 100
                mean += 100
            assert_same(results[1], results[0], "results")
            assert_same(recorded.state(), eager.state(), "state")

    def test_results_of_earlier_calls_stay(self) -> None:
        step = exactly(lambda x: (x * 2, F.exp(x), F.matmul(x, x.T)))
        calls = numbers(6, (3, 4))
        kept = [step(x) for (x,) in calls]
        for (x,), results in zip(calls, kept):
            assert_same(list(results), [x * 2, F.exp(x), F.matmul(x, x.T)], "earlier results")

    def test_gradients_of_earlier_calls_stay(self) -> None:
        layer = L.Linear(2, in_size=4, rng=0)

        @exactly
        def step(x: Any) -> None:
            layer.cleargrads()
            layer(x).sum().backward()

        kept = []
        for (x,) in numbers(5, (3, 4)):
            step(x)
            kept.append((x.sum(axis=0), layer.W.grad.data, layer.W.grad.data.copy()))
        for total, gradient, copy in kept:
            assert (gradient == copy).all()
            assert np.allclose(gradient[:, 0], total, atol=1e-5)

    def test_inputs_that_the_caller_edits_afterwards(self) -> None:
        step = exactly(lambda x: (x + 1, F.exp(x)))
        x = np.zeros((2, 2))
        kept = []
        for i in range(5):
            x[...] = i
            kept.append(step(x))
        for i, (y, z) in enumerate(kept):
            assert (y == i + 1).all()
            assert (z == np.exp(np.float64(i))).all()


def small_model() -> World:
    model = L.Sequential(
        L.Linear(4, in_size=3, rng=0), L.BatchNorm(), L.Dropout(0.2, rng=1), L.Linear(2, in_size=4, rng=2)
    )
    optimizer = SGD(lr=0.1).setup(model)

    def step(x: Any, t: Any) -> Any:
        loss = F.mean_squared_error(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    return World(step, model, optimizer, model=model)


class TestVersions:
    def test_last_batch_of_another_size(self) -> None:
        sizes = [8, 8, 5] * 3
        calls = [numbers(1, (n, 3), (n, 2), seed=i)[0] for i, n in enumerate(sizes)]
        compared(small_model, calls, programs=2)

    def test_more_shapes_than_programs(self) -> None:
        step = exactly(lambda x: F.exp(x) * 2)

        def call() -> None:
            for n in [*range(1, 13)] * 3:
                x = np.arange(float(n))
                assert (step(x) == np.exp(x) * 2).all()

        with pytest.warns(match="keeps 8 programs") as caught:
            call()
        messages = [str(w.message) for w in caught if "keeps 8 programs" in str(w.message)]
        assert len(messages) == 1
        assert "float64[" in messages[0]
        assert "arguments" in messages[0]

    def test_warning_names_the_attribute_that_changes(self) -> None:
        layer = L.Dropout(0.1, rng=0)
        step = exactly(lambda x: layer(x))

        def call() -> None:
            for i in range(20):
                layer.dropout_ratio = 0.01 * (i + 1)
                step(np.ones(3))
                step(np.ones(3))

        with pytest.warns(match=r"dropout\.dropout_ratio"):
            call()

    def test_train_and_test_mode_and_gradients_and_kernels(self) -> None:
        def make() -> World:
            model = small_model().model
            return World(lambda x: model(x), model)

        eager, recorded = make(), make()
        recorded.step = exactly(recorded.step)
        options: list[dict[str, bool]] = [
            {"train": train, "enable_backprop": backprop, "native": native}
            for train in (True, False)
            for backprop in (True, False)
            for native in (True, False)
        ]
        for i, (x,) in enumerate(numbers(40, (4, 3))):
            results = []
            for world in (eager, recorded):
                chosen = options[i % 8]
                with (
                    using_config("train", chosen["train"]),
                    using_config("enable_backprop", chosen["enable_backprop"]),
                    using_config("native", chosen["native"]),
                ):
                    results.append(world.call((x,), {}))
            assert_same(results[1], results[0], f"call {i}")
            assert_same(recorded.state(), eager.state(), f"call {i}")
        assert len(recorded.step.versions) == 8

    def test_mode_that_changes_inside_the_step(self) -> None:
        def make() -> World:
            model = small_model().model

            def step(x: Any) -> Any:
                with no_grad(), using_config("train", False):
                    y = model(x)
                return model(x) - y

            return World(step, model)

        compared(make, numbers(5, (4, 3)))

    def test_inference_of_a_layer(self) -> None:
        model = small_model().model
        for x, t in numbers(2, (4, 3), (4, 2)):
            F.mean_squared_error(model(x), t)
        recorded = exactly(model)
        before = frozen(model)
        for (x,) in numbers(5, (4, 3)):
            y = recorded(x)
            with no_grad(), using_config("train", False):
                assert_same(frozen(y), frozen(model(x)), "result")
        assert_same(frozen(model), before, "state")
        assert len(recorded.versions) == 1

    def test_debug_mode_runs_the_step(self) -> None:
        calls = []
        step = exactly(lambda x: calls.append(1) or x * 2)
        with using_config("debug", True):
            for _ in range(4):
                step(np.ones(2))
        assert len(calls) == 4

    def test_errstate_of_the_step(self) -> None:
        def step(x: Any) -> Any:
            with np.errstate(divide="ignore", invalid="ignore"):
                return 1 / x

        recorded = exactly(step)
        for x in (np.ones(2), np.ones(2), np.zeros(2)):
            assert (recorded(x) == step(x)).all()

    def test_errstate_around_the_call(self) -> None:
        recorded = exactly(lambda x: 1 / x)
        for _ in range(3):
            recorded(np.ones(2))
        with pytest.raises(FloatingPointError), np.errstate(divide="raise"):
            recorded(np.zeros(2))
        with np.errstate(divide="ignore"):
            assert np.isinf(recorded(np.zeros(2))).all()
