"""In-place edits in the methods of user-defined functions."""

from __future__ import annotations

import numpy as np
import pytest

import passus.functions as F
from passus import Function
from passus.core import Unary
from passus.errors import PassusError
from tests.core.graphs import leaf


def multiply(gy):
    gy *= 2
    return gy


def assign(gy):
    gy[:] = 2.0
    return gy


def assign_masked(gy):
    gy[gy > 0] = 2.0
    return gy


def out(gy):
    return np.multiply(gy, 2, out=gy)


def fill(gy):
    gy.fill(2.0)
    return gy


def edit_a_view(gy):
    gy.reshape(-1)[...] *= 2
    return gy


@pytest.mark.parametrize("edit", [multiply, assign, assign_masked, out, fill, edit_a_view])
@pytest.mark.parametrize("base", [Function, Unary])
@pytest.mark.parametrize("way", ["backward", "retain_grad", "create_graph", "grad"])
def test_a_rule_may_edit_its_gradient_in_place(edit, base, way):
    class T(base):
        def forward(self, x):
            return 2 * x

        def backward(self, gy):
            return edit(gy)

    x = leaf(1.0, 2.0)
    for y in (x + T()(x), T()(x) + x, F.sum(x + T()(x))):
        x.cleargrad()
        if way == "grad":
            from passus.core.backward import gradients

            (gx,) = gradients([y], [x])
        else:
            y.backward(**({} if way == "backward" else {way: True}))
            gx = x.grad
        np.testing.assert_array_equal(gx, [3.0, 3.0])
        if way == "retain_grad":
            np.testing.assert_array_equal(y.grad, np.ones(y.shape))


def test_a_rule_of_several_outputs_may_edit_its_gradients():
    class Twins(Function):
        def forward(self, x):
            return x * 1.0, x * 1.0

        def backward(self, g0, g1):
            g0 += g1
            return g0

    x = leaf(1.0, 2.0)
    a, b = Twins()(x)
    c = a + b
    c.backward(retain_grad=True)
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])
    np.testing.assert_array_equal(a.grad, [1.0, 1.0])


def test_the_seed_of_the_user_is_not_edited():
    class T(Function):
        def forward(self, x):
            return x * 1.0

        def backward(self, gy):
            return multiply(gy)

    y, seed = T()(leaf(1.0, 2.0)), np.ones(2)
    y.grad = seed
    y.backward()
    np.testing.assert_array_equal(seed, np.ones(2))


@pytest.mark.parametrize(
    "edit",
    [lambda x: x.__imul__(2), lambda x: x.__setitem__(x < 0, 0.0), lambda x: np.exp(x, out=x), lambda x: x.sort()],
)
def test_forward_cannot_edit_its_inputs(edit):
    class T(Function):
        def forward(self, x):
            edit(x)
            return x

        def backward(self, gy):
            return gy

    x = leaf(-1.0, 2.0)
    with pytest.raises(PassusError, match=r"t\(float64\[2\]\): .*read-only.*compute a new array"):
        T()(x)
    np.testing.assert_array_equal(x.data, [-1.0, 2.0])
    x.data *= 2  # The user may still edit it.


@pytest.mark.parametrize(
    "edit",
    [
        lambda f, gy: f.input.data.__imul__(gy),
        lambda f, gy: f.output.data.__imul__(gy),
        lambda f, gy: f.outputs[0]().data.__setitem__(0, 9.0),
        lambda f, gy: f.x.__imul__(gy),
        lambda f, gy: f.y.__imul__(gy),
        lambda f, gy: f.saved(f.inputs[0]).__imul__(gy),
        lambda f, gy: f.saved_x.__imul__(gy),
    ],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_backward_cannot_edit_inputs_and_outputs(edit, create_graph):
    class T(Unary):
        def forward(self, x):
            self.saved_x = x
            return np.exp(x)

        def backward(self, gy):
            return edit(self, gy)

    x = leaf(1.0, 2.0)
    y = T()(x)
    values = y.data.copy()
    with pytest.raises(PassusError, match=r"read-only.*must not be edited in forward and backward"):
        y.backward(create_graph=create_graph)
    np.testing.assert_array_equal(x.data, [1.0, 2.0])
    np.testing.assert_array_equal(y.data, values)
    assert x.grad is None
