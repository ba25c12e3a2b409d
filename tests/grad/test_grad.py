"""`grad` and `value_and_grad` against closed forms, nesting, and the errors of all transforms."""

from __future__ import annotations

import numpy as np
import pytest

import passus.functions as F
from passus import Parameter, Variable, no_grad
from passus.errors import ArgumentError, DTypeError, PassusError, ShapeError
from passus.grad import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from tests.grad.functions import A, cubes, field, quadratic, v3, x3


def test_grad_of_a_quadratic_form():
    g = grad(quadratic)(x3)
    assert type(g) is np.ndarray
    np.testing.assert_allclose(g, (A + A.T) @ x3)


def test_grad_accepts_python_numbers_and_float32():
    assert grad(F.sin)(0.0) == 1.0
    assert grad(cubes)(x3.astype(np.float32)).dtype == np.float32


def test_grad_with_respect_to_several_arguments():
    def f(x, y, scale=1.0):
        return (scale * x * y).sum()

    gx, gy = grad(f, (0, 1))(x3, v3, scale=2.0)
    np.testing.assert_allclose(gx, 2 * v3)
    np.testing.assert_allclose(gy, 2 * x3)
    np.testing.assert_allclose(grad(f, -1)(x3, v3), x3)


def test_one_variable_passed_twice_is_two_arguments():
    x = Variable(x3)
    gx, gy = grad(lambda x, y: (x * y * y).sum(), (0, 1))(x, x)
    np.testing.assert_allclose(gx.data, x3**2)
    np.testing.assert_allclose(gy.data, 2 * x3**2)


def test_value_and_grad():
    value, g = value_and_grad(cubes)(x3)
    assert type(value) is np.ndarray
    assert type(g) is np.ndarray
    np.testing.assert_allclose(value, (x3**3).sum())
    np.testing.assert_allclose(g, 3 * x3**2)


def test_nested_to_order_four():
    f = F.sin
    for expected in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin):
        f = grad(f)
        np.testing.assert_allclose(f(0.7), expected(0.7))


def test_nested_grad_differentiates_captured_variables():
    # d/dx (x * d/dy (x * y)) = d/dx x**2
    assert grad(lambda x: x * grad(lambda y: x * y)(1.0))(3.0) == 6.0
    # Perturbations are not confused: d/dx (x * d/dy (x + y)) = 1
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0


def test_transforms_leave_grad_attributes_unchanged():
    x, W = Variable(x3), Parameter(A)
    x.grad = np.ones(3)

    def f(x):
        return (x @ W @ x).sum()

    grad(f)(x)
    hessian(f)(x)
    hvp(f, x, v3)
    jvp(f, x, v3)
    np.testing.assert_array_equal(x.grad.data, np.ones(3))
    assert W.grad is None


def test_gradient_is_differentiable_by_a_captured_parameter():
    W = Parameter(A.copy())
    g = grad(lambda x: (x @ W).sum())(x3)
    assert isinstance(g, Variable)
    (g**2).sum().backward()
    np.testing.assert_allclose(W.grad.data, 2 * A.sum(axis=1, keepdims=True).repeat(3, axis=1))


def test_grad_of_variables_returns_a_differentiable_variable():
    x = Variable(x3)
    y = x * 2.0
    penalty = (grad(cubes)(y) ** 2).sum()
    penalty.backward()
    np.testing.assert_allclose(x.grad.data, 2 * 36 * (2 * x3) ** 3)


def test_grad_under_no_grad_records_nothing():
    x, W = Variable(x3), Parameter(A)
    with no_grad():
        value, g = value_and_grad(lambda x: x @ W @ x)(x)
        plain = grad(lambda x: x @ W @ x)(x3)
    assert not value.requires_grad
    assert not g.requires_grad
    assert type(plain) is np.ndarray
    np.testing.assert_allclose(g.data, (A + A.T) @ x3)
    np.testing.assert_allclose(plain, g.data)


def test_gradients_share_no_memory():
    x = x3.copy()
    gx, gy = grad(lambda x, y: x.sum() + y.sum(), (0, 1))(x, x)
    gx += 1.0
    np.testing.assert_array_equal(gy, np.ones(3))
    _, backward = vjp(lambda x: x + 0.0, x)
    seed = np.ones(3)
    gx = backward(seed)
    gx += 1.0
    np.testing.assert_array_equal(seed, np.ones(3))


def test_result_independent_of_x_has_zero_gradient():
    g = grad(lambda x: np.array(3.0))(x3)
    assert type(g) is np.ndarray
    np.testing.assert_array_equal(g, np.zeros(3))
    np.testing.assert_array_equal(jacobian(lambda x: A[0])(x3), np.zeros((3, 3)))
    _, along = jvp(lambda x: A[0], x3, v3)
    np.testing.assert_array_equal(along, np.zeros(3))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: grad(lambda x: x * 2.0)(x3), ArgumentError, r"one number.*\(3,\)"),
        (lambda: grad(lambda x: (x.sum(), x.sum()))(x3), ArgumentError, "one number.*several"),
        (lambda: grad(cubes, 1)(x3), ArgumentError, "argnums is 1, and 1 positional"),
        (lambda: grad(cubes)(2), DTypeError, "int64 is undefined"),
        (lambda: grad(cubes)([1.0]), DTypeError, "list is not supported"),
        (lambda: grad(lambda x: "loss")(x3), DTypeError, "str is not supported"),
        (lambda: vjp(field, x3)[1](np.ones(3)), ShapeError, r"\(3,\).*\(2,\)"),
        (lambda: vjp(field, x3)[1](np.ones(2), np.ones(2)), ArgumentError, "2 were given"),
        (lambda: jvp(field, x3, np.ones(2)), ShapeError, r"\(2,\).*\(3,\)"),
        (lambda: jvp(field, x3, (v3, v3)), ArgumentError, "2 for 1"),
        (lambda: hvp(cubes, x3, np.ones(2)), ShapeError, r"\(2,\).*\(3,\)"),
    ],
)
def test_bad_input_raises(call, error, match):
    with pytest.raises(error, match=match) as caught:
        call()
    assert isinstance(caught.value, PassusError)


@pytest.mark.parametrize("transform", [jacobian, lambda f: lambda x: vjp(f, x), lambda f: lambda x: jvp(f, x, x)])
def test_errors_name_the_called_transform(transform) -> None:
    with pytest.raises(DTypeError, match=r"^(jacobian|vjp|jvp): the derivative by int64"):
        transform(F.square)(np.array([1, 2]))
