"""Results of ``forward`` of user-defined functions."""

from __future__ import annotations

import math

import numpy as np
import pytest

import passus.functions as F
from passus import Function, Variable
from passus.errors import DTypeError
from tests.core.graphs import leaf


@pytest.mark.parametrize(
    "view", [lambda x: x[:, :1], lambda x: x.T, lambda x: x.reshape(-1), lambda x: x[::-1], lambda x: x]
)
def test_a_view_of_an_input_is_as_writeable_as_the_input(view):
    class View(Function):
        def forward(self, x):
            return view(x)

    array = np.ones((2, 2))
    y = View()(Variable(array))
    y.data *= 2
    assert np.shares_memory(y.data, array)
    array.flags.writeable = False
    assert not View()(Variable(array)).data.flags.writeable


def test_a_broadcast_input_stays_read_only():
    class Stretched(Function):
        def forward(self, x):
            return np.broadcast_to(x, (3, 2))

    assert not Stretched()(leaf(1.0, 2.0)).data.flags.writeable


def test_truth_values_of_python_take_no_gradient():
    class Positive(Function):
        def forward(self, x):
            return bool(x.sum() > 0)

    y = Positive()(leaf(1.0))
    assert (y.dtype, y.requires_grad) == (bool, False)


@pytest.mark.parametrize("wrap", [lambda y: y, lambda y: (y,), lambda y: [y]])
@pytest.mark.parametrize("wrap_gradient", [lambda g: g, lambda g: (g,), lambda g: [g]])
def test_one_output_is_one_variable_also_in_a_tuple_or_list(wrap, wrap_gradient):
    class Square(Function):
        def forward(self, x):
            return wrap(x**2)

        def backward(self, gy):
            return wrap_gradient(2 * self.input * gy)

    assert type(Square()(np.array([3.0]))) is np.ndarray
    x = leaf(3.0)
    y = Square()(x)
    assert type(y) is Variable
    y.backward()
    assert x.grad == 6.0


@pytest.mark.parametrize("kind", [tuple, list])
def test_several_outputs_may_be_a_list(kind):
    class Halves(Function):
        def forward(self, x):
            return kind([x[:1], x[1:]])

        def backward(self, ga, gb):
            return F.concatenate([ga, gb])

    x = leaf(1.0, 2.0)
    a, b = Halves()(x)
    (a * b).backward()
    np.testing.assert_array_equal(x.grad, [2.0, 1.0])


def test_python_numbers_are_results():

    class Sin(Function):
        def forward(self, x):
            return math.sin(x)

        def backward(self, gy):
            return math.cos(self.input) * gy

    for dtype in (np.float64, np.float32):
        x = Variable(np.array(0.5, dtype))
        y = Sin()(x)
        y.backward()
        assert (y.dtype, x.grad.dtype) == (dtype, dtype)
        np.testing.assert_allclose([y.item(), x.grad.item()], [np.sin(0.5), np.cos(0.5)], rtol=1e-6)


def test_an_identity_returns_its_input():
    class Identity(Function):
        def forward(self, x):
            return x

        def backward(self, gy):
            return gy

    x = leaf(1.0, 2.0)
    y = Identity()(x)
    assert y is not x
    assert y.data is x.data
    assert y.data.flags.writeable
    (y * y).backward()
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])


@pytest.mark.parametrize("result", [None, "no", {"y": np.ones(2)}])
def test_unsupported_results_of_forward_raise(result):
    class Odd(Function):
        def forward(self, x):
            return result

    with pytest.raises(DTypeError, match=r"Odd.forward returned .*; it must return an array"):
        Odd()(leaf(1.0))


def test_variable_returned_by_forward_raises():
    class Odd(Function):
        def forward(self, x):
            return Variable(x * 2)

    with pytest.raises(DTypeError, match="forward returned a Variable; it must return an array"):
        Odd()(leaf(1.0))
