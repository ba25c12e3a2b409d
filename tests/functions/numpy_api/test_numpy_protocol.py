"""NumPy's own functions on Variables: differentiable, without gradient, or unsupported."""

from __future__ import annotations

import numpy as np
import pytest

from passus import Variable
from passus.core.protocol import differentiable, without_gradient
from passus.errors import DTypeError

M = np.array([[0.6, -0.3, 0.8], [0.1, 0.5, -0.7]])
POSITIVE = abs(M)
SQUARE = np.array([[2.0, 0.5], [0.3, 1.0]])

CALLS = {
    np.abs: (M,),
    np.absolute: (M,),
    np.add: (M, M[0]),
    np.amax: (M,),
    np.amin: (M,),
    np.arccos: (M,),
    np.arcsin: (M,),
    np.arctan: (M,),
    np.average: (M,),
    np.broadcast_to: (M, (2, 2, 3)),
    np.ceil: (M,),
    np.clip: (M, -0.5, 0.5),
    np.concatenate: ([M, M],),
    np.cos: (M,),
    np.cosh: (M,),
    np.cumsum: (M, 1),
    np.divide: (M, POSITIVE),
    np.dot: (M, M.T),
    np.einsum: ("ij,kj->ik", M, M),
    np.exp: (M,),
    np.expand_dims: (M, -1),
    np.expm1: (M,),
    np.flip: (M, 1),
    np.floor: (M,),
    np.linalg.det: (SQUARE,),
    np.linalg.inv: (SQUARE,),
    np.linalg.norm: (M,),
    np.linalg.solve: (SQUARE, M),
    np.log: (POSITIVE,),
    np.log1p: (POSITIVE,),
    np.matmul: (M, M.T),
    np.max: (M, 0),
    np.maximum: (M, 0.2),
    np.mean: (M, 0),
    np.min: (M, 0),
    np.minimum: (M, 0.2),
    np.moveaxis: (M, 0, 1),
    np.multiply: (M, M),
    np.negative: (M,),
    np.outer: (M[0], M[1]),
    np.pad: (M, 1),
    np.positive: (M,),
    np.power: (POSITIVE, 3),
    np.prod: (M,),
    np.ravel: (M,),
    np.repeat: (M, 2, 0),
    np.reshape: (M, (3, 2)),
    np.roll: (M, 1),
    np.round: (M, 1),
    np.sign: (M,),
    np.sin: (M,),
    np.sinh: (M,),
    np.sort: (M,),
    np.split: (M, 3, 1),
    np.sqrt: (POSITIVE,),
    np.square: (M,),
    np.squeeze: (M[:1],),
    np.stack: ([M, M], 1),
    np.std: (M,),
    np.subtract: (M, 1.0),
    np.sum: (M, 0),
    np.swapaxes: (M, 0, 1),
    np.take_along_axis: (M, np.array([[0], [2]]), 1),
    np.tan: (M,),
    np.tanh: (M,),
    np.tensordot: (M, M.T, 1),
    np.tile: (M, 2),
    np.transpose: (M,),
    np.tril: (M,),
    np.triu: (M,),
    np.var: (M,),
    np.where: (M > 0, M, 0.0),
}

WITHOUT = {
    np.all: (M,),
    np.allclose: (M, M),
    np.any: (M,),
    np.argmax: (M,),
    np.argmin: (M, 1),
    np.argsort: (M,),
    np.array2string: (M,),
    np.array_equal: (M, M),
    np.array_repr: (M,),
    np.count_nonzero: (M,),
    np.equal: (M, 0.5),
    np.full_like: (M, 2.0),
    np.greater: (M, M[0]),
    np.isclose: (M, 0.5),
    np.isfinite: (M,),
    np.isinf: (M,),
    np.isnan: (M,),
    np.less_equal: (M, 0.5),
    np.logical_and: (M, M),
    np.logical_not: (M,),
    np.may_share_memory: (M, M),
    np.ndim: (M,),
    np.nonzero: (M,),
    np.ones_like: (M,),
    np.result_type: (M, np.float32),
    np.shape: (M,),
    np.shares_memory: (M, M),
    np.signbit: (M,),
    np.size: (M,),
    np.zeros_like: (M,),
}


def named(calls):
    return [pytest.param(f, args, id=f.__name__) for f, args in calls.items()]


def boxed(value, box):
    if isinstance(value, list):
        return [boxed(v, box) for v in value]
    return box(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def flat(result):
    return result if isinstance(result, (tuple, list)) else [result]


@pytest.mark.parametrize(("function", "args"), named(CALLS))
def test_functions_with_a_rule_return_variables(function, args):
    for y, expected in zip(flat(function(*boxed(list(args), Variable))), flat(function(*args)), strict=True):
        assert type(y) is Variable
        assert y.requires_grad
        np.testing.assert_allclose(y.data, expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("function", "args"), named(WITHOUT))
def test_functions_without_gradient_return_the_results_for_arrays(function, args):
    found, expected = function(*boxed(list(args), Variable)), function(*args)
    assert not any(isinstance(a, Variable) for a in flat(found))
    np.testing.assert_array_equal(found, expected)


def test_differentiable_and_non_differentiable_functions_are_disjoint():
    assert not without_gradient & set(differentiable)


def test_gradients_flow_through_numpy_functions():
    x = Variable(np.array([0.5, 1.0, 2.0]))
    np.sum(np.maximum(np.log(np.concatenate([x, x])), 0.0)).backward()
    np.testing.assert_allclose(x.grad.data, [0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: np.add.at(x, [0], 1.0), "np.add.at"),
        (lambda x: np.add.reduceat(x, [0]), "np.add.reduceat"),
        (lambda x: np.divide.reduce(x), "np.divide.reduce"),
        (lambda x: np.nextafter.outer(x, x), "np.nextafter.outer"),
        (lambda x: np.add(x, 1.0, where=np.array([True, False])), "np.add with where"),
        (lambda x: np.exp(x, signature="d->d"), "np.exp with signature"),
        (lambda x: np.add(x.data, 1.0, out=x), "np.add with out"),
        (lambda x: np.sum(x, out=np.zeros(())), "np.sum with out"),
        (lambda x: np.sum(x, 0, None, np.zeros(())), "np.sum with out"),
        (lambda x: np.add.reduce(x, out=np.zeros(())), "np.add.reduce"),
        (lambda x: np.quantile(x, 0.5, weights=x, method="inverted_cdf"), "np.quantile with weights"),
        (lambda x: np.spacing(x), "np.spacing"),
        (lambda x: np.polyfit(x, x, 1), "np.polyfit"),
        (lambda x: np.linalg.svd(x.reshape(1, 2)), "np.linalg.svd .*full_matrices=False"),
        (lambda x: np.linalg.qr(x.reshape(2, 1), mode="complete"), "np.linalg.qr .*mode"),
        (lambda x: np.linalg.eigvals(x.reshape(1, 2) * x.reshape(2, 1)), "np.linalg.eigvals"),
    ],
)
def test_functions_without_a_rule_raise(call, name):
    x = Variable(np.array([1.0, 2.0]))
    with pytest.raises(DTypeError, match=rf"{name}.* has no differentiable rule.*passus\.functions.*x\.data"):
        call(x)
    np.testing.assert_array_equal(x.data, [1.0, 2.0])


def test_gradients_can_be_used_in_in_place_operations():
    x = Variable(np.array([1.0, 2.0]))
    array = x.data
    (x * x).backward()
    x.data -= 0.5 * x.grad
    assert x.data is array
    np.testing.assert_array_equal(array, [0.0, 0.0])
    array += x.grad
    np.testing.assert_array_equal(x.data, [2.0, 4.0])


def test_gradients_behave_as_arrays_in_numpy_comparisons():
    x = Variable(np.array([1.0, 2.0]))
    (x * x).backward()
    expected = np.array([2.0, 4.0])
    np.testing.assert_allclose(x.grad, expected)
    np.testing.assert_array_equal(expected, x.grad)
    assert np.allclose(x.grad, expected)
    assert np.array_equal(expected, x.grad)
    assert (expected == x.grad).all()
    assert (x.grad == expected).all()
    np.testing.assert_array_equal(np.asarray(x.grad, dtype=np.float32), expected)


def test_clip_accepts_both_names_of_its_bounds():
    x = Variable(M)
    for y in (np.clip(x, a_min=-0.5, a_max=0.5), np.clip(x, min=-0.5, max=0.5), x.clip(-0.5, 0.5)):
        np.testing.assert_array_equal(y.data, np.clip(M, -0.5, 0.5))


def test_options_of_functions_with_a_rule():
    x = Variable(M)
    assert np.sum(x, axis=-1, keepdims=True).shape == (2, 1)
    assert np.concatenate([x, M], axis=1).shape == (2, 6)
    assert np.pad(x, ((0, 0), (1, 2)), mode="reflect").shape == (2, 6)
    assert np.reshape(x, shape=(6,)).shape == (6,)


def test_functions_of_submodules_are_named_in_full() -> None:
    with pytest.raises(TypeError, match=r"^np\.linalg\.eig has no differentiable rule"):
        np.linalg.eig(Variable(np.eye(2)))
