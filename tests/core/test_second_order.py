"""Derivatives of every order, and rules without a second derivative."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Function, Variable
from passus.core import Unary, add
from passus.errors import SecondOrderError
from passus.functions import exp, mul, square
from passus.testing import check_grads


def derivatives(f, at: float, order: int) -> list[float]:
    """The derivatives of a function of one number, up to an order."""
    x = Variable(np.array(at))
    y = f(x)
    found = []
    for _ in range(order):
        x.cleargrad()
        y.backward(create_graph=True)
        y = x.grad
        found.append(float(y))
    return found


def test_sine_to_order_five():
    c, s = math.cos(1.0), math.sin(1.0)
    np.testing.assert_allclose(derivatives(F.sin, 1.0, 5), [c, -s, -c, s, c], rtol=1e-14)


def test_a_polynomial_to_order_four():
    assert derivatives(lambda x: x**4 - 2 * x**2, 2.0, 4) == [24.0, 44.0, 48.0, 24.0]


def test_tanh_to_order_six():
    t = math.tanh(0.7)
    # The derivatives as polynomials in t: if y = p(t) then y' = p'(t) * (1 - t**2).
    p, expected = np.polynomial.Polynomial([0, 1]), []
    for _ in range(6):
        p = p.deriv() * np.polynomial.Polynomial([1, 0, -1])
        expected.append(p(t))
    np.testing.assert_allclose(derivatives(F.tanh, 0.7, 6), expected, rtol=1e-11)


def test_a_square_differentiated_three_times_at_zero():
    assert derivatives(lambda x: x**2, 0.0, 3) == [0.0, 2.0, 0.0]
    assert derivatives(lambda x: x**3, 0.0, 4) == [0.0, 0.0, 6.0, 0.0]


def test_mixed_partial_derivatives():
    x, y = Variable(np.array(2.0)), Variable(np.array(3.0))
    z = x**2 * y**3 + F.sin(x * y)
    z.backward(create_graph=True)
    gx, gy = x.grad, y.grad
    x.cleargrad()
    y.cleargrad()
    gx.backward()
    gxy = float(y.grad)
    x.cleargrad()
    y.cleargrad()
    gy.backward()
    assert float(x.grad) == gxy
    np.testing.assert_allclose(gxy, 6 * 2.0 * 9.0 + math.cos(6.0) - 6.0 * math.sin(6.0))


def test_newtons_method_with_an_automatic_second_derivative():
    x = Variable(np.array(2.0))
    for _ in range(10):
        y = x**4 - 2 * x**2
        x.cleargrad()
        y.backward(create_graph=True)
        gx = x.grad
        x.cleargrad()
        gx.backward()
        x.data -= gx.data / x.grad.data
    assert x.data == 1.0


def test_newtons_method_on_the_gradients_themselves():
    """The same with Variables in the update: ``x.data -= gx / gx2``."""
    x = Variable(np.array(2.0))
    for _ in range(10):
        x.cleargrad()
        (x**4 - 2 * x**2).backward(create_graph=True)
        gx = x.grad
        x.cleargrad()
        gx.backward()
        x.data -= gx / x.grad
    assert x.data == 1.0


def test_a_gradient_inside_a_loss():
    x = Variable(np.array(2.0))
    y = x**2
    y.backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    (gx**3 + y).backward()
    assert x.grad == 100.0


def test_a_gradient_penalty_on_the_weights():
    rng = np.random.default_rng(0)
    x, W0 = rng.standard_normal((5, 3)), rng.standard_normal((3, 2))

    def penalty(W: np.ndarray) -> tuple[float, np.ndarray]:
        w, z = Variable(W), Variable(x)
        y = (z @ w).sum() + F.tanh(z @ w).sum()
        y.backward(create_graph=True)
        loss = (z.grad**2).sum()
        w.cleargrad()
        loss.backward()
        return float(loss), w.grad.data

    gradient = penalty(W0)[1]
    d = rng.standard_normal(W0.shape)
    numeric = (penalty(W0 + 1e-5 * d)[0] - penalty(W0 - 1e-5 * d)[0]) / 2e-5
    np.testing.assert_allclose(np.vdot(gradient, d), numeric, rtol=1e-8)


def test_the_seed_is_differentiated_too():
    x, w = Variable(np.array(3.0)), Variable(np.array(5.0))
    y = square(x)
    y.grad = w
    y.backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    gx.backward()
    assert w.grad == 6.0
    assert x.grad == 10.0


def test_several_outputs():
    class Halves(Function):
        def forward(self, x):
            return x[:2] ** 2, x[2:] ** 3

        def backward(self, ga, gb):
            x = self.input
            return F.concatenate([2 * x[:2] * ga, 3 * x[2:] ** 2 * gb])

    check_grads(lambda x: Halves()(x), np.array([1.0, 2.0, 3.0, 4.0]))
    check_grads(lambda x: Halves()(x)[1], np.array([1.0, 2.0, 3.0, 4.0]))


# User-defined rules.


class OnArrays(Function):
    """Right for the first order only: the rule computes with arrays."""

    def forward(self, x):
        return x**2

    def backward(self, gy):
        return 2 * self.input.data * gy


class OnVariables(Function):
    def forward(self, x):
        return x**2

    def backward(self, gy):
        return 2 * self.input * gy


class Saves(Function):
    """forward saves the very array of its input on self."""

    def forward(self, x):
        self.x = x
        return x**2

    def backward(self, gy):
        return 2 * self.x * gy


class SavesOutput(Function):
    def forward(self, x):
        self.y = np.exp(x)
        return self.y

    def backward(self, gy):
        return self.y * gy


class SavesDoubled(Function):
    """forward saves an array that depends on the input, but is not the input."""

    def forward(self, x):
        self.doubled = 2 * x
        return x**2

    def backward(self, gy):
        return self.doubled * gy


class SavesAList(Function):
    def forward(self, x):
        self.saved_list = [2 * x]
        return x**2

    def backward(self, gy):
        return self.saved_list[0] * gy


class SavesANumber(Function):
    def forward(self, x):
        self.doubled = 2 * float(x)
        return x**2

    def backward(self, gy):
        return self.doubled * gy


class ReadsFloat(Function):
    def forward(self, x):
        return x**2

    def backward(self, gy):
        return 2 * float(self.input) * gy


class ReturnsArray(Function):
    def forward(self, x):
        return x**2

    def backward(self, gy):
        return np.multiply(2 * self.input._data, gy._data if isinstance(gy, Variable) else gy)


class Scaled(Function):
    """A rule with a constant array that the class declares."""

    constants = ("by",)

    def __init__(self, by):
        self.by = by

    def forward(self, x):
        return x**2 * self.by

    def backward(self, gy):
        return 2 * self.input * self.by * gy


FIRST_ORDER_ONLY = [OnArrays, SavesDoubled, SavesAList, SavesANumber, ReadsFloat, ReturnsArray]


@pytest.mark.parametrize("rule", [OnVariables, Saves, lambda: Scaled(np.array(1.0))])
@pytest.mark.parametrize("between", [lambda x: x, lambda x: x * 1.0, lambda x: x + 0.0])
def test_rules_on_variables_are_right_at_every_order(rule: Any, between: Any):
    assert derivatives(lambda x: rule()(between(x)), 3.0, 2) == [6.0, 2.0]


def test_a_saved_output_is_recognized_with_and_without_axes():
    np.testing.assert_allclose(derivatives(lambda x: SavesOutput()(x), 1.0, 4), [np.e] * 4)
    check_grads(lambda x: SavesOutput()(x), np.array([1.0, 2.0]), order=3)
    x = Variable(np.array(1.0))
    y = SavesOutput()(x * 1.0)
    assert y.data.shape == ()  # Reading data turns a NumPy scalar into an array.
    y.backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    gx.backward()
    np.testing.assert_allclose(x.grad, np.e)


@pytest.mark.parametrize("rule", FIRST_ORDER_ONLY)
def test_rules_on_arrays_are_right_at_first_order_and_raise_at_second(rule: Any):
    x = Variable(np.array(3.0))
    rule()(x).backward()
    assert x.grad == 6.0
    x.cleargrad()
    y = square(rule()(x))
    y.backward(create_graph=True)
    gx = x.grad
    assert gx == 2 * 9.0 * 6.0
    x.cleargrad()
    with pytest.raises(SecondOrderError, match=rf"{rule.__name__} has no second derivative: .*") as caught:
        gx.backward()
    assert "self.input" in str(caught.value)
    assert x.grad is None


def test_a_first_order_rule_on_one_path_does_not_affect_another():
    a, b = Variable(np.array(3.0)), Variable(np.array(2.0))
    y = add(OnArrays()(a), square(b))
    y.backward(create_graph=True)
    gb = b.grad
    b.cleargrad()
    gb.backward()
    assert b.grad == 2.0


def test_a_rule_that_fails_only_when_recorded():
    class InPlace(Unary):
        def forward(self, x):
            return x * 2.0

        def backward(self, gy):
            g = np.empty_like(np.asarray(gy))
            g[...] = gy
            return g * 2

    x = Variable(np.array([1.0, 2.0]))
    InPlace()(x).backward(create_graph=True)
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])


def test_data_may_be_read_everywhere_else():
    x = Variable(np.array(3.0))
    y = square(exp(x))
    y.backward(create_graph=True)
    assert float(x.grad) == x.grad.data == x.grad.item()
    with pytest.raises(SecondOrderError):
        OnArrays()(x).backward(create_graph=True) or mul(x.grad, x.grad).backward()
    assert float(x.data) == 3.0  # Reading data outside of rules is allowed again.


def test_attributes_are_restored_after_a_recorded_rule():
    x = Variable(np.array([3.0]))
    f = Saves()
    y = f(x)
    y.backward(create_graph=True)
    assert np.shares_memory(f.x, x.data)
    assert not f.recording
    x.cleargrad()
    y.backward()
    assert x.grad == 6.0


def test_gradients_are_recorded_only_on_request():
    x = Variable(np.array(3.0))
    square(x).backward()
    assert x.grad.creator is None
    assert not x.grad.requires_grad


def test_the_checker_catches_wrong_gradients():
    x, A = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.5, -1.0], [2.0, 1.0]])

    def rule(right: Any, wrong: Any, forward: Any = lambda x: x**3):
        class Wrong(Function):
            def forward(self, x):
                return forward(x)

            def backward(self, gy):
                return wrong(self.input, gy) if right is None else right(self.input, gy)

        return lambda x: Wrong()(x)

    check_grads(rule(lambda x, gy: 3 * x**2 * gy, None), x)
    scaled = rule(None, lambda x, gy: 3.001 * x**2 * gy)
    transposed = rule(None, lambda x, gy: gy @ A, lambda x: x @ A)
    missing = rule(None, lambda x, gy: gy * F.cos(x), lambda x: np.sin(x) + 0.01 * x)
    for wrong in (scaled, transposed, missing):
        with pytest.raises(AssertionError, match="gradient of order 1"):
            check_grads(wrong, x)


def test_the_checker_catches_wrong_second_derivatives():
    class Half(Function):
        """The first order is right, but the rule detaches x."""

        def forward(self, x):
            return x**3

        def backward(self, gy):
            return 3 * self.input.detach() ** 2 * gy

    check_grads(lambda x: Half()(x), np.array([1.0, 2.0]), order=1)
    with pytest.raises((AssertionError, SecondOrderError)):
        check_grads(lambda x: Half()(x), np.array([1.0, 2.0]), order=2)
