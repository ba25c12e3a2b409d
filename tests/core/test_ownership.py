"""Memory: the objects that a graph keeps alive, retained gradients, and the ownership of gradient arrays."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from passus import Function, Parameter, Variable
from passus.core import add, broadcast_to, sum_to
from passus.core.backward import gradients
from passus.functions import exp, mul, square
from tests.core.graphs import leaf


def test_training_step_leaves_no_reference_cycle():
    W, x = Parameter(np.ones((3, 2))), np.ones((4, 3))

    def step():
        W.cleargrad()
        y = square(exp(add(mul(W, 2.0), broadcast_to(W, (5, 3, 2)))))
        y.backward()
        W.data -= 0.1 * W.grad
        return x

    step()
    np.testing.assert_no_gc_cycles(step)


def test_the_graph_is_freed_with_its_end():
    gc.disable()
    try:
        x = leaf(1.0)
        y = exp(square(x))
        middle = weakref.ref(y.creator.input)
        y.backward()
        assert middle() is not None
        del y
        assert middle() is None
    finally:
        gc.enable()


def test_intermediate_gradients_are_retained_only_on_request():
    x = leaf(1.0)
    a = square(x)
    y = exp(a)
    y.backward()
    assert (a.grad, y.grad) == (None, None)
    assert x.grad is not None
    y.backward(retain_grad=True)
    assert y.grad == 1.0
    np.testing.assert_allclose(a.grad, np.e)


def test_retained_gradients_do_not_accumulate():
    x = leaf(1.0)
    a = square(x)
    y = add(a, a)
    y.backward(retain_grad=True)
    y.cleargrad()
    y.backward(retain_grad=True)
    assert a.grad == 2.0
    assert x.grad == 8.0  # The gradient of a leaf accumulates.


class Transposed(Function):
    """Rules that return a view: of a new array, of an array that is referenced elsewhere, or of a slice."""

    def __init__(self, way):
        self.way, self.made = way, []

    def forward(self, x):
        return x.T.copy()

    def backward(self, gy):
        array = np.zeros((4, 3) if self.way == "slice" else (2, 3))
        array[:2] = 2 * gy
        if self.way == "referenced":
            self.made.append(array)
        if self.way == "another view referenced":
            self.made.append(array[:1])
        self.address = array.ctypes.data
        view = array[:2].T
        if self.way == "read-only":
            view.flags.writeable = False
        return view


@pytest.mark.parametrize("way", ["new", "referenced", "another view referenced", "slice", "read-only"])
@pytest.mark.parametrize("returned", [True, False])
def test_a_view_becomes_a_gradient_without_a_copy_only_if_it_is_the_sole_reference(way, returned):
    x, function = Variable(np.ones((3, 2))), Transposed(way)
    y = function(x)
    if returned:
        (gx,) = gradients([y], [x])
    else:
        y.backward()
        gx = x.grad
    np.testing.assert_array_equal(gx, np.full((3, 2), 2.0))
    assert gx.data.flags.writeable
    assert (gx.data.ctypes.data == function.address) == (way == "new")


def test_no_two_variables_share_a_gradient_and_none_is_read_only():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = np.ones(2)
    y = add(a, b)
    y.grad = seed
    y.backward(retain_grad=True)
    gradients = [a.grad.data, b.grad.data, seed]
    assert not any(np.shares_memory(p, q) for i, p in enumerate(gradients) for q in gradients[:i])
    x = leaf(1.0, 2.0)
    sum_to(x, ()).backward()
    assert x.grad.data.flags.writeable
    x.grad.data *= 2
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])


def test_accumulation_never_changes_an_array_that_is_referenced_elsewhere():
    x = leaf(1.0)
    x.grad = first = np.array([5.0])
    y = add(add(x, x), add(x, add(x, x)))
    y.backward()
    assert x.grad == 10.0
    assert first == 5.0
    before = x.grad.data
    y.backward()
    assert (before, x.grad.data) == (10.0, 15.0)
