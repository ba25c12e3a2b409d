"""Reductions, products and linear algebra beyond the table of functions: special values, layouts, NumPy's names."""

from __future__ import annotations

import numpy as np
import pytest

import passus.functions as F
from passus import Parameter, Variable
from passus.errors import ArgumentError, ShapeError
from passus.testing import check_grads


def gradient(f, x):
    x = Variable(np.asarray(x))
    f(x).sum().backward()
    return x.grad.data


@pytest.mark.parametrize("f", [F.max, F.min])
def test_tied_extremes_share_the_gradient_equally(f):
    x = np.array([[2.0, 2.0, 2.0], [1.0, 3.0, 1.0]])
    x = x if f is F.max else -x
    np.testing.assert_allclose(gradient(f, x), [[0, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(gradient(lambda x: f(x, axis=-1), x), [[1 / 3, 1 / 3, 1 / 3], [0, 1, 0]])
    np.testing.assert_allclose(gradient(lambda x: f(x, axis=0), x), [[1, 0, 1], [0, 1, 0]])


def test_max_propagates_nan():
    assert np.isnan(F.max(np.array([1.0, np.nan])))


def test_prod_with_several_zeros():
    np.testing.assert_array_equal(gradient(F.prod, [0.0, 2.0, 3.0]), [6, 0, 0])
    np.testing.assert_array_equal(gradient(F.prod, [0.0, 0.0, 3.0]), [0, 0, 0])
    x = Variable(np.array([0.0, 0.0, 3.0]))
    F.prod(x).backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    gx[0].backward()
    np.testing.assert_array_equal(x.grad.data, [0, 3, 0])  # d2/dx0 dx1 = x2


def test_logsumexp_of_large_and_infinite_numbers():
    inf = np.inf
    assert F.logsumexp(np.array([-1000.0, -1000.0])) == -1000 + np.log(2)
    assert F.logsumexp(np.array([-inf, -inf])) == -inf
    assert F.logsumexp(np.array([inf, 1e300])) == inf
    assert F.logsumexp(np.zeros((0,))) == -inf
    np.testing.assert_array_equal(gradient(F.logsumexp, [-inf, -inf]), [0, 0])
    np.testing.assert_array_equal(gradient(F.logsumexp, [-inf, 5.0]), [0, 1])
    np.testing.assert_allclose(gradient(lambda x: F.logsumexp(x, 1), [[-inf, -inf], [1e4, 1e4]]), [[0, 0], [0.5, 0.5]])


def test_logsumexp_of_integers():
    assert F.logsumexp(np.array([0, 0])) == np.log(2)


@pytest.mark.parametrize("ord", [1, 1.5, 2, 3, np.inf])
def test_norm_of_zeros_has_gradient_zero(ord):
    x = np.array([[0.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(gradient(lambda x: F.norm(x, ord, axis=1), x), [[0, 0], [0, 1]])


def test_std_of_equal_numbers_has_gradient_zero():
    np.testing.assert_array_equal(gradient(lambda x: F.std(x, axis=1), np.ones((2, 3))), np.zeros((2, 3)))


def test_empty_mean_raises():
    with pytest.raises(ShapeError, match=r"mean\(float32\[0, 10\]\): the mean of no elements"):
        Variable(np.ones((0, 10), np.float32)).mean()


def test_linear_computes_only_what_is_needed(rng):
    x, W, b = rng.standard_normal((4, 3)), Parameter(np.ones((3, 2))), Parameter(np.zeros(2))
    y = F.linear(x, W, b)
    gx, gW, gb = y.creator.backward(np.ones((4, 2)))
    assert gx is None
    assert gW.flags.c_contiguous
    assert gW.base is None
    assert gb.base is None
    W.requires_grad = False
    assert F.linear(x, W, b).creator.backward(np.ones((4, 2)))[1] is None


def test_linear_does_not_write_into_its_inputs():
    x, W, b = np.ones((1, 3)), np.ones((3, 2)), np.ones(2)
    for array in (x, W, b):
        array.flags.writeable = False
    np.testing.assert_array_equal(F.linear(x, W, b), [[4.0, 4.0]])


def test_linear_of_integers_is_differentiable_by_the_weights():
    W, b = Parameter(np.ones((3, 2))), Parameter(np.zeros(2))
    F.linear(np.arange(6).reshape(2, 3), W, b).sum().backward()
    np.testing.assert_array_equal(W.grad.data, [[3, 3], [5, 5], [7, 7]])
    np.testing.assert_array_equal(b.grad.data, [2, 2])


def test_linear_shape_error_suggests_a_transposed_weight_only_if_it_fits():
    with pytest.raises(ShapeError, match=r"linear\(float64\[8, 4\], float64\[3, 4\], float64\[3\]\): .*W\.T"):
        F.linear(np.ones((8, 4)), np.ones((3, 4)), np.ones(3))
    with pytest.raises(ShapeError, match="x has 4 numbers in its last axis, and W takes 5; x ") as caught:
        F.linear(np.ones((8, 4)), np.ones((5, 3)), np.ones(3))
    assert "W.T" not in str(caught.value)


def test_matmul_operator_on_either_side(rng):
    x, A = Variable(rng.standard_normal((3, 3))), rng.standard_normal((3, 3))
    np.testing.assert_allclose((x @ A).data, x.data @ A)
    np.testing.assert_allclose((A @ x).data, A @ x.data)
    check_grads(lambda x: A @ x @ A, x.data)


def test_einsum_sums_over_an_ellipsis_missing_in_the_result(rng):
    x = rng.standard_normal((2, 3, 4))
    np.testing.assert_allclose(F.einsum("i...->i", x), x.sum(axis=(1, 2)))
    check_grads(lambda x: F.einsum("i...->i", x), x)


def test_inverse_is_differentiable_to_the_third_order(rng):
    check_grads(F.inv, 0.2 * rng.standard_normal((2, 2)) + np.eye(2), order=3)


def test_cholesky_uses_the_symmetric_part():
    A = np.array([[4.0, 3.0], [1.0, 2.0]])
    np.testing.assert_allclose(F.cholesky(A), [[2, 0], [1, 1]])
    g = gradient(F.cholesky, A)
    np.testing.assert_allclose(g, g.T)


def test_slogdet_does_not_overflow():
    sign, logdet = F.slogdet(Variable(-1e200 * np.eye(3)))
    assert sign.data == -1
    np.testing.assert_allclose(logdet.data, 600 * np.log(10))
    logdet.backward()


def test_gradient_of_logdet_of_a_singular_matrix_raises():
    with pytest.raises(ArgumentError, match="Singular matrix") as caught:
        gradient(lambda x: F.slogdet(x)[1], np.ones((2, 2)))
    assert "det" in caught.value.__notes__[0]


def adjugate(x):
    n = len(x)
    minors = [[np.delete(np.delete(x, i, 0), j, 1) for i in range(n)] for j in range(n)]
    return np.array([[(-1) ** (i + j) * np.linalg.det(minors[i][j]) for j in range(n)] for i in range(n)])


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
def test_gradient_of_det_is_the_adjugate_for_every_rank(rank, rng):
    x = rng.standard_normal((4, rank)) @ rng.standard_normal((rank, 4))
    np.testing.assert_allclose(gradient(F.det, x), adjugate(x).T, rtol=1e-9, atol=1e-12)
    check_grads(F.det, x, order=2)
    check_grads(F.det, np.stack([x, np.eye(4)]), order=2)


def test_gradient_of_det_is_accurate_near_a_singular_matrix():
    x = np.ones((3, 3)) + np.diag([0.0, 1.0, 1e-13])
    np.testing.assert_allclose(gradient(F.det, x), adjugate(x).T, rtol=1e-9, atol=1e-12)


def test_third_derivative_of_det(rng):
    check_grads(F.det, rng.standard_normal((3, 3)) + 2 * np.eye(3), order=3)


def test_decompositions_have_named_fields():
    x = Variable(SQUARE @ SQUARE.T)
    assert np.linalg.slogdet(x)._fields == F.slogdet(x)._fields == ("sign", "logabsdet")
    assert np.linalg.eigh(x)._fields == ("eigenvalues", "eigenvectors")
    assert np.linalg.svd(x)._fields == ("U", "S", "Vh")
    assert np.linalg.qr(x)._fields == ("Q", "R")


@pytest.mark.parametrize("upper", [False, True])
def test_numpy_cholesky_reads_one_triangle(upper, rng):
    x = rng.standard_normal((3, 3)) + 4 * np.eye(3)
    half, other = (np.triu, np.tril) if upper else (np.tril, np.triu)
    v = Variable(x)
    y = np.linalg.cholesky(v, upper=upper)
    np.testing.assert_allclose(y.data, np.linalg.cholesky(x, upper=upper))
    y.sum().backward()
    np.testing.assert_array_equal(other(v.grad.data, 1 if not upper else -1), 0)
    assert (half(v.grad.data) == v.grad.data).all()


@pytest.mark.parametrize("f", [F.eigvalsh, F.svdvals, lambda x: np.linalg.norm(x, "nuc")])
def test_gradients_for_equal_eigenvalues_are_finite(f):
    g = gradient(f, np.eye(3) * 2.0)
    np.testing.assert_allclose(g, np.eye(3), atol=1e-12)


def test_matrix_function_gradient_for_equal_eigenvalues():
    def power(x):
        w, v = F.eigh(x)
        return (v * w**3) @ v.T

    x = np.diag([2.0, 2.0, 5.0])
    direction = np.diag([1.0, 1.0, -0.5])
    v = Variable(x)
    (power(v) * direction).sum().backward()
    np.testing.assert_allclose(v.grad.data, 3 * x @ x @ direction, atol=1e-12)


SQUARE = 0.1 * np.random.default_rng(3).standard_normal((3, 3)) + np.eye(3)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x, axis=0),
        lambda x: np.mean(x, axis=1, keepdims=True),
        lambda x: np.average(x),
        lambda x: np.var(x, axis=0, ddof=1),
        lambda x: np.std(x),
        lambda x: np.prod(x),
        lambda x: np.cumsum(x, axis=1),
        lambda x: np.max(x),
        lambda x: np.amin(x, axis=1),
        lambda x: np.matmul(x, x),
        lambda x: np.dot(x, x[0]),
        lambda x: np.outer(x[0], x[1]),
        lambda x: np.einsum("ij,kj->ik", x, x),
        lambda x: np.tensordot(x, x, axes=([1], [0])),
        lambda x: np.trace(x),
        lambda x: np.diagonal(x, offset=1),
        lambda x: np.linalg.inv(x),
        lambda x: np.linalg.solve(x, np.ones(3)),
        lambda x: np.linalg.det(x),
        lambda x: np.linalg.slogdet(x)[1],
        lambda x: np.linalg.cholesky(x @ x.T),
        lambda x: np.linalg.norm(x),
        lambda x: np.linalg.norm(x, 1, axis=0),
    ],
)
def test_numpy_functions_of_variables(f):
    y = f(Variable(SQUARE))
    assert isinstance(y, Variable)
    np.testing.assert_allclose(y.data, f(SQUARE), rtol=1e-12, atol=1e-12)
    check_grads(f, SQUARE, order=1)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("sum", (0, True)),
        ("mean", (1,)),
        ("var", (0,)),
        ("std", ()),
        ("max", (1,)),
        ("min", (0,)),
        ("prod", (1,)),
        ("cumsum", (0,)),
        ("dot", (SQUARE,)),
    ],
)
def test_methods_agree_with_ndarray_methods(method, arguments):
    x = Variable(SQUARE)
    expected = np.sum(SQUARE, 0, keepdims=True) if method == "sum" else getattr(SQUARE, method)(*arguments)
    np.testing.assert_allclose(getattr(x, method)(*arguments).data, expected, rtol=1e-12)


def test_norms_of_unknown_order_raise():
    with pytest.raises(ArgumentError, match=r"matrix' norm is 'fro', 'nuc'.*not 3"):
        np.linalg.norm(Variable(SQUARE), 3)
    with pytest.raises(ArgumentError, match="a number, not 'nuc'"):
        np.linalg.norm(Variable(SQUARE[0]), "nuc")
