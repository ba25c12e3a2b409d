"""`gradients`: derivatives of Variables by Variables, which leave the graph and every `grad` unchanged."""

from __future__ import annotations

import numpy as np
import pytest

import passus
import passus.functions as F
from passus import Function, Variable
from passus.core.backward import gradients
from passus.errors import ArgumentError, DTypeError, GraphError, ShapeError
from tests.grad.functions import x3


class Untouchable(Function):
    """An identity whose rule must not be called."""

    def forward(self, x):
        return x + 0.0

    def backward(self, gy):
        raise AssertionError("backward of Untouchable was called")


def test_gradients_stop_at_the_given_variables():
    x = Untouchable()(Variable(x3))
    creator = x.creator
    (gx,) = gradients([x * x], [x])
    np.testing.assert_allclose(gx.data, 2 * x3)
    assert x.creator is creator


def test_gradients_of_several_results_by_intermediate_variables():
    x = Variable(x3)
    a, b = x * 2.0, x + 1.0
    ga, gb, gx = gradients([(a * b).sum(), a.sum()], [a, b, x], [None, Variable(np.array(10.0))])
    np.testing.assert_allclose(ga.data, b.data + 10)
    np.testing.assert_allclose(gb.data, a.data)
    np.testing.assert_array_equal(gx.data, np.zeros(3))  # All paths from x lead through a and b.
    assert x.grad is a.grad is None


def test_error_in_gradients_leaves_the_graph_unchanged():
    x = Variable(x3)
    y = x * 1.0
    z = Untouchable()(y)
    with pytest.raises(AssertionError, match="was called"):
        gradients([z], [y])
    assert y.creator is not None
    assert y.creator.inputs[0] is x


def test_gradients_by_a_variable_and_by_a_function_of_it() -> None:
    x = Variable(np.array([1.0, 2.0]))
    y = x * x
    z = (y * x).sum()
    gx, gy = gradients([z, y, y], [x, y])  # d/dy = x + 2; d/dx = y: paths through y are excluded
    np.testing.assert_array_equal(gy.data, x.data + 2)
    np.testing.assert_array_equal(gx.data, y.data)
    (gx,) = gradients([z, y, y], [x])  # x**3 + 2 * x**2
    np.testing.assert_array_equal(gx.data, 3 * x.data**2 + 4 * x.data)


def test_gradients_of_one_output_among_several() -> None:
    x = Variable(np.arange(6.0).reshape(2, 3))
    a, b = F.split(x, 2)
    y = (a * a * b).sum()
    ga, gx = gradients([y], [a, x])  # Only b is differentiated further.
    np.testing.assert_array_equal(ga.data, 2 * a.data * b.data)
    np.testing.assert_array_equal(gx.data, np.concatenate([np.zeros((1, 3)), a.data**2]))


def test_seed_is_cast_to_the_dtype_of_its_result() -> None:
    x = Variable(np.ones(2, np.float32))
    for create_graph in (False, True):
        (gx,) = gradients([x * 3.0], [x], [Variable(np.ones(2))], create_graph)
        assert gx.dtype == np.float32


def test_gradients_of_one_variable_by_one() -> None:
    x, w = Variable(np.array([1.0, 2.0])), Variable(np.array([3.0, 4.0]))
    y = (x * w).sum()
    gx = passus.gradients(y, x)
    assert isinstance(gx, Variable)
    np.testing.assert_array_equal(gx.data, w.data)
    for ys in (y, [y], (y,)):
        gx, gw = passus.gradients(ys, [x, w])
        np.testing.assert_array_equal(gw.data, x.data)
    assert x.grad is None
    for seed in (np.array([1.0, 10.0]), Variable(np.array([1.0, 10.0]))):
        np.testing.assert_array_equal(passus.gradients(x * w, x, seed).data, [3.0, 40.0])
        np.testing.assert_array_equal(passus.gradients([x * w, y], x, [seed, None]).data, [6.0, 44.0])
    assert passus.gradients(passus.gradients((x**3).sum(), x, create_graph=True).sum(), x).data.tolist() == [6.0, 12.0]
    assert passus.gradients([], [x])[0].data.tolist() == [0.0, 0.0]
    assert passus.gradients(y, []) == []


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: passus.gradients(x * 2, x, np.ones(2)), ShapeError, "seed"),
        (lambda x: passus.gradients(x * 2, x, [np.ones(3), np.ones(3)]), ArgumentError, "2 seeds for 1"),
        (lambda x: passus.gradients(x * 2, x, [[1.0, 1.0, 1.0]]), DTypeError, "list"),
        (lambda x: passus.gradients([x * 2], x, [np.ones(3), np.ones(3)]), ArgumentError, "2 seeds for 1"),
        (lambda x: passus.gradients(x.data, x), DTypeError, "give Variables"),
        (lambda x: passus.gradients(x * 2, [x.data]), DTypeError, "ndarray"),
        (lambda x: passus.gradients(x * 2, Variable(np.array([True]))), GraphError, "bool"),
        (lambda x: passus.gradients(x * 2, (x * 2).detach()), GraphError, "no gradient flows"),
    ],
)
def test_invalid_arguments_of_gradients_raise(call, error, match) -> None:
    with pytest.raises(error, match=match):
        call(Variable(x3))
