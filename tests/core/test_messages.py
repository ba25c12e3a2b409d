"""Errors of the engine: their messages, and that they leave everything unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from passus import Config, Function, Parameter, Variable, no_grad
from passus.core import add, sum_to
from passus.errors import ArgumentError, DTypeError, GraphError, LabelError, ShapeError
from passus.functions import square
from tests.core.graphs import leaf


def test_backward_without_a_graph_explains_the_cause():
    x = leaf(1.0)
    with no_grad():
        y = square(x)
    with pytest.raises(GraphError, match="no_grad"):
        y.backward()
    with pytest.raises(GraphError, match=r"bool, through which no gradient flows; .*np\.array"):
        Variable(np.array(True)).backward()
    with pytest.raises(GraphError, match=r"int64 .* through which no gradient flows"):
        (x.astype(np.int64) * 2).backward()
    with pytest.raises(GraphError, match="holds no data"):
        Parameter(None).backward()
    square(x).backward()
    with pytest.raises(GraphError, match=r"create_graph=True"):
        x.grad.backward()


def test_seed_of_another_shape_raises():
    y = square(leaf(1.0, 2.0))
    with pytest.raises(ShapeError, match=r"shape \(3,\) does not fit data of shape \(2,\)"):
        y.grad = np.ones(3)
    with pytest.raises(DTypeError, match="gradient of int64"):
        y.grad = np.ones(2, int)
    with pytest.raises(DTypeError, match="not supported"):
        y.grad = 1.0
    assert y.grad is None


def test_a_failing_rule_changes_nothing_and_is_named():
    class Broken(Function):
        def forward(self, x):
            return x * 1.0

        def backward(self, gy):
            raise ZeroDivisionError("oops")

    a, x = leaf(1.0), leaf(1.0)
    y = add(square(a), Broken()(x))
    with pytest.raises(ZeroDivisionError) as caught:
        y.backward(retain_grad=True)
    assert "in the backward pass of broken" in "".join(caught.value.__notes__)
    assert (a.grad, x.grad, y.grad) == (None, None, None)
    assert Config.enable_backprop


@pytest.mark.parametrize(
    ("returned", "error", "match"),
    [
        (lambda gy: (gy, gy), GraphError, "returned 2 gradients for 1 inputs"),
        (lambda gy: 1.0, ShapeError, r"gradient of shape \(\) for an input of shape \(2,\)"),
        (lambda gy: np.ones(5), ShapeError, r"gradient of shape \(5,\) for an input of shape \(2,\)"),
        (lambda gy: "no", DTypeError, "returned a str"),
    ],
)
def test_invalid_results_of_a_rule_raise(returned: Any, error: type[Exception], match: str):
    class Odd(Function):
        def forward(self, x):
            return x * 1.0

        def backward(self, gy):
            return returned(gy)

    x = leaf(1.0, 2.0)
    with pytest.raises(error, match=match):
        Odd()(x).backward()
    assert x.grad is None


def test_shapes_and_dtypes_that_do_not_fit_are_named():
    with pytest.raises(ShapeError, match=r"add\(float64\[3\], float64\[4\]\)"):
        add(Variable(np.ones(3)), np.ones(4))
    with pytest.raises(ShapeError, match=r"sum_to: \(3,\) is not what broadcasting \(4,\) can give"):
        sum_to(Variable(np.ones(3)), (4,))
    with pytest.raises(DTypeError, match="add: str is not supported"):
        add(Variable(np.ones(3)), "a")
    with pytest.raises(DTypeError, match="array of <U1 is not supported"):
        add(Variable(np.ones(3)), np.array(["a"]))
    with pytest.raises(DTypeError, match="array of object is not supported"):
        Variable(np.array([1, None]))
    with pytest.raises(DTypeError, match="array of complex128 is not supported"):
        Variable(np.array([1j]))
    with pytest.raises(DTypeError, match="input 0 holds no data yet"):
        add(Parameter(None), 1.0)
    with pytest.raises(DTypeError, match="masked"):
        Variable(np.ma.masked_array([1.0], [True]))


@pytest.mark.parametrize("seed", [np.ones(2), np.array(1.0), Variable(np.ones(2)), [1.0, 1.0], 1.0])
def test_positional_gradient_for_backward_raises(seed):
    x = leaf(1.0, 2.0)
    y = square(x)
    with pytest.raises(DTypeError, match=r"does not take a gradient.*y\.grad = gy"):
        y.backward(seed)
    assert x.grad is None


def axes_unpacked(x: Any) -> Any:
    N, C = x.shape
    return x.reshape(C, N)


@pytest.mark.parametrize(
    ("fails", "error"),
    [
        (lambda x: x + np.ones(3), ShapeError),
        (lambda x: np.sum(x, axis=1), ShapeError),
        (lambda x: np.concatenate([]), ShapeError),
        (lambda x: x.reshape(3), ShapeError),
        (axes_unpacked, ShapeError),
        (lambda x: x if x else -x, ArgumentError),
        (lambda x: x.__iadd__(1), ArgumentError),
        (lambda x: float("a"), ArgumentError),
        (lambda x: 2.0**2000, ArgumentError),
        (lambda x: np.linalg.inv(np.zeros((2, 2))), ArgumentError),
        (lambda x: x[5], LabelError),
        (lambda x: x.nothing, DTypeError),
        (lambda x: x + "a", DTypeError),
    ],
)
def test_errors_in_forward_have_the_class_of_their_cause(fails: Any, error: type[Exception]):
    class Failing(Function):
        def forward(self, x):
            return fails(x)

    with pytest.raises(error, match=r"failing\(float64\[2\]\)"):
        Failing()(leaf(1.0, 2.0))
