# ruff: noqa: PT009 - learners write unittest
"""Programs of the first chapters of the book."""

from __future__ import annotations

import unittest

import numpy as np
import pytest

from passus import Function, Variable, as_array, no_grad
from passus.functions import add, exp, square
from passus.testing import gradient_check, numerical_grad

EXACT = "3.297442541400256"


class Square(Function):
    def forward(self, x):
        return x**2

    def backward(self, gy):
        x = self.input.data
        return 2 * x * gy


class Exp(Function):
    def forward(self, x):
        return np.exp(x)

    def backward(self, gy):
        x = self.input.data
        return np.exp(x) * gy


def numerical_diff(f, x, eps=1e-4):
    x0 = Variable(as_array(x.data - eps))
    x1 = Variable(as_array(x.data + eps))
    return (f(x1).data - f(x0).data) / (2 * eps)


def test_functions_compute_and_compose():
    a, b, c = Square(), Exp(), Square()
    y = c(b(a(Variable(np.array(0.5)))))
    assert type(y) is Variable
    assert str(y.data) == "1.648721270700128"


def test_numerical_derivative():
    a, b, c = Square(), Exp(), Square()
    assert abs(numerical_diff(Square(), Variable(np.array(2.0))) - 4.0) < 1e-8
    dy = numerical_diff(lambda x: c(b(a(x))), Variable(np.array(0.5)))
    assert f"{dy:.10f}" == "3.2974426293"


def test_manual_backpropagation_prints_the_exact_number(capsys):
    A, B, C = Square(), Exp(), Square()
    x = Variable(np.array(0.5))
    a = A(x)
    b = B(a)
    y = C(b)
    y.grad = np.array(1.0)
    b.grad = C.backward(y.grad)
    a.grad = B.backward(b.grad)
    x.grad = A.backward(a.grad)
    print(x.grad)
    assert capsys.readouterr().out == EXACT + "\n"


def test_calling_backward_of_a_function_with_plain_arrays():
    A = Square()
    A(Variable(np.array(3.0)))
    assert A.backward(np.array(1.0)) == 6.0
    y = exp(Variable(np.array(0.0)))
    assert y.creator.backward(np.array(2.0)) == 2.0


@pytest.mark.parametrize("seed", [None, np.array(1.0), np.array(2.0)])
def test_backward_reaches_the_leaf(seed):
    x = Variable(np.array(0.5))
    y = Square()(Exp()(Square()(x)))
    y.grad = seed
    y.backward()
    assert str(x.grad if seed is None else x.grad / seed) == EXACT


def test_functions_of_passus_agree_with_user_defined_ones(capsys):
    x = Variable(np.array(0.5))
    square(exp(square(x))).backward()
    print(x.grad)
    assert capsys.readouterr().out == EXACT + "\n"


def test_the_chain_of_creators_ends_at_x():
    x = Variable(np.array(0.5))
    y = square(exp(square(x)))
    assert y.creator.input.creator.input.creator.input is x
    assert y.creator.output is y
    assert y.creator.inputs == (y.creator.input,)
    assert y.creator.outputs[0]() is y
    assert x.creator is None


def test_the_same_variable_twice():
    x = Variable(np.array(3.0))
    y = add(x, x)
    y.backward()
    assert x.grad == 2.0
    x.cleargrad()
    add(add(x, x), x).backward()
    assert x.grad == 3.0


def test_gradients_accumulate_until_cleared():
    x = Variable(np.array(3.0))
    add(x, x).backward()
    add(x, x).backward()
    assert x.grad == 4.0
    x.cleargrad()
    assert x.grad is None


def test_a_diamond_sums():
    x = Variable(np.array(2.0))
    a = square(x)
    y = add(square(a), square(a))
    y.backward()
    assert y.data == 32.0
    assert x.grad == 64.0


def test_generations():
    x = Variable(np.array(1.0))
    a = square(x)
    y = add(square(a), x)
    assert [v.generation for v in (x, a, y)] == [0, 1, 3]
    assert y.creator.generation == 2


@pytest.mark.parametrize("data", [1.0, 1, [1.0, 2.0], (1.0,), np.float64(1.0)])
def test_variable_of_a_non_array_raises(data):
    with pytest.raises(TypeError, match=r"is not supported; write np\.array\("):
        Variable(data)
    with pytest.raises(TypeError, match="str is not supported; pass a NumPy array"):
        Variable("1.0")
    with pytest.raises(TypeError, match="it is a Variable already"):
        Variable(Variable(np.array(1.0)))


def test_results_of_0d_arrays_are_arrays():
    x = Variable(np.array(3.0))
    for y in (square(x), x * 2.0, (x * x).sum(), exp(np.array(1.0)), x + np.array(1.0)):
        data = y.data if isinstance(y, Variable) else y
        assert type(data) is np.ndarray
        assert data.shape == ()
    square(x).backward()
    assert type(x.grad) is Variable
    assert type(x.grad.data) is np.ndarray


def test_no_grad_records_nothing():
    with no_grad():
        y = square(Variable(np.array(2.0)))
    assert y.creator is None
    assert y.data == 4.0


def test_multiplication_with_numbers_and_arrays():
    x = Variable(np.array(2.0))
    assert (3.0 * x + 1.0).data == 7.0
    assert (np.array(3.0) * x).data == 6.0
    assert type(np.array(3.0) * x) is Variable


class SquareTest(unittest.TestCase):
    """The unit tests of step 10 of the book."""

    def test_forward(self):
        self.assertEqual(square(Variable(np.array(2.0))).data, np.array(4.0))

    def test_backward(self):
        x = Variable(np.array(3.0))
        square(x).backward()
        self.assertEqual(x.grad, np.array(6.0))

    def test_gradient_check(self):
        x = Variable(np.random.default_rng(0).random(1))
        square(x).backward()
        self.assertTrue(np.allclose(x.grad, numerical_diff(square, x)))
        self.assertTrue(np.allclose(x.grad, numerical_grad(square, x)))
        self.assertTrue(gradient_check(square, x))


def test_simple_functions_of_two_variables():
    def sphere(x, y):
        return x**2 + y**2

    def matyas(x, y):
        return 0.26 * (x**2 + y**2) - 0.48 * x * y

    def goldstein(x, y):
        return (1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)) * (
            30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
        )

    for f, gx, gy in [
        (sphere, 2.0, 2.0),
        (matyas, 0.040000000000000036, 0.040000000000000036),
        (goldstein, -5376.0, 8064.0),
    ]:
        x, y = Variable(np.array(1.0)), Variable(np.array(1.0))
        f(x, y).backward()
        assert (float(x.grad), float(y.grad)) == (gx, gy)
