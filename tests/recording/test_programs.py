"""Random programs: functions of the table, edits of arrays, slices, dropout, conditions and updates, recorded and eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import passus.functions as F
from passus.core import Parameter, Variable
from passus.random import get_rng
from passus.recording import compile
from tests.recording.comparing import World, assert_same, exactly, frozen

ROWS, COLUMNS = 3, 4

UNARY: dict[str, Callable[[Any], Any]] = {
    "relu": F.relu,
    "tanh": F.tanh,
    "sigmoid": F.sigmoid,
    "gelu": F.gelu,
    "exp": lambda x: F.exp(F.clip(x, -5, 5)),
    "abs": F.abs,
    "neg": lambda x: -x,
    "scaled": lambda x: x * 0.5,
    "shifted": lambda x: 1.0 - x,
    "squared": lambda x: x**2,
    "softmax": lambda x: F.softmax(x, axis=1),
    "log_softmax": lambda x: F.log_softmax(x, axis=1),
    "sum of rows": lambda x: x.sum(axis=0, keepdims=True) + x * 0.0,
    "mean of columns": lambda x: x - x.mean(axis=1, keepdims=True),
    "max": lambda x: x - x.max(axis=1, keepdims=True),
    "var": lambda x: x / (F.var(x, axis=0, keepdims=True) + 1.0),
    "cumsum": lambda x: F.cumsum(x, axis=1) * 0.3,
    "sort": lambda x: F.sort(x, axis=1),
    "flip": lambda x: F.flip(x, axis=1),
    "roll": lambda x: F.roll(x, 1, axis=0),
    "twice transposed": lambda x: F.transpose(F.exp(F.clip(x, -2, 2).T)),
    "reshaped": lambda x: F.reshape(F.reshape(x, (COLUMNS, ROWS)) * 2.0, (ROWS, COLUMNS)),
    "sliced": lambda x: F.concatenate([x[1:], x[:1]], axis=0),
    "strided": lambda x: F.concatenate([x[:, ::2], x[:, 1::2]], axis=1),
    "taken": lambda x: x[np.array([2, 0, 0])],
    "norm": lambda x: F.layer_norm(x, np.ones(COLUMNS, np.float32), np.zeros(COLUMNS, np.float32)),
    "where": lambda x: F.where(x.data > 0.1, x, x * 0.1),
    "dropout": lambda x: F.dropout(x, 0.4),
    "noise": lambda x: x + get_rng().normal(size=(ROWS, COLUMNS)).astype(np.float32) * 0.1,
    "detached": lambda x: x + x.detach() * 0.1,
}

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b * 0.3,
    "div": lambda a, b: a / (F.abs(b) + 1.0),
    "maximum": F.maximum,
    "matmul": lambda a, b: F.matmul(F.matmul(a, b.T), a) * 0.05,
    "stack": lambda a, b: F.stack([a, b]).mean(axis=0),
    "rows": lambda a, b: F.concatenate([a[:2], b[2:]], axis=0),
    "outer": lambda a, b: a * b.sum(axis=1, keepdims=True) * 0.2,
}


def edited(x: Any, how: str) -> Any:
    """A Variable of an array that the step makes and edits in place."""
    y = x.data * 1.0
    if how == "row":
        y[0] = y[1] + 1
    elif how == "column":
        y[:, 2] *= 0.5
    elif how == "mask":
        y[y > 0.2] = 0.2
    elif how == "view":
        view = y.T[1:]
        view -= y.mean()
    elif how == "out":
        np.add(y, 1, out=y)
    else:
        y += y[::-1].copy()
    return x + Variable(y).detach()


def chosen(x: Any, how: str) -> Any:
    """One of two branches, by the numbers."""
    total = x.data.sum()
    if how == "sum":
        return x * 2.0 if total > 0 else x - 1.0
    if how == "any":
        return F.relu(x) if (x.data > 1).any() else x
    return x if total > 1 or total < -1 else x * 3.0


EDITS, CHOICES = ("row", "column", "mask", "view", "out", "copy"), ("sum", "any", "or")

index = st.integers(0, 50)
operations = st.one_of(
    st.tuples(st.just("unary"), st.sampled_from(sorted(UNARY)), index),
    st.tuples(st.just("binary"), st.sampled_from(sorted(BINARY)), index, index),
    st.tuples(st.just("edit"), st.sampled_from(EDITS), index),
)
choices = st.tuples(st.just("choice"), st.sampled_from(CHOICES), index)
programs = st.lists(operations, min_size=1, max_size=10)
programs_with_conditions = st.lists(st.one_of(operations, choices), min_size=1, max_size=10)
endings = st.sampled_from(["values", "backward", "update", "penalty"])


def world(steps: list[tuple[Any, ...]], ending: str) -> World:
    """A step that runs a random program on two arguments and a parameter, and then trains the parameter."""
    W = Parameter(np.random.default_rng(1).normal(size=(ROWS, COLUMNS)).astype(np.float32), name="W")

    def step(x: Any, y: Any) -> Any:
        values: list[Any] = [W, Variable(x), Variable(y)]
        for kind, name, *operands in steps:
            xs = [values[-1 - i % len(values)] for i in operands]
            if kind == "unary":
                values.append(UNARY[name](*xs))
            elif kind == "binary":
                values.append(BINARY[name](*xs))
            else:
                values.append((edited if kind == "edit" else chosen)(*xs, name))
        loss = (values[-1] * W).mean()
        if ending == "values":
            return values[-1] * 1.0, loss
        W.cleargrad()
        loss.backward(create_graph=ending == "penalty")
        if ending == "penalty" and W.grad.creator is not None:
            penalty = (W.grad * W.grad).sum()
            W.cleargrad()
            penalty.backward()
        if ending == "update":
            W.data -= 0.1 * W.grad.data
        return loss, W.grad, values[1].grad

    return World(step, W)


def batches() -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(5)
    arrays = [
        (rng.normal(size=(2, ROWS, COLUMNS)) + shift).astype(np.float32) for shift in (0.0, 0.0, 0.0, -1.0, 1.0, 0.0)
    ]
    return [(x, y) for x, y in arrays]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(programs, endings)
def test_random_programs_have_the_bits_of_the_eager_step(steps: list[tuple[Any, ...]], ending: str) -> None:
    check_bits(steps, ending)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.explicit, Phase.generate])
@given(programs_with_conditions, endings)
def test_random_programs_with_conditions(steps: list[tuple[Any, ...]], ending: str) -> None:
    check_bits(steps, ending)


def check_bits(steps: list[tuple[Any, ...]], ending: str) -> None:
    eager, recorded = world(steps, ending), world(steps, ending)
    recorded.step = exactly(recorded.step)
    for i, args in enumerate(batches()):
        assert_same(recorded.call(args, {}), eager.call(args, {}), f"call {i}")
        assert_same(recorded.state(), eager.state(), f"call {i}")


def test_edit_through_a_view_on_the_machine() -> None:
    recorded = compile(lambda x: edited(F.abs(Variable(x)), "view"))
    for x, _ in batches():
        np.testing.assert_allclose(recorded(x).data, edited(F.abs(Variable(x)), "view").data, rtol=1e-5, atol=1e-6)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(programs, st.sampled_from(["values", "backward", "update"]))
def test_random_programs_on_the_machine_are_close_to_the_eager_step(steps: list[tuple[Any, ...]], ending: str) -> None:
    eager, recorded = world(steps, ending), world(steps, ending)
    recorded.step = compile(recorded.step)
    for args in batches():
        expected, result = eager.call(args, {})[0], recorded.call(args, {})[0]
        for a, b in zip(result, expected):
            if isinstance(a, tuple):
                np.testing.assert_allclose(a[1], b[1], rtol=2e-4, atol=2e-5)
        assert_same(frozen(recorded.rng), frozen(eager.rng), "generator")
        recorded.parts[0].data = eager.parts[0].data.copy()  # Differences must not add up.
