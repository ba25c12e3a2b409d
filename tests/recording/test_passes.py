"""Passes over programs: operations that an earlier one has computed are dropped, and no results change."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
from passus import Variable
from passus.core.backward import gradients
from passus.layers import Linear, Sequential
from passus.optimizers import SGD, ClipGrad
from passus.random import get_rng
from passus.recompute import checkpoint
from passus.recording.compiled import record
from passus.recording.machine import Machine
from passus.recording.passes.common_subexpressions import without_common_subexpressions
from passus.recording.program import Instruction, Program, Value
from tests.recording.comparing import World, compared, exactly, numbers
from tests.recording.test_memory import MIB, peak

Step = Callable[..., Any]

LARGE = np.ones((2, 300))


def twice(f: Callable[[], Any]) -> Any:
    return f() + f() * 3


def edited(x: Any) -> Any:
    x += 1
    return x


def program(world: World) -> Program:
    step: Any = world.step
    found: Program = step.program
    return found


def labels(step: Step, *arrays: Any) -> list[str]:
    return [i.label for i in record(step, [x.copy() for x in arrays]).instructions]


def edited_once(x: Any) -> Any:
    y = x * 1
    a = np.exp(y)
    y += 1
    return a + np.exp(y) * np.exp(y)


def before_and_after_an_edit_of_another(x: Any) -> Any:
    y = x * 1
    a = np.exp(x)
    y[0] = x[1]
    return a + np.exp(x) + y


def before_and_after_an_edit_of_a_product(x: Any) -> Any:
    y = np.dot(x, x.T)
    a = np.exp(x)
    y += 1
    return a + np.exp(x), y


def before_and_after_a_condition(x: Any) -> Any:
    a = np.exp(x)
    return x if (x < -100).any() else a * np.exp(x)


MERGED: dict[str, tuple[Step, int]] = {
    "function": (lambda x: twice(lambda: np.exp(x)), 3),
    "operator": (lambda x: twice(lambda: x @ x.T), 4),
    "method": (lambda x: twice(lambda: x.sum(axis=1, keepdims=True)), 3),
    "view": (lambda x: twice(lambda: x.T), 3),
    "slice": (lambda x: twice(lambda: x[:, ::2]), 3),
    "several results": (lambda x: twice(lambda: operator.add(*np.modf(x))), 4),
    "list of arrays": (lambda x: twice(lambda: np.concatenate([x, x])), 3),
    "chain": (lambda x: twice(lambda: np.tanh(np.exp(x).T * 0.5)), 6),
    "three times": (lambda x: np.exp(x) + np.exp(x) * np.exp(x), 3),
    "small array": (lambda x: twice(lambda: x * np.array([[2.0], [3.0]])), 3),
    "the same large array": (lambda x: twice(lambda: np.resize(x, (2, 300)) * LARGE), 4),
    "number of NumPy": (lambda x: twice(lambda: np.multiply(x, np.float32(0.1))), 3),
    "NaN": (lambda x: twice(lambda: np.fmax(x, float("nan"))), 3),
    "dtype": (lambda x: twice(lambda: x.astype(np.float32)), 3),
    "one result leaves": (lambda x: (np.exp(x), np.exp(x) * 2), 2),
    "edited afterwards": (lambda x: (twice(lambda: np.exp(x)), edited(x)), 4),
    "edited before": (lambda x: (edited(x), twice(lambda: np.exp(x))), 4),
    "edited once": (edited_once, 6),
    "edit of another": (before_and_after_an_edit_of_another, 6),
    "edit of a product": (before_and_after_an_edit_of_a_product, 5),
    "before and after a condition": (before_and_after_a_condition, 5),
    "view of an array that is edited afterwards": (lambda x: (twice(lambda: x.T), edited(x)), 4),
}


@pytest.mark.parametrize("name", MERGED)
def test_operations_are_computed_once(name: str) -> None:
    step, count = MERGED[name]
    recorded = compared(lambda: World(step), numbers(4, (2, 4), dtype=float))
    assert len(program(recorded)) == count


def edited_in_between(x: Any) -> Any:
    y = x * 1
    a = np.exp(y)
    y += 1
    return a + np.exp(y)


def edited_through_a_view(x: Any) -> Any:
    y = x * 1
    a = np.exp(y)
    y.T[1:] *= 2
    return a + np.exp(y)


def edited_through_a_view_twice(x: Any) -> Any:
    y = x * 1
    view = y.T
    np.add(view, 1, out=view)
    a = np.exp(y)
    np.add(view, 1, out=view)
    return a + np.exp(y)


def view_of_what_is_edited(x: Any) -> Any:
    y = x * 1
    view = y.T
    a = np.exp(view)
    y += 1
    return a + np.exp(view)


def result_is_edited(x: Any) -> Any:
    a, b = np.exp(x), np.exp(x)
    b += 1
    return a - b


def earlier_result_is_edited(x: Any) -> Any:
    a, b = np.exp(x), np.exp(x)
    a *= 2
    return a - b


def view_of_a_result_is_edited(x: Any) -> Any:
    a, b = np.exp(x), np.exp(x)
    b.T[0] = 0
    return a - b


def with_another_errstate(x: Any) -> Any:
    a = np.exp(x)
    with np.errstate(over="ignore"):
        return a + np.exp(x)


def drawn(x: Any) -> Any:
    return x + get_rng().random(size=4) * get_rng().random(size=4)


def checked_twice(x: Any) -> Any:
    for _ in range(2):
        if (x < -100).any():
            raise ValueError
    return x * 2


def one_condition_twice(x: Any) -> Any:
    condition = (x < -100).any()
    for _ in range(2):
        if condition:
            raise ValueError
    return x * 2


KEPT: dict[str, tuple[Step, str]] = {
    "0.0 and -0.0": (lambda x: np.copysign(x, 0.0) + np.copysign(x, -0.0), "copysign"),
    "1 and 1.0": (lambda x: x.astype(int) * 1 + x.astype(int) * 1.0, "*"),
    "1 and True": (lambda x: (x > 0) * 1 + (x > 0) * True, "*"),
    "NaNs": (
        lambda x: (
            np.copysign(x, np.uint64(0x7FF8 << 48).view(float).item())
            + np.copysign(x, np.uint64(0xFFF8 << 48).view(float).item())
        ),
        "copysign",
    ),
    "numbers of NumPy": (lambda x: x * np.float32(2) + x * np.float64(2), "*"),
    "bits of numbers of NumPy": (
        lambda x: np.copysign(x, np.float32(0.0)) + np.copysign(x, np.float32(-0.0)),
        "copysign",
    ),
    "dtypes": (lambda x: x.astype(np.float32) + x.astype(np.float16), "astype"),
    "types": (lambda x: x.astype(int) + x.astype(float), "astype"),
    "strings": (lambda x: np.sort(x, kind="stable") + np.sort(x, kind="heapsort"), "sort"),
    "None": (lambda x: x.sum(axis=None) + x.sum(axis=1), "sum"),
    "options": (lambda x: x.sum(keepdims=True) + x.sum(keepdims=False), "sum"),
    "names of options": (lambda x: x.clip(min=0.5) + x.clip(max=0.5), "clip"),
    "methods": (lambda x: x.min() + x.max(), "min"),
    "slices": (lambda x: x[:, 1:] + x[:, :-1], "getitem"),
    "list and tuple": (lambda x: x[[0, 1]] + x[(0, 1)], "getitem"),
    "elements of arrays": (lambda x: x * np.array([1.0, 2.0, 3.0, 4.0]) + x * np.array([1.0, 2.0, 3.0, 5.0]), "*"),
    "dtypes of arrays": (lambda x: x.astype(int) * np.zeros(4, int) + x.astype(int) * np.zeros(4), "*"),
    "shapes of arrays": (lambda x: x * np.ones(4) + x * np.ones((1, 4)), "*"),
    "orders of arrays": (lambda x: x * np.ones((2, 4)) + x * np.ones((2, 4), order="F"), "*"),
    "equal large arrays": (lambda x: np.resize(x, (2, 300)) * LARGE + np.resize(x, (2, 300)) * LARGE.copy(), "*"),
    "errstates": (with_another_errstate, "exp"),
    "random numbers": (drawn, "rng.random"),
    "functions as arguments": (lambda x: twice(lambda: np.apply_along_axis(np.cumsum, 1, x)), "apply_along_axis"),
    "edited argument": (edited_in_between, "exp"),
    "argument edited through a view": (edited_through_a_view, "exp"),
    "argument edited through a view twice": (edited_through_a_view_twice, "exp"),
    "view of an edited argument": (view_of_what_is_edited, "exp"),
    "edited result": (result_is_edited, "exp"),
    "edited earlier result": (earlier_result_is_edited, "exp"),
    "result edited through a view": (view_of_a_result_is_edited, "exp"),
    "two outputs": (lambda x: (np.exp(x), np.exp(x)), "exp"),
    "output and a view of another": (lambda x: (np.exp(x), np.exp(x).T), "exp"),
    "two outputs that are views": (lambda x: (x.T, x.T), "T"),
    "conditions": (checked_twice, "expect"),
    "one condition": (one_condition_twice, "expect"),
    "numbers of conditions": (checked_twice, "any"),
}


@pytest.mark.parametrize("name", KEPT)
def test_operations_are_not_the_same(name: str) -> None:
    step, label = KEPT[name]
    recorded = compared(lambda: World(step), numbers(4, (2, 4), dtype=float))
    found = [i.label for i in program(recorded).instructions]
    found = ["getitem" if v.startswith("getitem") else v for v in found]
    assert found.count(label) == (1 if name == "methods" else 2)


def test_arguments_may_be_one_array() -> None:
    """An edit of one is an edit of the other."""

    def step(x: Any, y: Any) -> Any:
        np.add(x, 1, out=x)
        a = np.exp(y)
        np.add(x, 1, out=x)
        return a + np.exp(y)

    compiled = exactly(step)
    for _ in range(3):
        x, same = np.ones(3), np.ones(3)
        np.testing.assert_array_equal(compiled(x, x), step(same, same))


def test_an_argument_may_be_a_constant() -> None:
    constant = np.ones(3)

    def step(x: Any, y: Any) -> Any:
        new = y + y
        a = new * constant
        x += 1
        return a - new * constant

    compiled = exactly(step)
    for _ in range(3):
        expected, constant[:] = -2, 1
        np.testing.assert_array_equal(compiled(constant, np.ones(3)), expected)


def program_of(*calls: tuple[Any, Any, Any], dtype: Any = float) -> Program:
    """Calls of functions with a number of an argument, and that of the result, or None; their results are added."""
    values = [Value(i, (2,), np.dtype(dtype)) for i in range(6)]
    instructions = [
        Instruction(function, (values[i],), {}, None if result is None else values[result])
        for function, i, result in calls
    ]
    total = Instruction(np.add, tuple([i.result for i in instructions if i.result][-2:]), {}, values[5])
    return Program([values[0]], [*instructions, total], [values[5]])


class Unhashable:
    """A function that is equal to all others."""

    def __call__(self, x: Any) -> Any:
        return x + 1

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


PROGRAMS: dict[str, tuple[Program, int]] = {
    "twice": (program_of((np.sin, 0, 1), (np.sin, 0, 2)), 1),
    "functions of objects": (program_of((np.sin, 0, 1), (np.sin, 0, 2), dtype=object), 0),
    "functions without a hash": (program_of((Unhashable(), 0, 1), (Unhashable(), 0, 2)), 0),
    "a function that returns something": (
        program_of((np.exp, 0, 1), (np.sin, 1, 2), (np.cos, 1, 3), (np.sin, 1, 4)),
        1,
    ),
    "a function that may edit": (program_of((np.exp, 0, 1), (np.sin, 1, 2), (print, 1, None), (np.sin, 1, 4)), 0),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str) -> None:
    whole, fewer = PROGRAMS[name]
    assert len(without_common_subexpressions(whole)) == len(whole) - fewer


def test_results_of_one_call_may_be_views_of_each_other() -> None:
    x, a, b, c, d, e = (Value(i, (2,), np.dtype(float)) for i in range(6))
    instructions = [
        Instruction(np.split, (x,), {}, [a, b]),
        Instruction(np.sin, (a,), {}, c),
        Instruction(operator.iadd, (b, 1), {}, b, writes=(b,)),
        Instruction(np.sin, (a,), {}, d),
        Instruction(np.add, (c, d), {}, e),
    ]
    assert len(without_common_subexpressions(Program([x], instructions, [e]))) == 5


def test_the_caller_may_edit_one_of_two_outputs() -> None:
    step = exactly(lambda x: (np.exp(x), np.exp(x), np.exp(x)[1:]))
    x = np.ones(3)
    for _ in range(3):
        a, b, c = step(x)
        for array in (a, b, c):
            array += 1
        np.testing.assert_array_equal(b, np.exp(x) + 1)


def first_order(x: Any) -> Any:
    v = Variable(x)
    loss = (F.tanh(v) * F.tanh(v)).sum()
    loss.backward()
    return loss, v.grad


def second_order(x: Any) -> Any:
    v = Variable(x)
    gx = gradients((F.sin(v) * v).sum(), v, create_graph=True)
    return gx, gradients((gx * gx).sum(), v)


@pytest.mark.parametrize(("step", "fewer"), [(first_order, 6), (second_order, 3)])
def test_training_steps_get_shorter(step: Step, fewer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = compared(lambda: World(step), numbers(4, (3, 2), dtype=float))
    monkeypatch.setattr("passus.recording.passes.without_common_subexpressions", lambda program: program)
    assert len(program(recorded)) == len(record(step, numbers(1, (3, 2), dtype=float)[0])) - fewer


def test_updates_are_in_between() -> None:
    """An optimizer edits the array of a parameter, and hooks edit that of its gradient."""

    def make() -> World:
        model = Sequential(Linear(2, in_size=3, rng=0))
        optimizer = SGD(lr=0.1).setup(model)
        optimizer.add_hook(ClipGrad(0.1))

        def step(x: Any) -> Any:
            W = model[0].W
            before, data = W.data * 2, W.data
            g, same = np.exp(x), np.exp(x)
            model.cleargrads()
            W.grad = Variable(g)
            optimizer.update()
            return before + data * 2 + same, W.data * 2

        return World(step, model, optimizer)

    compared(make, numbers(4, (3, 2)))


def test_gradients_are_read_again_after_updates() -> None:
    def make() -> World:
        model = Sequential(Linear(2, in_size=3, rng=0))
        optimizer = SGD(lr=0.1).setup(model)

        def step(x: Any) -> Any:
            g = np.exp(x)
            model.cleargrads()
            model[0].W.grad = Variable(g)
            optimizer.update()
            optimizer.update()
            before = np.sin(g)
            model[0].W.grad.data *= 2
            return before - np.sin(g)

        return World(step, model, optimizer)

    recorded = compared(make, numbers(4, (3, 2)))
    assert [i.label for i in program(recorded).instructions].count("sin") == 2


def test_hooks_may_keep_what_they_get() -> None:
    def make() -> World:
        model, seen = Sequential(Linear(2, in_size=3, rng=0)), list[Any]()
        model[0].add_forward_hook(lambda layer, inputs, y: seen.append(inputs[0].data))

        def step(x: Any) -> Any:
            y = model(Variable(np.exp(x)))
            return y, Variable(np.exp(x)) * 2

        return World(step, seen, model)

    recorded = compared(make, numbers(4, (4, 3)))
    assert [i.label for i in program(recorded).instructions].count("exp") == 2


def test_gradients_and_state_have_arrays_of_their_own() -> None:
    def make() -> World:
        v, w, layer = Variable(np.zeros((3, 2))), Variable(np.zeros((3, 2))), Linear(2, in_size=3, rng=0)
        layer.seen = np.zeros((3, 2))

        def step(x: Any) -> Any:
            v.grad, w.grad = Variable(np.exp(x)), Variable(np.exp(x))
            v.data, layer.seen = np.exp(x), np.exp(x)
            return np.exp(x) * 2

        return World(step, v, w, layer)

    recorded = compared(make, numbers(4, (3, 2), dtype=float))
    v, w, layer = recorded.parts
    arrays = [v.grad.data, w.grad.data, v.data, layer.seen]
    assert len({id(x) for x in arrays}) == 4
    assert len(program(recorded)) == 5


def test_labels_that_are_checked_twice_stay_on_the_machine() -> None:
    pytest.importorskip("numba")
    model = Sequential(Linear(5, in_size=3, rng=0))
    optimizer = SGD(lr=0.1).setup(model)

    def step(x: Any, t: Any) -> Any:
        y = model(x)
        loss = F.softmax_cross_entropy(y, t) + F.softmax_cross_entropy(y * 2, t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    compiled = passus.compile(step)
    for x, _ in numbers(3, (4, 3), (4,)):
        compiled(x, np.array([0, 1, 2, 4]))
    assert [type(i.function) for i in compiled.versions[0].executed.instructions] == [Machine]


def sums(x: Any, *functions: Any) -> list[Any]:
    return [f(x).sum() for f in functions]


TWO, THREE = (lambda x: np.cos(x) * 2), (lambda x: np.tanh(x) * np.cosh(x))
"""Functions that need so many arrays."""


def with_large_outputs(x: Any) -> Any:
    a = sums(x, THREE, np.exp)
    b = np.cos(x), np.tan(x)
    return a, b, sums(x, np.negative, np.exp)


PEAKS: dict[str, tuple[Step, int]] = {
    "at the peak": (lambda x: sums(x, np.exp, THREE, np.exp), 2),
    "below the peak": (lambda x: sums(x, np.exp, TWO, np.exp, THREE), 1),
    "twice below the peak": (lambda x: sums(x, np.exp, TWO, np.exp, TWO, np.exp, THREE), 1),
    "two results below the peak": (lambda x: sums(x, np.exp, np.exp2, TWO, np.exp, np.exp2, THREE), 1 + 2),
    "outputs": (with_large_outputs, 2),
}


@pytest.mark.parametrize("name", PEAKS)
def test_results_are_not_kept_over_the_peak_of_the_memory(name: str) -> None:
    step, count = PEAKS[name]
    x = np.ones(MIB // 4)
    assert sum(label.startswith("exp") for label in labels(step, x)) == count
    assert sum(label.startswith("exp") for label in labels(step, x[:2])) == 1 + ("exp2" in labels(step, x[:2]))


def test_a_checkpoint_still_frees_its_results() -> None:
    def block(x: Any) -> Any:
        for _ in range(4):
            x = F.tanh(x * 1.5)
        return x

    def step(x: Any) -> Any:
        v = y = Variable(x)
        for _ in range(4):
            y = checkpoint(block, y)
        y.sum().backward()
        return v.grad

    x = np.ones(MIB)
    compiled = exactly(step)
    for _ in range(3):
        compiled(x)
    assert peak(lambda: compiled(x)) < 8 * x.nbytes  # There are sixteen results of tanh.
