"""The backward pass: order, several outputs, and broadcasting, with few functions of the library."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from passus import Function, Parameter, Variable
from passus.core import add
from passus.core.basic import Add
from passus.functions import mul, square
from tests.core.graphs import Halves, Recorder, leaf


def test_branches_are_visited_once_and_only_when_all_gradients_have_arrived():
    Recorder.visits = []
    x = leaf(1.0)
    a = Recorder("a")(x)
    b, c = Recorder("b")(a), Recorder("c")(a)
    d = Recorder("d")(add(b, c))
    e = Recorder("e")(add(d, a))  # A long and a short path from a to e.
    e.backward()
    assert Recorder.visits == ["e", "d", "c", "b", "a"]
    assert x.grad == 3.0


def test_the_order_does_not_depend_on_the_depth_of_a_branch():
    x = leaf(2.0)
    a = square(x)
    deep = a
    for _ in range(5):
        deep = add(deep, 0.0)
    y = mul(deep, a)
    y.backward()
    assert x.grad == 4 * 2.0**3


def test_a_graph_of_many_diamonds_is_walked_in_linear_time():
    def steps(n: int) -> int:
        x = y = leaf(1.0)
        for _ in range(n):
            y = add(y, y)
        calls = 0
        rule = Add.backward

        def counted(self, gy):
            nonlocal calls
            calls += 1
            return rule(self, gy)

        Add.backward = counted
        try:
            y.backward()
        finally:
            Add.backward = rule
        assert x.grad == 2.0**n
        return calls

    assert [steps(n) for n in (10, 20, 40)] == [10, 20, 40]


def test_a_graph_of_a_hundred_thousand_calls():
    x = y = leaf(1.0)
    n = 100_000
    assert n > 10 * sys.getrecursionlimit()
    for _ in range(n):
        y = add(y, 1.0)
    assert y.generation == n
    y.backward()
    assert (y.data, x.grad) == (n + 1, 1.0)
    y.backward(create_graph=True)
    y.unchain_backward()
    assert y.creator is None
    y = x
    for _ in range(n):
        y = add(y, 1.0)
    del y  # Freed without recursion too.


# Several outputs, leaves, and repeated calls.


@pytest.mark.parametrize("used", [0, 1])
def test_an_unused_output_has_gradient_zero(used):
    x = leaf(1.0, 2.0, 3.0, 4.0)
    y = Halves()(x)[used]  # The other output is freed.
    square(y).backward()
    expected = np.array([2.0, 4.0, 0.0, 0.0]) if used == 0 else np.array([0.0, 0.0, 6.0, 8.0])
    np.testing.assert_array_equal(x.grad, expected)


def test_both_outputs_used():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    a, b = Halves()(x)
    assert [y() for y in a.creator.outputs] == [a, b]
    mul(a, b).backward()
    np.testing.assert_array_equal(x.grad, [3.0, 4.0, 1.0, 2.0])


def test_the_rule_of_several_outputs_is_called_once(monkeypatch):
    calls = []
    rule = Halves.backward
    monkeypatch.setattr(Halves, "backward", lambda self, *gys: (calls.append(gys), rule(self, *gys))[1])
    x = leaf(1.0, 2.0, 3.0, 4.0)
    a, b = Halves()(x)
    add(square(a), square(square(b))).backward()
    assert len(calls) == 1
    np.testing.assert_array_equal(x.grad, [2.0, 4.0, 108.0, 256.0])


def test_backward_on_a_leaf():
    x = leaf(1.0, 2.0)
    x.backward()
    np.testing.assert_array_equal(x.grad, [1.0, 1.0])
    x.backward()
    np.testing.assert_array_equal(x.grad, [1.0, 1.0])


def test_a_seed_has_the_shape_of_the_result():
    x = leaf(1.0, 2.0)
    y = square(x)
    y.grad = np.array([1.0, 10.0])
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 40.0])


def test_backward_twice_adds_the_same_again():
    x = leaf(3.0)
    y = square(x)
    y.backward()
    y.backward()
    assert x.grad == 12.0


def test_one_instance_called_twice_keeps_both_graphs():
    f = Recorder("f")
    x0, x1 = leaf(1.0), leaf(2.0)
    y0 = square(f(x0))
    y1 = square(f(x1))
    assert f.input is x1
    y0.backward()
    y1.backward()
    assert (x0.grad, x1.grad) == (2.0, 4.0)


def test_an_instance_used_twice_in_one_graph():
    f = Recorder("f")
    x = leaf(1.0)
    y = f(f(f(x)) + 1.0)
    y.backward()
    assert x.grad == 1.0
    assert y.generation == 4


def test_unchain_and_unchain_backward():
    x = leaf(2.0)
    a = square(x)
    b = square(a)
    y = square(b)
    b.unchain()
    y.backward()
    assert x.grad is None
    assert b.grad == 2 * b.data
    y = square(square(x))
    middle = y.creator.input
    y.unchain_backward()
    assert (y.creator, middle.creator) == (None, None)


def test_truncated_backpropagation():
    x, h = leaf(1.0), leaf(1.0)
    for _ in range(3):
        h = mul(h, x)
    h.unchain_backward()
    mul(h, x).backward()
    assert x.grad == 1.0


# Broadcasting, dtypes and needs.


def test_engine_reduces_gradients_to_the_shape_and_dtype_of_inputs():
    class Plus(Function):
        def forward(self, a, b):
            return a + b

        def backward(self, gy):
            return gy, gy

    a, b = Variable(np.ones((2, 3))), Variable(np.ones((3,), np.float32))
    y = Plus()(a, b)
    y.backward()
    assert (a.grad.shape, b.grad.shape) == ((2, 3), (3,))
    assert (a.grad.dtype, b.grad.dtype) == (np.float64, np.float32)
    np.testing.assert_array_equal(b.grad, [2.0, 2.0, 2.0])


def test_arrays_in_arrays_out():
    y = square(np.array([1.0, 2.0]))
    assert type(y) is np.ndarray
    a, b = Halves()(np.arange(4.0))
    assert (type(a), type(b)) == (np.ndarray, np.ndarray)


def test_no_gradient_is_computed_for_constants():
    class Greedy(Function):
        def forward(self, x, c):
            return x * c

        def backward(self, gy):
            assert self.needs == (True, False)
            return gy * self.saved(self.inputs[1]), None

    x = leaf(2.0)
    Greedy()(x, np.array([3.0])).backward()
    assert x.grad == 3.0


def test_frozen_parameters_take_no_gradient():
    W, b = Parameter(np.ones(2)), Parameter(np.ones(2))
    W.requires_grad = False
    y = add(mul(W, 3.0), b)
    assert y.creator.input.creator is None  # Nothing was recorded for W alone.
    y.backward()
    assert W.grad is None
    np.testing.assert_array_equal(b.grad, [1.0, 1.0])
