"""The compiled activations against their formulas and rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Variable, using_config
from passus.core.backward import gradients
from passus.kernels import dispatch
from passus.kernels.activations import sigmoid_gradient, tanh_gradient
from passus.kernels.native.activations import FORMULAS

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "celu": lambda x: F.celu(x, 0.7),
    "elu": lambda x: F.elu(x, 1.3),
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, "tanh"),
    "hard_sigmoid": F.hard_sigmoid,
    "hard_swish": F.hard_swish,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "mish": F.mish,
    "selu": F.selu,
    "sigmoid": F.sigmoid,
    "silu": F.silu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "tanh": F.tanh,
}

FUSED = [
    "elu",
    "gelu",
    "gelu_tanh",
    "hard_sigmoid",
    "hard_swish",
    "leaky_relu",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "silu",
]

GRID = np.concatenate(
    [np.linspace(-120, 120, 40_001), np.linspace(-6, 6, 40_001), np.geomspace(1e-30, 1, 500), [0.0, -0.0, 1e30, -1e30]]
).astype(np.float32)


@pytest.fixture(autouse=True)
def _kernels() -> None:
    if dispatch.native_module("activations") is None:
        pytest.skip("Numba is missing")


def test_every_formula_is_tested() -> None:
    assert set(ACTIVATIONS) | {"relu"} == set(FORMULAS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes_over_the_whole_range(name: str) -> None:
    f = ACTIVATIONS[name]
    x, exact = Variable(GRID), Variable(GRID.astype(np.float64))
    y, expected = f(x), f(exact)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, expected.data, rtol=1e-6, atol=4e-7)
    for result in (y, expected):
        result.backward()
    near = abs(abs(GRID) - 3) > 1e-3 if name.startswith("hard") else np.ones(GRID.shape, bool)  # They have kinks there.
    np.testing.assert_allclose(x.grad.data[near], exact.grad.data[near], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_is_not_finite(name: str) -> None:
    special = np.array([np.inf, -np.inf, np.nan], np.float32)
    large = np.tile(special, 20_000)
    with np.errstate(all="ignore"), using_config("native", False):
        expected = ACTIVATIONS[name](special)
    found = ACTIVATIONS[name](large)
    np.testing.assert_array_equal(found.reshape(-1, 3), np.broadcast_to(expected, (20_000, 3)))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(40_003,), (3, 7, 50, 51)])
def test_gradients_of_first_and_second_order(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    values, seed = rng.standard_normal((2, *shape), np.float32)
    if len(shape) == 4:  # Channels last in memory, as convolutions leave them.
        values, seed = (np.moveaxis(np.ascontiguousarray(np.moveaxis(v, 1, -1)), -1, 1) for v in (values, seed))
    values.flags.writeable = False
    found, expected = derivatives(name, values, seed), derivatives(name, values.astype(np.float64), seed)
    for tolerance, f, e in zip(
        (1e-6, 1e-5, 1e-5, 2e-4), found, expected
    ):  # The last: by the rule, which cancels digits.
        np.testing.assert_allclose(f, e, rtol=1e-5, atol=tolerance)
        assert f.dtype == np.float32
        assert f.strides == tuple(step // 2 for step in e.strides)


def derivatives(name: str, values: np.ndarray, seed: np.ndarray) -> list[np.ndarray]:
    """The result, the gradient, the gradient that can be differentiated, and the derivative of its square."""
    found = []
    for create_graph in (False, True):
        x = Variable(values)
        y = ACTIVATIONS[name](x)
        y.grad = Variable(seed.astype(values.dtype))
        y.backward(create_graph=create_graph)
        first = x.grad
        found += [first.data]
    x.cleargrad()
    (first * first).sum().backward()
    second = np.zeros_like(values) if x.grad is None else x.grad.data  # Straight lines have none.
    return [y.data, *found, second]


def test_a_gradient_that_lies_otherwise_in_memory(rng: np.random.Generator) -> None:
    x = Variable(rng.standard_normal((300, 200), np.float32))
    y = F.gelu(x)
    y.grad = Variable(np.asfortranarray(np.ones((300, 200), np.float32)))
    y.backward()
    with using_config("native", False):
        other = Variable(x.data)
        F.gelu(other).backward()
    np.testing.assert_allclose(x.grad.data, other.grad.data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", [sigmoid_gradient, tanh_gradient])
@pytest.mark.parametrize("shape", [(40_003,), (300, 2, 7, 51)])
def test_gradients_from_results_are_those_of_numpy(
    kernel: Any, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    gy, y = (np.moveaxis(v, -1, 0) for v in rng.standard_normal((2, *shape), np.float32))
    y.flat[:3] = np.nan, np.inf, -np.inf
    for v in (gy, y):
        v.flags.writeable = False
    assert kernel.suits(gy, y)
    assert not kernel.suits(gy, y.astype(np.float64))
    with np.errstate(invalid="ignore"):
        expected = kernel.reference(gy, y)
    found = kernel(gy, y)
    np.testing.assert_array_equal(found, expected)
    assert found.strides == expected.strides == y.strides


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_slopes_from_results_do_not_read_x_again(name: str, rng: np.random.Generator) -> None:
    x = Variable(rng.standard_normal(40_003, np.float32))
    y = ACTIVATIONS[name](x)
    y.backward()
    expected = x.grad
    y = ACTIVATIONS[name](x)
    x.cleargrad()
    x.data = np.zeros_like(x.data)  # Data younger than the call, which must not be read.
    y.backward()
    np.testing.assert_array_equal(x.grad.data, expected.data)


# Fused with what comes before.


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize(("shape", "axis"), [((900, 37), -1), ((50, 9, 75), 2), ((4, 35, 20, 21), 1)])
def test_bias_and_activation(name: str, shape: tuple[int, ...], axis: int, rng: np.random.Generator) -> None:
    values, seed = rng.standard_normal((2, *shape), np.float32)
    if axis == 1:
        values, seed = (np.moveaxis(np.ascontiguousarray(np.moveaxis(v, 1, -1)), -1, 1) for v in (values, seed))
    bias = rng.standard_normal(shape[axis], np.float32)
    y, *found = in_one_pass(name, axis, values, bias, seed)
    with using_config("native", False):
        _, *expected = in_one_pass(name, axis, *(v.astype(np.float64) for v in (values, bias, seed)))
    assert type(y.creator).__name__ == "BiasActivation"
    kinks = abs(abs(values + bias.reshape(-1, *[1] * (values.ndim - 1 - axis % values.ndim))) - 3) < 1e-4
    for f, e in zip(found, expected):
        assert f.dtype == np.float32
        scale = abs(e).max()
        away = ~kinks if name.startswith("hard") and f.shape == kinks.shape else np.ones(f.shape, bool)
        np.testing.assert_allclose(f[away], e[away], rtol=2e-5, atol=2e-4 * scale if f.ndim == 1 else 5e-5 * scale)


def in_one_pass(name: str, axis: int, values: np.ndarray, bias: np.ndarray, seed: np.ndarray) -> tuple[Any, ...]:
    """The result, both gradients, and the gradients of a function of them."""
    x, b = Variable(values), Variable(bias)
    y = F.bias_activation(x, b, name, axis)
    gx, gb = gradients([y], [x, b], [Variable(seed)])
    recorded = gradients([y], [x, b], [Variable(seed)], create_graph=True)
    seconds = gradients([(recorded[0] ** 2).sum() + (recorded[1] ** 2).sum()], [x, b])
    return y, y.data, gx.data, gb.data, *[v.data for v in recorded], *[v.data for v in seconds]


def test_add_relu_of_large_arrays(rng: np.random.Generator) -> None:
    values = rng.standard_normal((2, 600, 500), np.float32)
    x0, x1 = Variable(values[0]), Variable(values[1])
    y = F.add_relu(x0, x1)
    np.testing.assert_array_equal(y.data, np.maximum(values[0] + values[1], 0))
    y.backward()
    for x in (x0, x1):
        np.testing.assert_array_equal(x.grad.data, y.data > 0)
    assert not np.shares_memory(x0.grad.data, x1.grad.data)
