"""Second derivatives of user-defined rules are correct or raise."""

from __future__ import annotations

import numpy as np
import pytest

import passus.functions as F
from passus import Function
from passus.errors import SecondOrderError
from tests.core.graphs import derivatives, leaf


class Relu(Function):
    """The rule of the book."""

    def forward(self, x):
        return np.maximum(x, 0.0)

    def backward(self, gy):
        (x,) = self.inputs
        mask = x.data > 0
        return gy * mask


class MaskedRelu(Function):
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, gy):
        return gy * self.mask


class WhereRelu(Function):
    def forward(self, x):
        return np.where(x > 0, x, 0)

    def backward(self, gy):
        return F.where(self.input.data > 0, gy, 0.0)


class SignRelu(Function):
    def forward(self, x):
        return np.maximum(x, 0.0)

    def backward(self, gy):
        return gy * (np.sign(self.input.data) > 0).astype(gy.dtype)


class DroppedOut(Function):
    def forward(self, x):
        self.mask = np.array([True, False, True])[: len(x)]
        return x * self.mask / 0.5

    def backward(self, gy):
        return gy * self.mask / 0.5


@pytest.mark.parametrize("relu", [Relu, MaskedRelu, WhereRelu, SignRelu])
def test_rules_with_masks_have_a_second_derivative(relu):
    first, second = derivatives(lambda x: relu()(x) ** 3, -1.0, 2.0, 3.0)
    np.testing.assert_array_equal(first, [0.0, 12.0, 27.0])
    np.testing.assert_array_equal(second, [0.0, 12.0, 18.0])


def test_a_mask_of_dropout_has_a_second_derivative():
    first, second = derivatives(lambda x: DroppedOut()(x) ** 3, 1.0, 2.0, 3.0)
    np.testing.assert_array_equal(first, [24.0, 0.0, 216.0])
    np.testing.assert_array_equal(second, [48.0, 0.0, 144.0])


def test_an_index_found_in_a_rule_has_a_second_derivative():
    class Max(Function):
        def forward(self, x):
            return x.max()

        def backward(self, gy):
            x = self.input
            return gy * (np.arange(x.size) == x.data.argmax())

    first, second = derivatives(lambda x: Max()(x) ** 3, 1.0, 2.0)
    np.testing.assert_array_equal(first, [0.0, 12.0])
    np.testing.assert_array_equal(second, [0.0, 12.0])


@pytest.mark.parametrize(
    "rule",
    [
        lambda x, gy: 3 * x.data**2 * gy,
        lambda x, gy: 3 * np.square(x.data) * gy,
        lambda x, gy: gy * 3 * np.asarray(x) ** 2,
        lambda x, gy: gy * 3 * np.array([float(v) for v in x.data]) ** 2,
        lambda x, gy: gy * 3 * x.data.copy() ** 2,
        lambda x, gy: gy * np.where(x.data > 0, 3 * x.data**2, 0),
        lambda x, gy: gy * 3 * x.data.reshape(-1) * x,
        lambda x, gy: gy * 3 * np.multiply(x.data, x.data),
        lambda x, gy: gy * 3 * (x.data.T @ np.eye(2)) * x,
        lambda x, gy: gy * 3 * np.full(2, x.data.max()) * x,
        lambda x, gy: gy * 3 * x.data.astype(np.float32) * x,
        lambda x, gy: gy * 3 * np.array(x.data.tolist()) * x,
        lambda x, gy: gy * 3 * np.clip(x.data, 0, 9) * x,
        lambda x, gy: gy * 3 * abs(x.data) * x,
    ],
)
def test_numbers_read_in_a_rule_never_give_a_wrong_second_derivative(rule):
    class Cube(Function):
        def forward(self, x):
            return x**3

        def backward(self, gy):
            return rule(self.input, gy)

    x = leaf(2.0, 2.0)
    y = Cube()(x)
    y.backward(create_graph=True)
    gx = x.grad
    np.testing.assert_allclose(gx.data, np.full(2, 12.0))
    with pytest.raises(SecondOrderError, match="Cube has no second derivative"):
        gx.backward()
