"""Data that are edited between the forward and the backward pass."""

from __future__ import annotations

import numpy as np
import pytest

from passus import Function, using_config
from passus.core import add
from passus.errors import GraphError, ShapeError
from passus.functions import mul, square
from tests.core.graphs import leaf


def test_data_edited_after_the_forward_pass_are_noticed():
    x = leaf(3.0)
    y = square(x)
    x.data -= 1.0
    with pytest.raises(GraphError, match=r"square.*edited|Square.backward: the data of .* were edited"):
        y.backward()
    assert x.grad is None
    y = square(x)
    x.data = np.array([7.0])
    with pytest.raises(GraphError, match="edited"):
        y.backward()
    square(x).backward()
    assert x.grad == 14.0


def test_edits_of_data_that_no_rule_reads_are_allowed():
    x = leaf(3.0)
    y = add(x, 1.0)
    x.data = np.array([7.0])
    y.backward()
    assert x.grad == 1.0


def test_data_replaced_by_another_shape_are_noticed_although_no_rule_reads_them():
    x = leaf(3.0)
    y = add(x, 1.0)
    x.data = np.array([7.0, 8.0])
    with pytest.raises(
        ShapeError, match=r"Add.backward: the data of Variable were replaced by an array of another shape, \(2,\)"
    ):
        y.backward()
    assert x.grad is None


@pytest.mark.parametrize("create_graph", [False, True])
def test_released_data_stay_released(create_graph):
    x = leaf(3.0, 4.0)
    product = mul(x, 2.0)
    y = add(product, 1.0)
    product.data = None
    y.backward(create_graph=create_graph)
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])
    assert repr(product) == "variable(None)"
    z = square(mul(x, 2.0))
    z.creator.input.data = None
    with pytest.raises(GraphError, match=r"data of .* were (released|edited)"):
        z.backward(create_graph=create_graph)
    assert repr(z.creator.input) == "variable(None)"


def test_debug_mode_notices_edits_of_elements_and_shows_the_call():
    x = leaf(3.0)
    with using_config("debug", True):
        y = square(x)
    x.data[0] = 5.0
    with pytest.raises(GraphError, match="edited in place") as caught:
        y.backward()
    assert "test_debug_mode_notices_edits" in str(caught.value)


def test_debug_mode_notices_edits_of_constants_and_saved_arrays():
    class Masked(Function):
        def __init__(self, mask, arrays):
            self.mask, self.arrays = mask, arrays

        def forward(self, x):
            return x * self.mask

        def backward(self, gy):
            return gy * self.mask

    x, c, mask, array = leaf(1.0, 2.0), np.ones(2), np.array([True, False]), np.zeros(1)
    for edited in (c, mask, array):
        with using_config("debug", True):
            y = Masked(mask, [array])(mul(x, c))
        edited[0] = not edited[0]
        with pytest.raises(GraphError, match="edited in place"):
            y.backward()
