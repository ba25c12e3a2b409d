"""The functions that transform functions, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import passus.functions as F
from passus import Function, Parameter, Variable, no_grad
from passus.core.backward import gradients
from passus.errors import ArgumentError, DTypeError, PassusError, ShapeError
from passus.grad import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

rng = np.random.default_rng(7)
A = rng.standard_normal((3, 3))
x3 = rng.standard_normal(3)
v3 = rng.standard_normal(3)


def quadratic(x):
    return x @ A @ x


def cubes(x):
    return (x**3).sum()


def field(x):
    """R^3 to R^2."""
    return F.stack([x[0] * x[1], F.sin(x[2])])


FIELD_JACOBIAN = np.array([[x3[1], x3[0], 0.0], [0.0, 0.0, np.cos(x3[2])]])


def test_grad_of_a_quadratic_form():
    g = grad(quadratic)(x3)
    assert type(g) is np.ndarray
    np.testing.assert_allclose(g, (A + A.T) @ x3)


def test_grad_takes_python_numbers_and_float32():
    assert grad(F.sin)(0.0) == 1.0
    assert grad(cubes)(x3.astype(np.float32)).dtype == np.float32


def test_grad_with_respect_to_several_arguments():
    def f(x, y, scale=1.0):
        return (scale * x * y).sum()

    gx, gy = grad(f, (0, 1))(x3, v3, scale=2.0)
    np.testing.assert_allclose(gx, 2 * v3)
    np.testing.assert_allclose(gy, 2 * x3)
    np.testing.assert_allclose(grad(f, -1)(x3, v3), x3)


def test_the_same_variable_in_two_places_is_two_arguments():
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


def test_nested_grad_sees_the_variable_that_the_inner_function_captured():
    # d/dx (x * d/dy (x * y)) = d/dx x**2
    assert grad(lambda x: x * grad(lambda y: x * y)(1.0))(3.0) == 6.0
    # Perturbations are kept apart: d/dx (x * d/dy (x + y)) = 1
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0


def test_no_gradient_is_left_anywhere():
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


def test_derivatives_by_a_captured_parameter_go_on():
    W = Parameter(A.copy())
    g = grad(lambda x: (x @ W).sum())(x3)
    assert isinstance(g, Variable)
    (g**2).sum().backward()
    np.testing.assert_allclose(W.grad.data, 2 * A.sum(axis=1, keepdims=True).repeat(3, axis=1))


def test_variables_in_variables_out_with_a_graph_behind():
    x = Variable(x3)
    y = x * 2.0
    penalty = (grad(cubes)(y) ** 2).sum()
    penalty.backward()
    np.testing.assert_allclose(x.grad.data, 2 * 36 * (2 * x3) ** 3)


def test_under_no_grad_it_works_and_records_nothing():
    x, W = Variable(x3), Parameter(A)
    with no_grad():
        value, g = value_and_grad(lambda x: x @ W @ x)(x)
        plain = grad(lambda x: x @ W @ x)(x3)
    assert not value.requires_grad
    assert not g.requires_grad
    assert type(plain) is np.ndarray
    np.testing.assert_allclose(g.data, (A + A.T) @ x3)
    np.testing.assert_allclose(plain, g.data)


def test_gradients_are_arrays_of_their_own():
    x = x3.copy()
    gx, gy = grad(lambda x, y: x.sum() + y.sum(), (0, 1))(x, x)
    gx += 1.0
    np.testing.assert_array_equal(gy, np.ones(3))
    _, pull = vjp(lambda x: x + 0.0, x)
    seed = np.ones(3)
    pulled = pull(seed)
    pulled += 1.0
    np.testing.assert_array_equal(seed, np.ones(3))


def test_what_does_not_depend_on_x_has_zero_gradient():
    g = grad(lambda x: np.array(3.0))(x3)
    assert type(g) is np.ndarray
    np.testing.assert_array_equal(g, np.zeros(3))
    np.testing.assert_array_equal(jacobian(lambda x: A[0])(x3), np.zeros((3, 3)))
    _, along = jvp(lambda x: A[0], x3, v3)
    np.testing.assert_array_equal(along, np.zeros(3))


class Untouchable(Function):
    """An identity that gradients must not reach."""

    def forward(self, x):
        return x + 0.0

    def backward(self, gy):
        raise AssertionError("the walk went on behind x")


def test_gradients_are_not_followed_behind_what_they_are_asked_for():
    x = Untouchable()(Variable(x3))
    creator = x.creator
    (gx,) = gradients([x * x], [x])
    np.testing.assert_allclose(gx.data, 2 * x3)
    assert x.creator is creator


def test_gradients_of_several_results_by_several_variables_between():
    x = Variable(x3)
    a, b = x * 2.0, x + 1.0
    ga, gb, gx = gradients([(a * b).sum(), a.sum()], [a, b, x], [None, Variable(np.array(10.0))])
    np.testing.assert_allclose(ga.data, b.data + 10)
    np.testing.assert_allclose(gb.data, a.data)
    np.testing.assert_array_equal(gx.data, np.zeros(3))  # All ways from x lead through a and b.
    assert x.grad is a.grad is None


def test_gradients_leave_the_graph_as_it_was_after_an_error():
    x = Variable(x3)
    y = x * 1.0
    z = Untouchable()(y)
    with pytest.raises(AssertionError, match="went on"):
        gradients([z], [y])
    assert y.creator is not None
    assert y.creator.inputs[0] is x


def test_vjp_pulls_more_than_once():
    y, pull = vjp(field, x3)
    np.testing.assert_allclose(y, [x3[0] * x3[1], np.sin(x3[2])])
    for gy in np.eye(2):
        np.testing.assert_allclose(pull(gy), gy @ FIELD_JACOBIAN)


def test_vjp_of_several_arguments_and_results():
    (s, p), pull = vjp(lambda x, y: (x + y, x * y), x3, v3)
    np.testing.assert_allclose(s, x3 + v3)
    np.testing.assert_allclose(p, x3 * v3)
    gx, gy = pull(np.ones(3), 2 * np.ones(3))
    np.testing.assert_allclose(gx, 1 + 2 * v3)
    np.testing.assert_allclose(gy, 1 + 2 * x3)


def test_jvp():
    y, along = jvp(field, x3, v3)
    assert type(along) is np.ndarray
    np.testing.assert_allclose(y, [x3[0] * x3[1], np.sin(x3[2])])
    np.testing.assert_allclose(along, FIELD_JACOBIAN @ v3)


def test_jvp_of_several_arguments_and_results():
    (s, p), (ds, dp) = jvp(lambda x, y: (x + y, x * y), (x3, v3), (v3, x3))
    np.testing.assert_allclose(s, x3 + v3)
    np.testing.assert_allclose(p, x3 * v3)
    np.testing.assert_allclose(ds, v3 + x3)
    np.testing.assert_allclose(dp, v3 * v3 + x3 * x3)


def test_jvp_and_pull_are_differentiable_by_their_directions():
    v = Variable(v3)
    _, along = jvp(field, x3, v)
    along.sum().backward()
    np.testing.assert_allclose(v.grad.data, FIELD_JACOBIAN.sum(axis=0))
    gy = Variable(np.ones(2))
    vjp(field, x3)[1](gy).sum().backward()
    np.testing.assert_allclose(gy.grad.data, FIELD_JACOBIAN.sum(axis=1))


def test_jacobian():
    np.testing.assert_allclose(jacobian(field)(x3), FIELD_JACOBIAN)


def test_jacobian_of_matrices_has_the_axes_of_both():
    J = jacobian(lambda x: x @ A)(rng.standard_normal((2, 3)))
    assert J.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(J, np.einsum("il,jk->iklj", np.eye(2), A))


def test_jacobian_of_several_results_by_several_arguments():
    (sx, sy), (px, py) = jacobian(lambda x, y: (x + y, x * y), (0, 1))(x3, v3)
    np.testing.assert_allclose(sx, np.eye(3))
    np.testing.assert_allclose(sy, np.eye(3))
    np.testing.assert_allclose(px, np.diag(v3))
    np.testing.assert_allclose(py, np.diag(x3))


def test_jacobian_of_a_number_and_of_nothing():
    np.testing.assert_allclose(jacobian(cubes)(x3), 3 * x3**2)
    assert jacobian(lambda x: x[:0])(x3).shape == (0, 3)
    assert jacobian(lambda x: x * 2.0)(np.ones((0, 2))).shape == (0, 2, 0, 2)


def test_jacobian_is_differentiable():
    x = Variable(x3)
    J = jacobian(lambda x: x**2)(x)
    (J**2).sum().backward()
    np.testing.assert_allclose(x.grad.data, 8 * x3)


def test_hessian():
    np.testing.assert_allclose(hessian(quadratic)(x3), A + A.T)
    np.testing.assert_allclose(hessian(cubes)(x3), np.diag(6 * x3), atol=1e-15)


def test_hessian_in_blocks():
    (xx, xy), (yx, yy) = hessian(lambda x, y: (x * x * y).sum(), (0, 1))(x3, v3)
    np.testing.assert_allclose(xx, np.diag(2 * v3))
    np.testing.assert_allclose(xy, np.diag(2 * x3))
    np.testing.assert_allclose(yx, np.diag(2 * x3))
    np.testing.assert_array_equal(yy, np.zeros((3, 3)))


def test_hvp():
    np.testing.assert_allclose(hvp(quadratic, x3, v3), (A + A.T) @ v3)
    hx, hy = hvp(lambda x, y: (x * x * y).sum(), (x3, v3), (np.ones(3), np.zeros(3)))
    np.testing.assert_allclose(hx, 2 * v3)
    np.testing.assert_allclose(hy, 2 * x3)


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


def test_gradients_where_one_end_lies_behind_another() -> None:
    x = Variable(np.array([1.0, 2.0]))
    y = x * x
    z = (y * x).sum()
    gx, gy = gradients([z, y, y], [x, y])  # d/dy = x + 2; d/dx = y + nothing through y, which is a goal
    np.testing.assert_array_equal(gy.data, x.data + 2)
    np.testing.assert_array_equal(gx.data, y.data)
    (gx,) = gradients([z, y, y], [x])  # x**3 + 2 * x**2
    np.testing.assert_array_equal(gx.data, 3 * x.data**2 + 4 * x.data)


def test_gradients_of_one_output_among_several() -> None:
    x = Variable(np.arange(6.0).reshape(2, 3))
    a, b = F.split(x, 2)
    y = (a * a * b).sum()
    ga, gx = gradients([y], [a, x])  # b alone is followed behind
    np.testing.assert_array_equal(ga.data, 2 * a.data * b.data)
    np.testing.assert_array_equal(gx.data, np.concatenate([np.zeros((1, 3)), a.data**2]))


def test_a_seed_takes_the_dtype_of_its_result() -> None:
    x = Variable(np.ones(2, np.float32))
    for create_graph in (False, True):
        (gx,) = gradients([x * 3.0], [x], [Variable(np.ones(2))], create_graph)
        assert gx.dtype == np.float32


@pytest.mark.parametrize("transform", [jacobian, lambda f: lambda x: vjp(f, x), lambda f: lambda x: jvp(f, x, x)])
def test_errors_name_the_transform_that_was_called(transform) -> None:
    with pytest.raises(DTypeError, match=r"^(jacobian|vjp|jvp): the derivative by int64"):
        transform(F.square)(np.array([1, 2]))
