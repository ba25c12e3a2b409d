"""Instances of functions: copied, pickled, compared, and called more than once."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from passus import Function, using_config
from passus.errors import GraphError
from tests.core.graphs import leaf


class Power(Function):
    """A function that a layer stores and calls many times."""

    def __init__(self, c):
        self.c = c

    def forward(self, x):
        self.x = x
        return x**self.c

    def backward(self, gy):
        return self.c * self.input ** (self.c - 1) * gy


class Slotted(Power):
    __slots__ = ("factor",)


@dataclass
class Scaled(Function):
    factor: float = 2.0

    def forward(self, x):
        return self.factor * x

    def backward(self, gy):
        return self.factor * gy


class Equal(Power):
    def __eq__(self, other):
        return self.c == other.c


FUNCTIONS = {"plain": lambda: Power(3), "slots": lambda: Slotted(3), "dataclass": Scaled, "equal": lambda: Equal(3)}
COPIES = {
    "pickle": lambda f: pickle.loads(pickle.dumps(f)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "in a layer": lambda f: copy.deepcopy([f, {"f": f}])[1]["f"],
}


@pytest.mark.parametrize("make", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_called_function_can_be_copied(make, copied):
    f = make()
    if isinstance(f, Slotted):
        f.factor = 5.0
    for alive in (True, False):
        x = leaf(1.0, 2.0)
        y = f(x)
        if not alive:
            del y
        g = copied(f)
        assert (g is not f, g.serial, getattr(g, "factor", 5.0)) == (True, 0, getattr(f, "factor", 5.0))
        with pytest.raises(GraphError, match="call it first"):
            g.input  # noqa: B018
        z = leaf(1.0, 2.0)
        g(z).backward()
    f(x).backward()
    np.testing.assert_array_equal(z.grad, x.grad)


@pytest.mark.parametrize("make", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_graph_of_equal_functions(make):
    x = leaf(1.0, 2.0)
    f = make()
    y = f(f(x)) + make()(x)
    assert y.generation == 3
    assert len({y.creator, *[v.creator for v in y.creator.inputs]}) == 3
    y.backward(create_graph=True)
    expected = [6.0, 6.0] if make is Scaled else [12.0, 9 * 2.0**8 + 12.0]
    np.testing.assert_array_equal(x.grad, expected)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda f: f])
def test_checksums_of_debug_mode_belong_to_one_call(copied):
    f, x = Power(3), leaf(1.0, 2.0)
    with using_config("debug", True):
        y = f(x)
    g, z = copied(f), leaf(3.0, 4.0)
    g(z).backward()
    np.testing.assert_array_equal(z.grad, [27.0, 48.0])
    y.backward()
    np.testing.assert_array_equal(x.grad, [3.0, 12.0])
