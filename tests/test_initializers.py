"""Initial values of parameters."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.stats

import passus.initializers as init
from passus import random
from passus.errors import ArgumentError, DTypeError, ShapeError

DENSE = (400, 300)
KERNEL = (60, 20, 5, 4)  # fan_in 400, fan_out 1200
RANDOM = [
    init.normal,
    init.truncated_normal,
    init.uniform,
    init.lecun_normal,
    init.lecun_uniform,
    init.glorot_normal,
    init.glorot_uniform,
    init.he_normal,
    init.he_uniform,
    init.orthogonal,
]
ALL = [init.zeros, init.ones, init.constant(0.5), *RANDOM]


def check_moments(x: np.ndarray, mean: float, variance: float, kurtosis: float) -> None:
    """Mean and variance of n independent numbers lie within five standard errors."""
    n = x.size
    assert abs(float(x.mean(dtype=np.float64)) - mean) < 5 * math.sqrt(variance / n)
    assert abs(float(x.var(dtype=np.float64)) - variance) < 5 * variance * math.sqrt((kurtosis - 1) / n)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_shape_and_dtype(function: Callable[..., Any], dtype: Any) -> None:
    for shape in ((3, 4), (2, 3, 5, 5), (0, 3), (3, 0)):
        x = function(shape, dtype, 0)
        assert type(x) is np.ndarray
        assert (x.shape, x.dtype) == (shape, dtype)
        assert x.flags.writeable
        assert np.isfinite(x).all()


@pytest.mark.parametrize("function", [init.normal, init.truncated_normal, init.uniform, init.zeros])
def test_vectors_and_scalars_can_be_drawn_without_fans(function: Callable[..., Any]) -> None:
    assert function((5,)).shape == (5,)
    assert type(function(())) is np.ndarray
    assert function(()).shape == ()


@pytest.mark.parametrize("function", RANDOM)
def test_draws_come_from_the_given_or_current_generator(function: Callable[..., Any]) -> None:
    untouched = copy.deepcopy(np.random.get_state(legacy=False))  # noqa: NPY002
    a = function((4, 5), rng=3)
    np.testing.assert_array_equal(a, function((4, 5), rng=np.random.default_rng(3)))
    with random.using_rng(3):
        np.testing.assert_array_equal(a, function((4, 5)))
        assert not np.array_equal(a, function((4, 5))), "the second draw differs"
    np.testing.assert_equal(np.random.get_state(legacy=False), untouched)  # noqa: NPY002


@pytest.mark.parametrize(
    ("family", "variance"),
    [
        ("lecun", lambda fan_in, fan_out: 1 / fan_in),
        ("glorot", lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        ("he", lambda fan_in, fan_out: 2 / fan_in),
    ],
)
@pytest.mark.parametrize(("shape", "fans"), [(DENSE, (400, 300)), (KERNEL, (400, 1200))])
def test_variance_follows_the_fans(family: str, variance: Any, shape: Any, fans: Any) -> None:
    expected = variance(*fans)
    check_moments(getattr(init, f"{family}_normal")(shape, rng=0), 0, expected, 3)
    x = getattr(init, f"{family}_uniform")(shape, rng=0)
    check_moments(x, 0, expected, 9 / 5)
    assert abs(x).max() <= math.sqrt(3 * expected) * (1 + 1e-6)


def test_mean_std_and_bounds() -> None:
    check_moments(init.normal(DENSE, rng=0, mean=2.0, std=0.1), 2, 0.01, 3)
    check_moments(init.uniform(DENSE, rng=0, low=1.0, high=3.0), 2, 1 / 3, 9 / 5)
    x = init.truncated_normal(DENSE, np.float64, rng=0, mean=1.0, std=0.5)
    assert abs(x - 1).max() <= 1
    _, variance, _, excess = scipy.stats.truncnorm.stats(-2, 2, loc=1, scale=0.5, moments="mvsk")
    check_moments(x, 1, float(variance), float(excess) + 3)


@pytest.mark.parametrize(
    ("function", "distribution"),
    [
        (init.normal, "norm"),
        (partial(init.uniform, low=0.0), "uniform"),
        (init.truncated_normal, scipy.stats.truncnorm(-2, 2).cdf),
    ],
)
def test_distributions(function: Callable[..., Any], distribution: Any) -> None:
    assert scipy.stats.kstest(function((5000,), np.float64, 1), distribution).pvalue > 0.01


@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 8), (4, 3, 2, 2), (20, 3, 2, 2)])
def test_orthogonal_is_orthonormal_along_the_shorter_side(shape: tuple[int, ...]) -> None:
    W = init.orthogonal(shape, np.float64, 0, gain=3.0).reshape(shape[0], -1)
    gram = W @ W.T if W.shape[0] <= W.shape[1] else W.T @ W
    np.testing.assert_allclose(gram, 9 * np.eye(len(gram)), atol=1e-12)


def test_orthogonal_signs_are_unbiased() -> None:
    # Without the correction of signs, the diagonal of Q would mostly be negative.
    diagonal = [init.orthogonal((2, 2), np.float64, seed)[0, 0] for seed in range(400)]
    assert abs(float(np.mean(diagonal))) < 5 / math.sqrt(2 * 400)


@pytest.mark.parametrize("function", RANDOM[3:])
@pytest.mark.parametrize("shape", [(), (5,)])
def test_fans_need_two_axes(function: Callable[..., Any], shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=rf"{function.__name__}: .*normal or uniform"):
        function(shape)


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (init.normal, {"std": -1.0}),
        (init.truncated_normal, {"std": math.nan}),
        (init.normal, {"std": math.inf}),
        (init.normal, {"mean": math.nan}),
        (init.truncated_normal, {"mean": math.inf}),
        (init.uniform, {"low": 1.0, "high": 0.0}),
        (init.uniform, {"high": math.inf}),
        (init.orthogonal, {"gain": math.nan}),
    ],
)
def test_impossible_options_raise(function: Callable[..., Any], options: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match=f"{function.__name__}: "):
        function((2, 3), **options)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize(
    ("shape", "dtype", "error"),
    [
        ((2, -1), np.float32, ArgumentError),
        ((2.5, 2), np.float32, DTypeError),
        ("ab", np.float32, DTypeError),
        (None, np.float32, DTypeError),
        ((2, 2), np.int64, DTypeError),
        ((2, 2), "real", DTypeError),
    ],
)
def test_invalid_shape_or_dtype_raises(function: Callable[..., Any], shape: Any, dtype: Any, error: Any) -> None:
    name = getattr(function, "__name__", "constant")
    with pytest.raises(error, match=f"^{name}: "):
        function(shape, dtype, 0)


def test_shape_can_be_a_list_or_an_integer() -> None:
    assert init.orthogonal([4, 3], rng=0).shape == (4, 3)
    assert init.normal(3, rng=0).shape == init.zeros(3).shape == (3,)


def test_constant_can_be_pickled() -> None:
    half = pickle.loads(pickle.dumps(init.constant(0.5)))
    np.testing.assert_array_equal(half((3,)), np.full(3, 0.5, np.float32))
