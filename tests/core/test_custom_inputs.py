"""Inputs of user-defined functions in forward and backward."""

from __future__ import annotations

import numpy as np
import pytest

import passus.functions as F
from passus import Function, Parameter, Variable, no_grad
from passus.core import Unary
from passus.errors import DTypeError, GraphError
from tests.core.graphs import leaf


class Affine(Function):
    """The linear function of the book with an optional bias."""

    def forward(self, x, W, b):
        y = x.dot(W)
        return y if b is None else y + b

    def backward(self, gy):
        x, W, b = self.inputs
        gb = None if b.data is None else F.sum_to(gy, b.shape)
        return F.matmul(gy, W.T), F.matmul(x.T, gy), gb


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_input_may_be_none(create_graph):
    x, W, b = Variable(np.ones((2, 3))), Variable(np.ones((3, 4))), Variable(np.ones(4))
    y = Affine()(x, W, None)
    assert [v.data is None for v in y.creator.inputs] == [False, False, True]
    y.backward(create_graph=create_graph)
    np.testing.assert_array_equal(W.grad, np.full((3, 4), 2.0))
    Affine()(x, W, b).backward(create_graph=create_graph)
    np.testing.assert_array_equal(b.grad, np.full(4, 2.0))
    Affine()(x, W, Parameter(None)).backward()


def test_constants_are_variables_in_a_rule():
    class Scaled(Function):
        def forward(self, x, factor, number):
            return x * factor * number

        def backward(self, gy):
            _, factor, number = self.inputs
            return gy * factor.data * number.data, None, None

    x = Variable(np.ones(2, np.float32))
    y = Scaled()(x, np.array([2.0, 3.0], np.float32), 4.0)
    assert [type(v) for v in y.creator.inputs] == [Variable] * 3
    assert y.dtype == np.float32
    y.backward()
    np.testing.assert_array_equal(x.grad, [8.0, 12.0])


@pytest.mark.parametrize("read", ["input", "inputs[0]", "x", "unpacked", "backward"])
def test_reading_inputs_before_a_call_raises(read):
    class Square(Unary):
        def forward(self, x):
            return x**2

        def backward(self, gy):
            if read == "unpacked":
                (x,) = self.inputs
            else:
                x = {"inputs[0]": lambda: self.inputs[0], "x": lambda: self.x}.get(read, lambda: self.input)()
            return 2 * x * gy

    with pytest.raises(GraphError, match="call it first"):
        Square().backward(np.array(1.0))
    f = Square()
    with no_grad():
        f(leaf(1.0))
    with pytest.raises(GraphError, match=r"not under no_grad\(\)"):
        f.backward(np.array(1.0))
    with pytest.raises(GraphError, match="call it first"):
        F.exp(leaf(1.0)).creator.__class__().backward(np.array(1.0))


@pytest.mark.parametrize("inputs", [[1, 2], (1, 2)])
def test_inputs_are_given_one_by_one(inputs):
    class Add(Function):
        def forward(self, a, b):
            return a + b

    a, b = leaf(1.0), leaf(2.0)
    with pytest.raises(DTypeError, match=r"add: .* give the inputs one by one, Add\(\)\(a, b\)"):
        Add()(type(inputs)([a, b]))


def test_data_attribute_of_an_array_raises():
    y = F.softmax(np.ones((1, 2)))
    for wrong in (lambda: F.exp(y.data), lambda: Variable(y.data), lambda: leaf(1.0) * y.data):
        with pytest.raises(
            DTypeError, match=r"memoryview is not supported; it is the .data of an array.* leave .data out"
        ):
            wrong()

    class Square(Function):
        def forward(self, x):
            return x.data**2 if self.early else x**2

        def backward(self, gy):
            return 2 * self.input * gy.data

    f = Square()
    f.early = True
    with pytest.raises(DTypeError, match=r"square.*memoryview.*given arrays, which need no \.data"):
        f(leaf(1.0))
    f.early = False
    x = leaf(1.0)
    f(x).backward()
    assert x.grad == 2.0
