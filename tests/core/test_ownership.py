"""What a graph keeps alive, which gradients are retained, and which arrays they own."""

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


def test_a_training_step_leaves_no_reference_cycle():
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


def test_gradients_between_are_kept_only_on_request():
    x = leaf(1.0)
    a = square(x)
    y = exp(a)
    y.backward()
    assert (a.grad, y.grad) == (None, None)
    assert x.grad is not None
    y.backward(retain_grad=True)
    assert y.grad == 1.0
    np.testing.assert_allclose(a.grad, np.e)


def test_retained_gradients_do_not_pile_up():
    x = leaf(1.0)
    a = square(x)
    y = add(a, a)
    y.backward(retain_grad=True)
    y.cleargrad()
    y.backward(retain_grad=True)
    assert a.grad == 2.0
    assert x.grad == 8.0  # The leaf's does.


class Turned(Function):
    """A rule that returns views: of an array of its own, of one that it keeps, or of a part of one."""

    def __init__(self, way):
        self.way, self.made = way, []

    def forward(self, x):
        return x.T.copy()

    def backward(self, gy):
        array = np.zeros((4, 3) if self.way == "part" else (2, 3))
        array[:2] = 2 * gy
        if self.way == "kept":
            self.made.append(array)
        if self.way == "another view kept":
            self.made.append(array[:1])
        self.address = array.ctypes.data
        view = array[:2].T
        if self.way == "read-only":
            view.flags.writeable = False
        return view


@pytest.mark.parametrize("way", ["its own", "kept", "another view kept", "part", "read-only"])
@pytest.mark.parametrize("returned", [True, False])
def test_a_view_becomes_a_gradient_as_it_is_only_if_nobody_else_can_see_it(way, returned):
    x, function = Variable(np.ones((3, 2))), Turned(way)
    y = function(x)
    if returned:
        (gx,) = gradients([y], [x])
    else:
        y.backward()
        gx = x.grad
    np.testing.assert_array_equal(gx, np.full((3, 2), 2.0))
    assert gx.data.flags.writeable
    assert (gx.data.ctypes.data == function.address) == (way == "its own")


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


def test_adding_up_never_changes_an_array_that_someone_holds():
    x = leaf(1.0)
    x.grad = first = np.array([5.0])
    y = add(add(x, x), add(x, add(x, x)))
    y.backward()
    assert x.grad == 10.0
    assert first == 5.0
    before = x.grad.data
    y.backward()
    assert (before, x.grad.data) == (10.0, 15.0)
