"""The compiled activations against their formulas and rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Variable, using_config
from passus.core.backward import gradients
from passus.functions.activation_base import ACTIVATIONS
from passus.kernels import dispatch
from passus.kernels.activations import activation_gradient
from passus.kernels.formulas import FORMULAS
from tests.table import rows_by_name

OPTIONS = {"celu": (0.7,), "elu": (1.3,), "leaky_relu": (0.1,)}
"""Other options than the default ones."""

LIMITS: dict[str, tuple[float, float, float, float]] = {
    "celu": (-1, np.inf, 0, 1),
    "elu": (-1, np.inf, 0, 1),
    "gelu": (0, np.inf, 0, 1),
    "gelu_tanh": (0, np.inf, 0, 1),
    "hard_sigmoid": (0, 1, 0, 0),
    "hard_swish": (0, np.inf, 0, 1),
    "leaky_relu": (-np.inf, np.inf, 0.2, 1),
    "mish": (0, np.inf, 0, 1),
    "relu": (0, np.inf, 0, 1),
    "selu": (-1.0507009873554805 * 1.6732632423543772, np.inf, 0, 1.0507009873554805),
    "sigmoid": (0, 1, 0, 0),
    "silu": (0, np.inf, 0, 1),
    "softplus": (0, np.inf, 0, 1),
    "softsign": (-1, 1, 0, 0),
    "tanh": (-1, 1, 0, 0),
}
"""The limits of each activation at -inf and at inf, and those of its slope. Its second derivative has the limit 0."""

GRID = np.concatenate(
    [np.linspace(-120, 120, 40_001), np.linspace(-6, 6, 40_001), np.geomspace(1e-30, 1, 500), [0.0, -0.0, 1e30, -1e30]]
).astype(np.float32)
ROWS = rows_by_name()


@pytest.fixture(autouse=True)
def _kernels() -> None:
    if dispatch.native_module("activations") is None:
        pytest.skip("Numba is missing")


def test_every_formula_has_a_class_and_limits() -> None:
    assert set(ACTIVATIONS) == set(LIMITS) == set(FORMULAS)
    for name, cls in ACTIVATIONS.items():
        assert tuple(cls().options) == tuple(FORMULAS[name].options.values())


def with_options(name: str) -> Callable[[Any], Any]:
    return lambda x: ACTIVATIONS[name](*OPTIONS.get(name, ()))(x)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes_over_the_whole_range(name: str) -> None:
    f = with_options(name)
    x, exact = Variable(GRID), Variable(GRID.astype(np.float64))
    y, expected = f(x), f(exact)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, expected.data, rtol=1e-6, atol=4e-7)
    for result in (y, expected):
        result.backward()
    near = abs(abs(GRID) - 3) > 1e-3 if name.startswith("hard") else np.ones(GRID.shape, bool)  # They have kinks there.
    np.testing.assert_allclose(x.grad.data[near], exact.grad.data[near], rtol=2e-6, atol=2e-6)


def derivatives_at(f: Callable[[Any], Any], x: np.ndarray) -> list[np.ndarray]:
    """The value, the gradient, the recorded gradient, and the second derivative, of each element by itself."""
    v = Variable(x)
    with np.errstate(all="ignore"):
        y = f(v)
        ones = Variable(np.ones_like(x))
        (gx,) = gradients([y], [v], [ones])
        (recorded,) = gradients([y], [v], [ones], create_graph=True)
        second = gradients([recorded], [v], [ones])[0] if recorded.requires_grad else None
    return [y.data, gx.data, recorded.data, np.zeros_like(x) if second is None else second.data]


def special_numbers(dtype: Any) -> np.ndarray:
    info = np.finfo(dtype)
    sizes = [np.inf, info.max, 1e30, 3.0, 1.0, info.tiny, info.smallest_subnormal, 0.0]
    return np.array([sign * size for size in sizes for sign in (-1, 1)] + [np.nan], dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_limits(name: str, dtype: Any) -> None:
    low, high, left, right = LIMITS[name]
    expected = [(low, high), (left, right), (left, right), (0, 0)]
    infinite = np.array([-np.inf, np.inf], dtype)
    for found, limits in zip(derivatives_at(ACTIVATIONS[name](), infinite), expected):
        np.testing.assert_allclose(found, limits, rtol=1e-6)
    largest = np.finfo(dtype).max * infinite.clip(-1, 1)
    y, *slopes = derivatives_at(ACTIVATIONS[name](), largest)
    if name != "selu":  # The largest number times 1.05 is infinite.
        np.testing.assert_allclose(
            y, np.where(np.isfinite([low, high]), [low, high], [left, right] * largest), rtol=1e-6
        )
    for found, limits in zip(slopes, expected[1:]):
        np.testing.assert_allclose(found, limits, rtol=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_kernels_agree_with_references_at_special_numbers(name: str) -> None:
    special = special_numbers(np.float32)
    tiny = 2 * float(np.finfo(np.float32).tiny)  # Below the normal numbers, kernels keep fewer digits.
    small = derivatives_at(with_options(name), special)
    large = derivatives_at(with_options(name), np.tile(special, 5000))
    for found, expected in zip(large, small):
        # tanh and gelu are approximated in two ways, each of which is right to the last digits.
        np.testing.assert_allclose(found.reshape(-1, special.size)[0], expected, rtol=3e-5, atol=tiny)
        np.testing.assert_array_equal(found.reshape(-1, special.size), np.tile(found[: special.size], (5000, 1)))
        assert name == "relu" or not np.isnan(expected[:-1]).any()


def test_a_formula_serves_small_arrays_large_ones_and_recorded_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of any kind take the functions in the table of formulas, and no others."""
    changed = FORMULAS["softsign"]._replace(value=lambda xp, x: x + 5, gradient=lambda xp, g, x, y: g * 7)
    monkeypatch.setitem(FORMULAS, "softsign", changed)
    y, gx, recorded, _ = derivatives_at(F.softsign, np.ones(3))
    np.testing.assert_array_equal([*y, *gx, *recorded], [6] * 3 + [7] * 6)


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
        y = with_options(name)(x)
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


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
@pytest.mark.parametrize("shape", [(40_003,), (300, 2, 7, 51)])
def test_gradients_from_results_are_those_of_numpy(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    gy, y = (np.moveaxis(v, -1, 0) for v in rng.standard_normal((2, *shape), np.float32))
    y.flat[:3] = np.nan, np.inf, -np.inf
    for v in (gy, y):
        v.flags.writeable = False
    assert activation_gradient.suits(gy, None, y, name, (), np)
    assert not activation_gradient.suits(gy, None, y.astype(np.float64), name, (), np)
    with np.errstate(invalid="ignore"):
        expected = activation_gradient.reference(gy, None, y, name, (), np)
    found = activation_gradient(gy, None, y, name, (), np)
    np.testing.assert_array_equal(found, expected)
    assert found.strides == expected.strides == y.strides


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_slopes_from_results_do_not_read_x_again(name: str, rng: np.random.Generator) -> None:
    x = Variable(rng.standard_normal(40_003, np.float32))
    y = with_options(name)(x)
    y.backward()
    expected = x.grad
    y = with_options(name)(x)
    x.cleargrad()
    x.data = np.zeros_like(x.data)  # Data younger than the call, which must not be read.
    y.backward()
    np.testing.assert_array_equal(x.grad.data, expected.data)


# Fused with what comes before.


@pytest.mark.parametrize("name", FORMULAS)
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
    biased = values + bias.reshape(-1, *[1] * (values.ndim - 1 - axis % values.ndim))
    if name in ROWS:  # Of the formula with tanh there is none.
        np.testing.assert_allclose(y.data, ROWS[name].reference(biased.astype(np.float64)), rtol=2e-5, atol=1e-6)
    kinks = abs(abs(biased) - 3) < 1e-4
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
