"""`vjp`, `jvp`, `jacobian`, `hessian` and `hvp` against closed forms."""

from __future__ import annotations

import numpy as np

from passus import Variable
from passus.grad import hessian, hvp, jacobian, jvp, vjp
from tests.grad.functions import FIELD_JACOBIAN, A, cubes, field, quadratic, v3, x3


def test_vjp_function_can_be_called_repeatedly():
    y, backward = vjp(field, x3)
    np.testing.assert_allclose(y, [x3[0] * x3[1], np.sin(x3[2])])
    for gy in np.eye(2):
        np.testing.assert_allclose(backward(gy), gy @ FIELD_JACOBIAN)


def test_vjp_of_several_arguments_and_results():
    (s, p), backward = vjp(lambda x, y: (x + y, x * y), x3, v3)
    np.testing.assert_allclose(s, x3 + v3)
    np.testing.assert_allclose(p, x3 * v3)
    gx, gy = backward(np.ones(3), 2 * np.ones(3))
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


def test_jvp_and_vjp_are_differentiable_by_their_vectors():
    v = Variable(v3)
    _, along = jvp(field, x3, v)
    along.sum().backward()
    np.testing.assert_allclose(v.grad.data, FIELD_JACOBIAN.sum(axis=0))
    gy = Variable(np.ones(2))
    vjp(field, x3)[1](gy).sum().backward()
    np.testing.assert_allclose(gy.grad.data, FIELD_JACOBIAN.sum(axis=1))


def test_jacobian():
    np.testing.assert_allclose(jacobian(field)(x3), FIELD_JACOBIAN)


def test_jacobian_of_matrices_has_output_and_input_axes(rng):
    J = jacobian(lambda x: x @ A)(rng.standard_normal((2, 3)))
    assert J.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(J, np.einsum("il,jk->iklj", np.eye(2), A))


def test_jacobian_of_several_results_by_several_arguments():
    (sx, sy), (px, py) = jacobian(lambda x, y: (x + y, x * y), (0, 1))(x3, v3)
    np.testing.assert_allclose(sx, np.eye(3))
    np.testing.assert_allclose(sy, np.eye(3))
    np.testing.assert_allclose(px, np.diag(v3))
    np.testing.assert_allclose(py, np.diag(x3))


def test_jacobian_of_scalar_and_empty_results():
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
