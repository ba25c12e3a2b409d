"""Gradients passed to and returned by rules of user-defined functions."""

from __future__ import annotations

import numpy as np
import pytest

import passus.functions as F
from passus import Function, Variable, as_variable
from passus.errors import GraphError, ShapeError
from tests.core.graphs import leaf


class Saves(Function):
    """Rules that return an array that is referenced elsewhere."""

    def __init__(self, which):
        self.which = which

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, gy):
        return {"input": self.input.data, "saved": self.x, "output": self.output.data, "gradient": gy}[self.which]


@pytest.mark.parametrize("which", ["input", "saved", "output", "gradient"])
def test_the_gradient_of_a_leaf_shares_no_memory(which):
    x = leaf(1.0, 2.0)
    y = Saves(which)(x)
    y.backward(retain_grad=True)
    assert x.grad.data.flags.writeable
    assert not any(np.shares_memory(x.grad.data, other.data) for other in (x, y, y.grad))


@pytest.mark.parametrize(
    "rule",
    [
        lambda gy: gy.data * 2,
        lambda gy: np.multiply(gy.data, 2),
        lambda gy: (gy * 2).data,
        lambda gy: gy.data.copy() + gy.data.sum() / gy.data.size,
        lambda gy: as_variable(gy.data * 2),
        lambda gy: as_variable(gy * 2),
        lambda gy: F.mul(gy.data, 2),
        lambda gy: gy.data.__imul__(2),
        lambda gy: (gy.data.__setitem__(gy.data > 0, 2.0), gy)[1],
        lambda gy: (setattr(gy, "data", gy.data * 2), gy)[1],
        lambda gy: gy.reshape(gy.shape).data.astype(np.float64) * 2,
    ],
)
@pytest.mark.parametrize("values", [(1.0, 2.0), 3.0])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_has_its_array_in_data(rule, values, create_graph):
    """DeZero gives a rule Variables, so ``gy.data`` is an array there. Here gy is the array, and has ``data``, too."""

    class T(Function):
        def forward(self, x):
            return 2 * x

        def backward(self, gy):
            return rule(gy)

    x = Variable(np.array(values))
    y = x + T()(x)
    y.backward(create_graph=create_graph)
    np.testing.assert_array_equal(x.grad, np.full(x.shape, 3.0))
    assert type(x.grad.data) is np.ndarray


@pytest.mark.parametrize("number", [2.0, 2, np.float64(2), np.float32(2), np.array(2.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_may_be_a_number(number, dtype, create_graph):
    class Double(Function):
        def forward(self, x):
            return 2 * x

        def backward(self, gy):
            return number

    x = Variable(np.array(3.0, dtype))
    Double()(x).backward(create_graph=create_graph)
    assert (x.grad.item(), x.grad.dtype) == (2.0, dtype)
    with pytest.raises(ShapeError, match=r"gradient of shape \(\) .*F.broadcast_to\(gy, \(2,\)\)"):
        Double()(leaf(1.0, 2.0)).backward(create_graph=create_graph)


BUFFER = np.ones(2)


class ReturnsBuffer(Function):
    """Its rule returns an array that is referenced elsewhere."""

    buffer = np.ones(2)

    def __init__(self, which):
        self.which = which
        self.saved_buffer = [np.ones(2)]

    def forward(self, x):
        return x * 1.0

    def backward(self, gy):
        return {
            "module": BUFFER,
            "class": self.buffer,
            "list": self.saved_buffer[0],
            "view": self.buffer[:],
            "reshaped": BUFFER.reshape(2),
            "input": self.input,
            "boxed": as_variable(BUFFER),
            "tuple": (gy, gy)[0],
        }[self.which]


@pytest.mark.parametrize("which", ["module", "class", "list", "view", "reshaped", "input", "boxed", "tuple"])
@pytest.mark.parametrize("way", [{}, {"retain_grad": True}, {"create_graph": True}])
def test_a_gradient_shares_no_memory_with_a_buffer(which, way):
    if "create_graph" in way and which in ("input", "boxed"):
        return  # The returned Variable is then in the graph, and is not copied.
    x = leaf(1.0, 1.0)
    f = ReturnsBuffer(which)
    f(x).backward(**way)
    x.grad.data[...] = 5.0
    for held in (BUFFER, f.buffer, f.saved_buffer[0], x.data):
        np.testing.assert_array_equal(held, [1.0, 1.0])


def test_a_new_array_from_a_rule_is_not_copied():
    made = []

    class Made(Function):
        def forward(self, x):
            return x * 1.0

        def backward(self, gy):
            gx = gy * 2.0
            made.append(gx.ctypes.data)
            return gx

    x = leaf(1.0, 1.0)
    Made()(x).backward()
    assert x.grad.data.ctypes.data == made[0]


class Wrong(Function):
    """A function with a given rule."""

    def __init__(self, forward, gradient):
        self.function, self.gradient = forward, gradient

    def forward(self, *xs):
        return self.function(*xs)

    def backward(self, gy):
        return self.gradient(gy)


@pytest.mark.parametrize(
    ("forward", "gradient", "match"),
    [
        (np.sum, lambda gy: gy, r"shape \(\) for an input of shape \(2, 3\).*F.broadcast_to\(gy, \(2, 3\)\)"),
        (lambda x: x.sum(axis=0), lambda gy: gy, r"shape \(3,\) for an input of shape \(2, 3\).*F.broadcast_to"),
        (lambda x: x.mean(1, keepdims=True), lambda gy: gy, r"shape \(2, 1\) .*\(2, 3\).*F.broadcast_to"),
        (lambda x: x.sum(axis=1), lambda gy: gy, r"shape \(2,\) for an input of shape \(2, 3\); they must be equal$"),
        (lambda x: x.T, lambda gy: gy, r"shape \(3, 2\) for an input of shape \(2, 3\).*gx.T"),
        (lambda x: x.reshape(-1), lambda gy: gy, r"shape \(6,\) .*gx.reshape\(\(2, 3\)\)"),
        (lambda x: x * 1, lambda gy: np.ones((4, 2, 3)), r"shape \(4, 2, 3\) .*F.sum_to\(gx, \(2, 3\)\)"),
        (lambda x: x * 1, lambda gy: np.ones(5), r"shape \(5,\) for an input of shape \(2, 3\)"),
    ],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_of_another_shape_names_both_and_the_fix(forward, gradient, match, create_graph):
    x = Variable(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"Wrong.backward returned a gradient of " + match):
        Wrong(forward, gradient)(x).backward(create_graph=create_graph)
    assert x.grad is None


def test_a_rule_without_return_is_named():
    with pytest.raises(GraphError, match=r"Wrong.backward returned None; return the gradient"):
        Wrong(np.square, lambda gy: None)(leaf(1.0)).backward()
    x, z = leaf(1.0), leaf(2.0)
    (Wrong(np.square, lambda gy: (None,))(x) + z).backward()
    assert (x.grad, z.grad) == (None, 1.0)


def test_labels_need_no_gradient():
    x, t = Variable(np.ones((2, 3))), np.array([0, 2])
    for labels in (t, Variable(t)):
        x.cleargrad()
        f = Wrong(lambda x, t: x[np.arange(len(t)), t].sum(), lambda gy: gy * np.eye(3)[t])
        f(x, labels).backward()
        np.testing.assert_array_equal(x.grad, np.eye(3)[t])
    with pytest.raises(GraphError, match="returned 1 gradients for 2 inputs"):
        Wrong(np.add, lambda gy: gy)(leaf(1.0), leaf(2.0)).backward()
    with pytest.raises(GraphError, match="returned 2 gradients for 1 inputs"):
        Wrong(np.square, lambda gy: (gy, gy))(leaf(1.0)).backward()
