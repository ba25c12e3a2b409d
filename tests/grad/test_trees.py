"""Derivatives with respect to dicts, lists, tuples and layers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import passus.functions as F
from passus import Variable, no_grad
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.grad import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from passus.layers import Linear, Sequential
from passus.tree import tree_map
from tests.grad.functions import CONSTANTS, cubes, v3, x3


class Pair(NamedTuple):
    a: Any
    b: Any


W, B = CONSTANTS.standard_normal((3, 2)), CONSTANTS.standard_normal(2)
TREES = {
    "dict": ({"W": W, "b": B}, lambda p: (p["W"], p["b"])),
    "list": ([W, B], lambda p: p),
    "tuple": ((W, B), lambda p: p),
    "named tuple": (Pair(W, B), lambda p: (p.a, p.b)),
    "nested": ({"layers": [{"W": W}, None, (B,)]}, lambda p: (p["layers"][0]["W"], p["layers"][2][0])),
}
each_tree = pytest.mark.parametrize(("tree", "leaves"), TREES.values(), ids=TREES)


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


@each_tree
def test_derivatives_have_the_structure_of_the_argument(tree, leaves) -> None:
    f = lambda p: loss(*leaves(p))  # noqa: E731
    gW, gb = grad(loss, (0, 1))(W, B)
    expected = leaves(grad(f)(tree))
    assert_like(tree_map(np.shape, grad(f)(tree)), tree_map(np.shape, tree))
    assert_like(tuple(expected), (gW, gb))
    value, gradient = value_and_grad(f)(tree)
    np.testing.assert_allclose(value, loss(W, B))
    assert_like(gradient, grad(f)(tree))
    assert_like(
        grad(lambda k, p: k * f(p), (0, 1))(2.0, tree), (np.asarray(value), tree_map(lambda g: 2 * g, gradient))
    )

    (WW, Wb), (bW, bb) = hessian(loss, (0, 1))(W, B)
    H = hessian(f)(tree)
    assert_like(tuple(tuple(leaves(row)) for row in leaves(H)), ((WW, Wb), (bW, bb)))
    J = jacobian(lambda p: F.tanh(x3 @ leaves(p)[0] + leaves(p)[1]))(tree)
    assert_like(tuple(leaves(J)), jacobian(lambda W, b: F.tanh(x3 @ W + b), (0, 1))(W, B))

    v = tree_map(np.cos, tree)
    _, along = jvp(f, (tree,), (v,))
    np.testing.assert_allclose(along, sum((g * d).sum() for g, d in zip((gW, gb), leaves(v))))
    expected = hvp(loss, (W, B), tuple(leaves(v)))
    assert_like(tuple(leaves(hvp(f, (tree,), (v,)))), expected)
    _, backward = vjp(f, tree)
    assert_like(backward(np.asarray(2.0)), tree_map(lambda g: 2 * g, gradient))
    assert_like(backward(np.asarray(2.0)), tree_map(lambda g: 2 * g, gradient))


def test_derivatives_have_the_structure_of_the_result() -> None:
    f = lambda x: {"square": x**2, "more": [x.sum(), (x[0], None)]}  # noqa: E731
    e = np.eye(3)[0]
    assert_like(jacobian(f)(x3), {"square": np.diag(2 * x3), "more": [np.ones(3), (e, None)]})
    y, along = jvp(f, x3, v3)
    assert_like(y, {"square": x3**2, "more": [np.asarray(x3.sum()), (np.asarray(x3[0]), None)]})
    assert_like(along, {"square": 2 * x3 * v3, "more": [np.asarray(v3.sum()), (np.asarray(v3[0]), None)]})
    _, backward = vjp(f, x3)
    np.testing.assert_allclose(backward({"square": v3, "more": [1.0, (2.0, None)]}), 2 * x3 * v3 + 1 + 2 * e)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_derivatives_have_the_dtypes_of_the_leaves(dtype) -> None:
    tree = {"W": W.astype(dtype), "b": B}
    g = grad(lambda p: (F.tanh(x3.astype(dtype) @ p["W"]) + p["b"]).sum())(tree)
    assert [g["W"].dtype, g["b"].dtype] == [dtype, np.float64]


def test_variables_in_trees_are_differentiable() -> None:
    tree = {"a": Variable(x3), "b": v3}
    g = grad(lambda p: (p["a"] ** 3 * p["b"]).sum())(tree)
    assert isinstance(g["b"], Variable)
    g["a"].sum().backward()
    np.testing.assert_allclose(tree["a"].grad.data, 6 * x3 * v3)


def test_empty_trees() -> None:
    assert grad(lambda p: Variable(np.array(1.0)))({}) == {}
    assert grad(lambda p: Variable(np.array(1.0)))([]) == []
    assert grad(lambda p, x: x.sum(), (0, 1))(None, x3)[0] is None
    assert_like(grad(lambda p: p["a"].sum())({"a": np.zeros((0, 2))}), {"a": np.zeros((0, 2))})


# Layers.


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
    _, backward = vjp(f, model)
    assert_like(unboxed(backward(1.0)), grad(functional)(values))
    penalty = sum((g**2).sum() for g in grad(f)(model).values())
    penalty.backward()
    expected = grad(lambda p: sum((g**2).sum() for g in grad(functional)(p).values()))(values)
    assert_like({path: p.grad.data for path, p in model.named_params()}, expected)
    for path, p in model.named_params():
        np.testing.assert_array_equal(p.data, values[path])


def test_frozen_parameters_are_omitted() -> None:
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
def test_mismatched_trees_raise(call, error, match) -> None:
    with pytest.raises(error, match=match):
        call()
