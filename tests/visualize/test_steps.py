from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
from passus import Function, Parameter, Variable, using_config
from passus.core.backward import all_gradients
from passus.display import numbers
from passus.errors import ArgumentError, DTypeError, GraphError
from passus.layers import Linear, Sequential
from passus.visualize import steps


def test_the_table_holds_both_passes() -> None:
    x, w = Variable(np.array([1.0, 2.0]), name="x"), Variable(np.array(3.0), name="w")
    table = steps(F.sum(x * w))
    assert [step.name for step in table] == ["x", "w", "v1", "v2"]
    assert [step.call for step in table] == ["", "", "Mul(x, w)", "Sum(v1)"]
    np.testing.assert_array_equal(table[2].data, [3.0, 6.0])
    np.testing.assert_array_equal(table[0].gradient, [3.0, 3.0])
    np.testing.assert_array_equal(table[1].gradient, 3.0)
    assert (x.grad, w.grad) == (None, None)
    assert len(table) == 4


def test_gradients_agree_with_backward() -> None:
    x = Variable(np.random.default_rng(0).normal(size=(3, 2)))
    y = F.sum(F.tanh(x @ x.T) * 2.0)
    y.backward(retain_grad=True)
    function: Any = y.creator
    middle = function.input
    found = all_gradients(y)
    np.testing.assert_array_equal(found[x], x.grad.data)  # type: ignore[union-attr]
    np.testing.assert_array_equal(found[middle], middle.grad.data)


def test_parameters_have_their_paths() -> None:
    layer, x = Linear(2, rng=0), np.ones((1, 3), np.float32)
    assert [step.name for step in steps(layer(x), layer)] == ["input", "W", "b", "v1"]


class Between(Function):
    def forward(self, x: Any, low: float, high: float) -> Any:
        return np.clip(x, low, high)


def test_the_path_of_a_layer_is_written_once_in_a_call() -> None:
    model = Sequential(Linear(2, rng=0), Linear(1, rng=0))
    assert [step.call for step in steps(model(np.ones((1, 3), np.float32)), model) if step.call] == [
        "Linear(input, l0.W, .b)",
        "Linear(v1, l1.W, .b)",
    ]
    assert (
        steps(Between()(Variable(np.array(0.3), name="x"), 0.5, 0.25), gradients=False)[1].call
        == "Between(x, 0.5, 0.25)"
    )


def test_a_table_is_no_wider_than_its_longest_cells_allow() -> None:
    rows = np.random.default_rng(0).normal(size=(2, 4)) * [1e-8, 1.0, 1e8, 1.0]
    table = steps(Variable(rows, name="x" * 40 + "middle" + "y" * 40) * np.ones((2, 4)))
    assert max(len(line) for line in repr(table).splitlines()) < 180
    first = repr(table).splitlines()[2]
    assert "x...y" in first
    assert "min -0.1321, mean 2.431e+07, max 1.304e+08" in first
    assert "middle" in table._repr_html_(), "a notebook scrolls"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1.0, np.nan, np.inf, -1e-30], "[1 nan inf -1e-30]"),
        (np.full(20, np.nan), "20 not finite"),
        (np.full(20, 1e300), "all 1e+300"),
        ([*range(9), np.inf], "min 0, mean 4, max 8, 1 not finite"),
        (np.full(20, 60000, np.float16), "all 6e+04"),
        (np.zeros((0, 3)), "[]"),
        (np.ones((2, 1, 2), np.float32), "[[[1 1]] [[1 1]]]"),
        (np.arange(10) > 3, "6 of 10 are True"),
        (np.array(["text"] * 9), ""),
    ],
)
def test_numbers_of_any_array(values: Any, shown: str) -> None:
    assert " ".join(numbers(np.asarray(values)).split()) == shown


def test_rows_of_matrices_are_on_lines_without_empty_ones() -> None:
    assert numbers(np.arange(4).reshape(2, 1, 2)) == "[[[0 1]]\n [[2 3]]]"


def test_second_derivatives_have_steps() -> None:
    x = Variable(np.array(2.0), name="x")
    (x**3).backward(create_graph=True)
    gx: Any = x.grad
    table = steps(gx)
    assert table[0].cells == ("x", "float64[]", "2", "12")
    assert [step.cells[2:] for step in table][-1] == ("12", "1")


def test_equal_names_are_made_distinct() -> None:
    a, b = Variable(np.array(1.0), name="x"), Variable(np.array(2.0), name="x")
    assert [step.name for step in steps(a * b)] == ["x", "x 2", "v1"]


def test_outputs_of_one_function_are_numbered() -> None:
    x = Variable(np.arange(4.0), name="x")
    a, b = F.split(x, 2)
    calls = [step.call for step in steps(b * a)]
    assert len({call for call in calls if call.endswith(("[0]", "[1]"))}) == 2


def test_a_variable_without_a_graph() -> None:
    x = Variable(np.array(True), name="mask")
    with pytest.raises(GraphError):
        steps(x)
    assert [step.cells for step in steps(x, gradients=False)] == [("mask", "bool[]", "True", "")]


def test_long_computations_show_their_ends() -> None:
    y: Any = Variable(np.array(1.0), name="x")
    for _ in range(100):
        y = -y
    lines = repr(steps(y, limit=10)).splitlines()
    assert len(lines) == 2 + 10 + 1
    assert lines[7] == "... 91 more steps ..."
    assert lines[2].startswith("x ")
    assert lines[-1].startswith("v100 = Neg(v99)")


def test_html_is_escaped() -> None:
    html = steps(Variable(np.array(1.0), name="<script>") * 2.0)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "Mul" in html


def test_bad_input() -> None:
    with pytest.raises(DTypeError, match="steps: an ndarray is not a Variable"):
        steps(np.ones(2))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="limit"):
        steps(Variable(np.ones(2)), limit=0)


def test_it_is_exported() -> None:
    assert passus.steps is steps


def test_functions_print_their_operands() -> None:
    x = Variable(np.ones(3), name="x")
    y: Any = F.exp(x)
    assert repr(y.creator) == "Exp(x: float64[3])"
    assert repr((y * np.ones((2, 3), np.float32)).creator) == "Mul(float64[3], float32[2, 3])"
    assert repr((y + 2.0).creator) == "Add(float64[3], 2.0)"
    assert repr(type(y.creator)()) == "Exp()"
    x.data = None
    assert repr(y.creator) == "Exp(x: no data)"


def test_details_of_a_variable_are_an_option() -> None:
    x, p = Variable(np.array([1.0, 2.0]), name="x"), Parameter(None, name="W")
    frozen = Variable(np.ones(2, np.float32)).detach()
    assert repr(x) == "variable([1. 2.])"
    with using_config("details", True):
        assert repr(x) == "variable([1. 2.], name='x', dtype=float64, requires_grad=True)"
        assert repr(frozen) == "variable([1. 1.], dtype=float32, requires_grad=False)"
        assert repr(p) == "variable(None, name='W', dtype=None, requires_grad=True)"


def test_inputs_are_listed_in_the_order_of_their_use() -> None:
    a, b = Variable(np.array(2.0), name="a"), Variable(np.array(3.0), name="b")
    rows = str(passus.steps(a * b + b)).splitlines()[2:4]
    assert [row.split()[0] for row in rows] == ["a", "b"]
