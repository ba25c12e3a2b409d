"""Checkpoints: the repeated computation equals the first."""

from __future__ import annotations

import copy
import tracemalloc

import numpy as np
import pytest

import passus
import passus.functions as F
from passus import Parameter, Variable
from passus.errors import DTypeError
from passus.layers import Dropout, LayerNorm, Linear, Sequential
from passus.recompute import checkpoint
from passus.testing import check_grads

X = np.random.default_rng(0).standard_normal((6, 4))


def block() -> Sequential:
    passus.random.seed(0)
    model = Sequential(
        Linear(5, dtype=np.float64), F.tanh, Dropout(0.5), LayerNorm(dtype=np.float64), Linear(3, dtype=np.float64)
    )
    model(X)
    return model


def gradients_of(model, call):
    passus.random.seed(1)
    x = Variable(X)
    y = F.square(call(model, x))
    y.sum().backward()
    return [y.data, x.grad.data, *[p.grad.data for p in model.params()]]


def test_checkpoint_with_dropout_is_bit_identical():
    plain = gradients_of(block(), lambda model, x: model(x))
    again = gradients_of(block(), lambda model, x: checkpoint(model, x))
    for a, b in zip(plain, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_of_every_order():
    W = np.random.default_rng(1).standard_normal((4, 3))
    check_grads(lambda x, W: checkpoint(lambda x, W: F.tanh(x @ W), x, W), X, W, order=3)
    check_grads(lambda x, W: checkpoint(lambda x: F.tanh(x @ W), x), X, W, order=2)  # W is captured.
    check_grads(lambda x: checkpoint(lambda x: checkpoint(F.sin, x * x), x), X, order=2)  # Nested.
    check_grads(lambda x: checkpoint(lambda x: (F.sin(x), F.exp(x)), x), X, order=2)
    check_grads(lambda x: checkpoint(lambda x: (F.sin(x), F.exp(x)), x * 2.0)[1], X, order=2)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    ("call", "gradient"),
    [
        (lambda x: checkpoint(lambda a, b: a * b, x, x), 6.0),
        (lambda x: checkpoint(lambda a: a * x, x), 6.0),
        (lambda x: checkpoint(lambda a, y: a * y, x, x * x), 27.0),
        (lambda x: checkpoint(lambda a: a, x), 1.0),
    ],
)
def test_variable_passed_twice_receives_the_exact_gradient(call, gradient, create_graph):
    x = Variable(np.array(3.0))
    call(x).backward(create_graph=create_graph)
    assert x.grad == gradient


def test_repetition_draws_the_same_random_numbers():
    inner, outer = Dropout(0.5, rng=0), Dropout(0.5, rng=1)
    plain_inner, plain_outer = copy.deepcopy((inner, outer))
    x = Variable(np.ones(100))
    y = checkpoint(lambda x: checkpoint(inner, outer(checkpoint(inner, x))), x)
    np.testing.assert_array_equal(y.data, plain_inner(plain_outer(plain_inner(x.data))))
    state = inner.state_dict(), outer.state_dict()
    y.sum().backward()
    assert np.count_nonzero(y.data)
    np.testing.assert_array_equal(x.grad, y.data, err_msg="the gradient of x is y for x = 1")
    assert (inner.state_dict(), outer.state_dict()) == state, "a backward pass draws nothing"


def test_checkpoints_reduce_peak_memory():
    def peak(call):
        W = Parameter(np.eye(100))
        h = Variable(np.ones((1000, 100)))

        def block(h):
            for _ in range(10):
                h = F.tanh(h @ W)
            return h

        tracemalloc.start()
        for _ in range(8):
            h = call(block, h)
        h.backward()
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert W.grad is not None
        return size

    assert peak(checkpoint) < 0.4 * peak(lambda f, h: f(h))


def test_tuple_of_one_result():
    x = Variable(X)
    (y,) = checkpoint(lambda x: (x * 2.0,), x)
    y.backward()
    np.testing.assert_array_equal(x.grad, np.full(X.shape, 2.0))


def test_constants_and_no_grad():
    y = checkpoint(lambda x, c: x * c, Variable(X), 2.0)
    np.testing.assert_array_equal(y.data, 2 * X)
    with passus.no_grad():
        assert checkpoint(F.sin, Variable(X)).creator is None
    assert type(checkpoint(lambda x: Variable(x) * 1.0, X)) is Variable
    x = Variable(X)
    x.requires_grad = False
    assert not checkpoint(F.sin, x).requires_grad
    with passus.test_mode():
        y = checkpoint(Dropout(0.5), Variable(X))
    np.testing.assert_array_equal(y.data, X)
    y.backward()


def test_bad_input():
    with pytest.raises(DTypeError, match="checkpoint"):
        checkpoint(3, Variable(X))
    with pytest.raises(DTypeError, match="returned an ndarray; it must return Variables"):
        checkpoint(np.sin, X)
