"""The functions that transform functions, against closed forms."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import passus
import passus.functions as F
from passus import Function, Parameter, Variable, no_grad
from passus.core.backward import gradients
from passus.errors import ArgumentError, DTypeError, GraphError, PassusError, ShapeError
from passus.grad import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from passus.layers import Linear, Sequential
from passus.tree import tree_map

CONSTANTS = np.random.default_rng(7)
A = CONSTANTS.standard_normal((3, 3))
x3 = CONSTANTS.standard_normal(3)
v3 = CONSTANTS.standard_normal(3)


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


def test_jacobian_of_matrices_has_the_axes_of_both(rng):
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


# One Variable or several, to and fro.


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
def test_gradients_refuse(call, error, match) -> None:
    with pytest.raises(error, match=match):
        call(Variable(x3))


# Dicts, lists, tuples and layers.


class Pair(NamedTuple):
    a: Any
    b: Any


W, B = CONSTANTS.standard_normal((3, 2)), CONSTANTS.standard_normal(2)
FORMS = {
    "dict": ({"W": W, "b": B}, lambda p: (p["W"], p["b"])),
    "list": ([W, B], lambda p: p),
    "tuple": ((W, B), lambda p: p),
    "named tuple": (Pair(W, B), lambda p: (p.a, p.b)),
    "nested": ({"layers": [{"W": W}, None, (B,)]}, lambda p: (p["layers"][0]["W"], p["layers"][2][0])),
}
EACH_FORM = pytest.mark.parametrize(("form", "parts"), FORMS.values(), ids=FORMS)


def loss(W, b):
    return (F.tanh(x3 @ W + b) ** 2).sum()


def assert_like(given: Any, expected: Any) -> None:
    """The same structure with the same numbers."""
    assert type(given) is type(expected)
    if isinstance(expected, dict):
        assert given.keys() == expected.keys()
        given, expected = list(given.values()), list(expected.values())
    if isinstance(expected, (list, tuple)):
        assert len(given) == len(expected)
        for a, b in zip(given, expected):
            assert_like(a, b)
    elif expected is not None:
        np.testing.assert_allclose(given, expected, rtol=1e-12, atol=1e-14)


@EACH_FORM
def test_derivatives_come_in_the_form_of_the_argument(form, parts) -> None:
    f = lambda p: loss(*parts(p))  # noqa: E731
    gW, gb = grad(loss, (0, 1))(W, B)
    expected = parts(grad(f)(form))
    assert_like(tree_map(np.shape, grad(f)(form)), tree_map(np.shape, form))
    assert_like(tuple(expected), (gW, gb))
    value, gradient = value_and_grad(f)(form)
    np.testing.assert_allclose(value, loss(W, B))
    assert_like(gradient, grad(f)(form))
    assert_like(
        grad(lambda k, p: k * f(p), (0, 1))(2.0, form), (np.asarray(value), tree_map(lambda g: 2 * g, gradient))
    )

    (WW, Wb), (bW, bb) = hessian(loss, (0, 1))(W, B)
    H = hessian(f)(form)
    assert_like(tuple(tuple(parts(row)) for row in parts(H)), ((WW, Wb), (bW, bb)))
    J = jacobian(lambda p: F.tanh(x3 @ parts(p)[0] + parts(p)[1]))(form)
    assert_like(tuple(parts(J)), jacobian(lambda W, b: F.tanh(x3 @ W + b), (0, 1))(W, B))

    v = tree_map(np.cos, form)
    _, along = jvp(f, (form,), (v,))
    np.testing.assert_allclose(along, sum((g * d).sum() for g, d in zip((gW, gb), parts(v))))
    expected = hvp(loss, (W, B), tuple(parts(v)))
    assert_like(tuple(parts(hvp(f, (form,), (v,)))), expected)
    _, pull = vjp(f, form)
    assert_like(pull(np.asarray(2.0)), tree_map(lambda g: 2 * g, gradient))
    assert_like(pull(np.asarray(2.0)), tree_map(lambda g: 2 * g, gradient))


def test_results_come_in_their_form_too() -> None:
    f = lambda x: {"square": x**2, "more": [x.sum(), (x[0], None)]}  # noqa: E731
    e = np.eye(3)[0]
    assert_like(jacobian(f)(x3), {"square": np.diag(2 * x3), "more": [np.ones(3), (e, None)]})
    y, along = jvp(f, x3, v3)
    assert_like(y, {"square": x3**2, "more": [np.asarray(x3.sum()), (np.asarray(x3[0]), None)]})
    assert_like(along, {"square": 2 * x3 * v3, "more": [np.asarray(v3.sum()), (np.asarray(v3[0]), None)]})
    _, pull = vjp(f, x3)
    np.testing.assert_allclose(pull({"square": v3, "more": [1.0, (2.0, None)]}), 2 * x3 * v3 + 1 + 2 * e)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_forms_keep_their_dtypes(dtype) -> None:
    form = {"W": W.astype(dtype), "b": B}
    g = grad(lambda p: (F.tanh(x3.astype(dtype) @ p["W"]) + p["b"]).sum())(form)
    assert [g["W"].dtype, g["b"].dtype] == [dtype, np.float64]


def test_variables_in_forms_are_differentiable() -> None:
    form = {"a": Variable(x3), "b": v3}
    g = grad(lambda p: (p["a"] ** 3 * p["b"]).sum())(form)
    assert isinstance(g["b"], Variable)
    g["a"].sum().backward()
    np.testing.assert_allclose(form["a"].grad.data, 6 * x3 * v3)


def test_empty_forms() -> None:
    assert grad(lambda p: Variable(np.array(1.0)))({}) == {}
    assert grad(lambda p: Variable(np.array(1.0)))([]) == []
    assert grad(lambda p, x: x.sum(), (0, 1))(None, x3)[0] is None
    assert_like(grad(lambda p: p["a"].sum())({"a": np.zeros((0, 2))}), {"a": np.zeros((0, 2))})


# A layer stands for its parameters.


def network(dtype: Any = np.float64, lazy: bool = False) -> Sequential:
    sizes = (None, None) if lazy else (3, 4)
    return Sequential(
        Linear(4, in_size=sizes[0], dtype=dtype, rng=0), F.tanh, Linear(1, in_size=sizes[1], dtype=dtype, rng=1)
    )


def squared(model: Any, x: Any) -> Any:
    return (model(x) ** 2).sum()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("lazy", [False, True])
def test_gradients_by_the_parameters_of_a_layer(dtype, lazy, rng: np.random.Generator) -> None:
    model, x = network(dtype, lazy), rng.standard_normal((5, 3)).astype(dtype)
    for _ in range(2):
        value, gradient = value_and_grad(squared)(model, x)
    assert all(p.grad is None for p in model.params())
    loss = squared(model, x)
    loss.backward()
    assert list(gradient) == ["l0.W", "l0.b", "l2.W", "l2.b"]
    np.testing.assert_allclose(value, loss.data)
    for path, p in model.named_params():
        assert gradient[path].dtype == dtype
        np.testing.assert_array_equal(gradient[path].data, p.grad.data)
    with no_grad():
        plain = grad(squared)(model, x)
    assert not plain["l0.W"].requires_grad
    gm, gx = grad(squared, (0, 1))(model, x)
    assert gx.shape == x.shape
    np.testing.assert_array_equal(gm["l2.b"].data, gradient["l2.b"].data)


def test_second_derivatives_by_the_parameters_of_a_layer(rng: np.random.Generator) -> None:
    model, x = network(), rng.standard_normal((5, 3))
    values = {path: p.data.copy() for path, p in model.named_params()}

    def functional(p: Any) -> Any:
        return ((F.tanh(x @ p["l0.W"] + p["l0.b"]) @ p["l2.W"] + p["l2.b"]) ** 2).sum()

    f = lambda model: squared(model, x)  # noqa: E731
    unboxed = lambda tree: tree_map(lambda v: np.asarray(v.data if isinstance(v, Variable) else v), tree)  # noqa: E731
    assert_like(unboxed(hessian(f)(model)), hessian(functional)(values))
    v = {path: np.cos(p) for path, p in values.items()}
    assert_like(unboxed(hvp(f, model, v)), hvp(functional, values, v))
    assert_like(unboxed(jvp(f, model, v)[1]), jvp(functional, values, v)[1])
    assert_like(
        unboxed(jacobian(lambda model: model(x))(model)),
        jacobian(lambda p: F.tanh(x @ p["l0.W"] + p["l0.b"]) @ p["l2.W"] + p["l2.b"])(values),
    )
    _, pull = vjp(f, model)
    assert_like(unboxed(pull(1.0)), grad(functional)(values))
    penalty = sum((g**2).sum() for g in grad(f)(model).values())
    penalty.backward()
    expected = grad(lambda p: sum((g**2).sum() for g in grad(functional)(p).values()))(values)
    assert_like({path: p.grad.data for path, p in model.named_params()}, expected)
    for path, p in model.named_params():
        np.testing.assert_array_equal(p.data, values[path])


def test_frozen_parameters_are_left_out() -> None:
    model = network()
    model.l0.freeze()
    assert list(grad(squared)(model, x3[None])) == ["l2.W", "l2.b"]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: grad(lambda p: p["a"].sum())({"a": np.array([1])}), DTypeError, "int64 is undefined"),
        (lambda: grad(lambda p: p["a"].sum())({"a": "name"}), DTypeError, "str"),
        (lambda: grad(lambda p: p.sum())([1.0, 2.0]), DTypeError, r"write np\.array\(\[1\.0, 2\.0\]\)"),
        (lambda: grad(lambda p: {"loss": p.sum()})(x3), ArgumentError, "one number.*several"),
        (lambda: jvp(lambda p: p["a"], {"a": x3}, {"b": x3}), ArgumentError, "expected a dict with a, not b"),
        (lambda: jvp(lambda p: p["a"], {"a": x3}, x3), ArgumentError, "not an ndarray"),
        (lambda: hvp(lambda p: p["a"].sum(), {"a": x3}, {"a": np.ones(2)}), ShapeError, r"\(2,\)"),
        (lambda: hvp(cubes, (x3,), (v3, v3)), ArgumentError, "2 for 1"),
        (lambda: vjp(lambda x: {"a": x}, x3)[1]({"b": x3}), ArgumentError, "expected a dict with a"),
        (lambda: vjp(lambda x: {"a": x}, x3)[1](), ArgumentError, "0 were given"),
        (lambda: vjp(lambda x: [x, (x,)], x3)[1](v3, v3), ArgumentError, "expected 1 items"),
    ],
)
def test_forms_that_do_not_fit(call, error, match) -> None:
    with pytest.raises(error, match=match):
        call()
