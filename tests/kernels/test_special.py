"""What is not finite, in large arrays: compiled kernels choose where their references choose, and keep it where it belongs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Variable, using_config
from passus.core.backward import gradients
from passus.kernels import dispatch

INF, NAN = np.inf, np.nan
NUMBERS = [-1000.0, -5.0, -3.0, -1.0, -0.0, 0.0, 1.0, 3.0, 5.0, 1000.0, INF, NAN]
SEEDS = [1.0, -2.0, 0.0, INF, -INF, NAN]
PAIRS = np.stack(np.meshgrid(NUMBERS, SEEDS), axis=-1).reshape(-1, 2)
C = 24


@pytest.fixture(autouse=True)
def _kernels() -> None:
    if dispatch.native_module("activations") is None:
        pytest.skip("Numba is missing")


def of_pairs(rng: np.random.Generator, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and gradients (N, C, H, W), channels last in memory, in which each pair of special ones comes often."""
    pairs = PAIRS[rng.integers(0, len(PAIRS), (shape[0], *shape[2:], shape[1]))].astype(np.float32)
    x, gy = np.moveaxis(np.moveaxis(pairs, -1, 0), -1, 2)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1), gy


def with_and_without_kernels(f: Callable[..., Any], gy: Any, *xs: np.ndarray) -> list[list[np.ndarray]]:
    """The result and the gradients, once by kernels and once by array code."""
    results = []
    for native in (True, False):
        boxed = [Variable(x) for x in xs]
        with using_config("native", native), np.errstate(all="ignore"):
            y = f(*boxed)
            gxs = gradients([y], boxed, [Variable(np.broadcast_to(gy, y.shape).astype(np.float32))])
        results.append([y.data, *[gx.data for gx in gxs]])
    return results


CHOOSING: dict[str, Callable[[Any], Any]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "leaky_relu, flat": lambda x: F.leaky_relu(x, 0.0),
    "elu": F.elu,
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 0.7),
    "hard_sigmoid": F.hard_sigmoid,
    "hard_swish": F.hard_swish,
    "dropout": lambda x: F.dropout(x, 0.5, rng=3),
    "add_relu": lambda x: F.add_relu(x, np.zeros_like(x.data)),
    "prelu": lambda x: F.prelu(x, np.full(C, -0.5, np.float32)),
    "prelu, one slope": lambda x: F.prelu(x, np.array(2.0, np.float32)),
    **{
        f"bias_activation, {name}": lambda x, name=name: F.bias_activation(x, np.zeros(C, np.float32), name, 1)
        for name in ("relu", "leaky_relu", "elu", "selu", "hard_sigmoid", "hard_swish")
    },
}


@pytest.mark.parametrize("name", CHOOSING)
def test_functions_that_choose(name: str, rng: np.random.Generator) -> None:
    x, gy = of_pairs(rng, 8, C, 40, 41)
    for found, expected in zip(*with_and_without_kernels(CHOOSING[name], gy, x)):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["relu", "relu6", "hard_sigmoid", "hard_swish", "add_relu"])
def test_flat_parts_give_0_whatever_arrives(name: str, rng: np.random.Generator) -> None:
    x, _ = of_pairs(rng, 8, C, 40, 41)
    for seed in (INF, NAN):
        for _, gx in with_and_without_kernels(CHOOSING[name], seed, x):
            np.testing.assert_array_equal(gx[x <= -3], 0)


@pytest.mark.parametrize("finite", [True, False])
def test_the_slopes_of_prelu(finite: bool, rng: np.random.Generator) -> None:
    x, gy = of_pairs(rng, 8, C, 40, 41)
    gy = np.where(x >= 0, gy, 1.0) if finite else gy  # Above 0, the slope does not matter.
    x = np.where(np.isfinite(x), x, 1.0) if finite else x
    slope = np.linspace(-1, 2, C, dtype=np.float32)
    (_, *found), (_, *expected) = with_and_without_kernels(F.prelu, gy, channels_last(x), slope)
    for f, e in zip(found, expected):
        np.testing.assert_allclose(f, e, rtol=1e-5)
    assert np.isfinite(found[1]).all() == finite


def channels_last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


@pytest.mark.parametrize("special", [INF, NAN])
@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.pooling(x, 3, 2, 1),
        lambda x: F.pooling(x, 2, 2),
        lambda x: F.average_pooling(x, 3, 2, 1),
        lambda x: F.average_pooling(x, 2, 2, count_include_pad=False),
        lambda x: F.adaptive_average_pooling(x, 7),
        lambda x: F.adaptive_max_pooling(x, 7),
        F.global_max_pooling,
        lambda x: F.resize(x, 11),
        lambda x: F.resize(x, 50, "bilinear"),
    ],
)
def test_a_gradient_of_one_window_reaches_its_own_pixels_only(
    pool: Any, special: float, rng: np.random.Generator
) -> None:
    x = channels_last(rng.standard_normal((4, C, 30, 30), np.float32))
    shape = pool(x).shape
    gy, without, one = rng.standard_normal(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    at = (1, 2, *[3] * (len(shape) - 2))
    one[at] = 1
    gy[at] = 0
    without[:] = gy
    gy[at] = special
    for native in (0, 1):
        own = with_and_without_kernels(pool, one, x)[native][1] != 0
        found, expected = (with_and_without_kernels(pool, seed, x)[native][1] for seed in (gy, without))
        assert not np.isfinite(found[own]).any()
        np.testing.assert_allclose(found[~own], expected[~own], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize(
    "options",
    [
        {"ignore_index": 3},
        {"ignore_index": 3, "label_smoothing": 0.1},
        {"weight": np.array([1, 2, 3, 0, *[1] * (C - 4)], np.float32)},
    ],
)
def test_rows_that_are_ignored_may_hold_anything(options: Any, reduction: str, rng: np.random.Generator) -> None:
    x, t = rng.standard_normal((900, C), np.float32), rng.integers(0, C, 900)
    ignored = np.flatnonzero(t == 3)
    clean, x = x.copy(), x.copy()
    x[ignored[0]], x[ignored[1], 2], x[ignored[2], 3], x[ignored[3]] = -INF, NAN, INF, INF

    def loss(x: Any) -> Any:
        return F.softmax_cross_entropy(x, t, reduction=reduction, **options)

    expected = with_and_without_kernels(loss, 1.0, clean)[1]
    for results in with_and_without_kernels(loss, 1.0, x):
        for found, right in zip(results, expected):
            np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(results[1][ignored], 0)


STRIDED: dict[str, tuple[Callable[..., Any], int]] = {
    "bias_activation": (lambda x, b: F.bias_activation(x, b, "gelu", 1), 1),
    "batch_norm": (lambda x, gamma, beta: F.batch_norm(x, gamma, beta, None, None, activation="relu"), 2),
    "conv2d": (lambda x, b: F.conv2d(x, np.ones((C, C, 3, 3), np.float32), b, pad=1), 1),
    "conv2d, depthwise": (lambda x, b: F.conv2d(x, np.ones((C, 1, 3, 3), np.float32), b, pad=1, groups=C), 1),
    "deconv2d": (lambda x, b: F.deconv2d(x, np.ones((C, C, 3, 3), np.float32), b), 1),
    "fixed_batch_norm": (lambda x, *v: F.fixed_batch_norm(x, *v, *([np.ones(2 * C, np.float32)[::2]] * 2)), 2),
    "group_norm": (lambda x, gamma, beta: F.group_norm(x, gamma, beta, 4), 2),
    "layer_norm": (lambda x, gamma, beta: F.layer_norm(x.transpose(0, 2, 3, 1), gamma, beta), 2),
    "linear": (lambda x, b: F.linear(x.transpose(0, 2, 3, 1), np.ones((C, C), np.float32), b), 1),
    "prelu": (F.prelu, 1),
    "rms_norm": (lambda x, gamma: F.rms_norm(x.transpose(0, 2, 3, 1), gamma), 1),
}
"""Functions of images and of vectors (C,), and how many."""


@pytest.mark.parametrize("name", STRIDED)
def test_vectors_may_lie_in_memory_with_gaps(name: str, rng: np.random.Generator) -> None:
    f, count = STRIDED[name]
    x = channels_last(rng.standard_normal((4, C, 20, 20), np.float32))
    vectors = [rng.random(2 * C, np.float32)[::2] for _ in range(count)]
    given, copied = (
        with_and_without_kernels(f, 1.0, x, *vs)[0] for vs in (vectors, [np.ascontiguousarray(v) for v in vectors])
    )
    for found, expected in zip(given, copied):
        np.testing.assert_array_equal(found, expected)
