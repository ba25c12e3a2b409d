"""Integer Variables have floating-point gradients."""

from __future__ import annotations

import numpy as np
import pytest

import passus.functions as F
from passus import Function, Variable
from passus.errors import SecondOrderError
from tests.core.graphs import leaf


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8])
def test_gradients_of_integers_are_of_floating_point_numbers(dtype):
    x = Variable(np.array([[1, 2, 3], [4, 5, 6]], dtype))
    for y, expected in [
        (F.reshape(x, (6,)), np.ones((2, 3))),
        (F.transpose(x), np.ones((2, 3))),
        (F.sum(x), np.ones((2, 3))),
        (x + x, 2 * np.ones((2, 3))),
        (x * x, 2.0 * x.data),
        (x**2, 2.0 * x.data),
        (F.get_item(x, 1), [[0] * 3, [1] * 3]),
        (F.broadcast_to(x, (2, 2, 3)), np.full((2, 3), 2.0)),
        (F.sum_to(x, (1, 3)), np.ones((2, 3))),
        (F.sin(x), np.cos(x.data)),
        (x / 4, np.full((2, 3), 0.25)),
        (F.max(x), [[0] * 3, [0, 0, 1]]),
    ]:
        x.cleargrad()
        y.backward(retain_grad=True)
        assert x.grad.dtype.kind == y.grad.dtype.kind == "f"
        np.testing.assert_allclose(x.grad, expected, rtol=1e-3)


def test_integers_among_floating_point_numbers_lose_no_gradient():
    n, x = Variable(np.array([2, 3])), leaf(0.5, 0.25)
    y = F.sum(n * n * x)
    y.backward()
    np.testing.assert_array_equal(n.grad, [2.0, 1.5])
    np.testing.assert_array_equal(x.grad, [4.0, 9.0])
    x0, x1 = Variable(np.array([1, 2, 3])), Variable(np.array([10]))
    (x0 + x1).backward()
    np.testing.assert_array_equal(x1.grad, [3.0])


def test_second_derivatives_of_integers():
    x = Variable(np.array([2, 3]))
    y = F.sum(x**3)
    y.backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    gx.backward()
    np.testing.assert_array_equal(gx.data, [12.0, 27.0])
    np.testing.assert_array_equal(x.grad, [12.0, 18.0])

    class Cube(Function):
        def forward(self, x):
            self.slope = 3 * x * x  # Integers that depend on the input.
            return x**3

        def backward(self, gy):
            return self.slope * gy

    x.cleargrad()
    Cube()(x).backward(create_graph=True)
    with pytest.raises(SecondOrderError, match=r"self\.slope"):
        x.grad.backward()


def test_labels_and_converted_integers_take_no_gradient():
    x, t = Variable(np.ones((2, 3))), Variable(np.array([0, 2]))
    F.softmax_cross_entropy(x, t).backward()
    assert t.grad is None
    y = x.astype(np.int64)
    assert y.creator is None
    x.cleargrad()
    (x * y).backward()
    np.testing.assert_array_equal(x.grad, np.ones((2, 3)))
    assert not Variable(np.array([True])).requires_grad
