"""float16 in optimizers, functions, gradients and initializers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Variable
from passus import initializers as I
from passus import optimizers as O
from passus.kernels.sums import length
from tests.helpers.bare import Model
from tests.optimizers.training import ALL, example, train

# Optimizers.


@pytest.mark.parametrize("make", ALL)
def test_float16_update_equals_float32_update_rounded_once(make: Any) -> None:
    half, single = example(np.float16), example(np.float16)
    for p in single.params.values():
        p.data = p.data.astype(np.float32)
    train(make().setup(half), half, range(1))
    for p in single.params.values():  # The same gradient, rounded to float16.
        p.grad = np.asarray(0.5 * p.data.astype(np.float16) + np.cos(3 * p.data.astype(np.float16)), np.float32)
    make().setup(single).update()
    for path, p in half.params.items():
        assert p.dtype == np.float16
        np.testing.assert_array_equal(p.data, single[path].data.astype(np.float16), err_msg=path)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("shape", [(3,), (200, 300)])
@pytest.mark.parametrize("g", [0.0, 1e-7, 1e-4, 6e4])
def test_float16_gradients_never_make_parameters_nan(make: Any, shape: tuple[int, ...], g: float) -> None:
    model = Model(W=np.ones(shape, np.float16))
    optimizer = make().setup(model)
    for _ in range(3):
        model["W"].grad = np.full(shape, g, np.float16)
        optimizer.update()
    assert np.isfinite(model["W"].data).all()


@pytest.mark.parametrize("make", [O.Adam, O.AdamW, O.RMSprop, O.AdaGrad])
def test_small_float16_gradients_update_parameters(make: Any) -> None:
    model = Model(W=np.ones(3, np.float16))
    model["W"].grad = np.full(3, 1e-6, np.float16)
    make(lr=0.1).setup(model).update()
    assert (model["W"].data < 0.95).all()


def test_resumed_float16_run_is_bit_identical() -> None:
    whole, half, resumed = (example(np.float16) for _ in range(3))
    train(O.Adam().setup(whole), whole, range(6))
    first = O.Adam().setup(half)
    train(first, half, range(3))
    for path, p in half.params.items():
        resumed[path].data = p.data.copy(order="K")
    second = O.Adam().setup(resumed)
    second.load_state_dict(first.state_dict())
    train(second, resumed, range(3, 6))
    for path, p in whole.params.items():
        np.testing.assert_array_equal(p.data, resumed[path].data)


@pytest.mark.parametrize(
    ("dtype", "value"), [(np.float16, 200.0), (np.float16, 6e4), (np.float32, 1e25), (np.float32, 3e38), (float, 1e200)]
)
def test_clipping_scales_gradients_whose_norm_overflows(dtype: Any, value: float) -> None:
    model = Model(W=np.ones(100_000, dtype), b=np.ones(3, dtype))
    model["W"].grad, model["b"].grad = np.full(100_000, value, dtype), np.zeros(3, dtype)
    hook = O.ClipGrad(5.0)
    hook(list(model.params.values()))
    exact = float(dtype(value)) * 100_000**0.5
    np.testing.assert_allclose(hook.norm, exact, rtol=1e-5)
    np.testing.assert_allclose(model["W"].grad.data, 5.0 / 100_000**0.5, rtol=2e-3)


def test_length_of_empty_zero_and_non_finite_arrays() -> None:
    assert length([]) == length([np.zeros(0)]) == length([np.zeros(3, np.float16)]) == 0
    assert length([np.array([1.0, np.inf]), np.ones(2)]) == np.inf
    assert np.isnan(length([np.array([np.nan]), np.array([np.inf])]))
    np.testing.assert_allclose(length([np.array([3e-30, 4e-30], np.float32)]), 5e-30, rtol=1e-6)
    np.testing.assert_allclose(length([np.array([3e-200, 4e-200])]), 5e-200, rtol=1e-12)


def test_accumulated_float16_gradients_do_not_overflow() -> None:
    model = Model(W=np.zeros(2, np.float16))
    optimizer = O.GradientAccumulation(O.SGD(lr=1.0), every=4).setup(model)
    for _ in range(4):
        model["W"].grad = np.full(2, 4e4, np.float16)
        optimizer.update()
    np.testing.assert_allclose(model["W"].data, -4e4, rtol=1e-3)


def test_ema_of_float16_parameters_is_accurate() -> None:
    model = Model(W=np.full(2, 1.0, np.float16))
    ema = O.EMA(model, decay=0.9999)
    ema.updated([])
    model["W"].data = np.full(2, 2.0, np.float16)
    for _ in range(1000):
        ema.updated([])
    np.testing.assert_allclose(ema.averages["W"], 2 - 0.9999**1000, rtol=1e-4)
    with ema.swap():
        assert model["W"].dtype == np.float16


def test_float16_running_statistics_are_accurate() -> None:
    mean, var = np.zeros(2, np.float16), np.ones(2, np.float16)
    x = np.random.default_rng(0).standard_normal((4096, 2)).astype(np.float16) * 100 + 20
    for _ in range(5):
        y = F.batch_norm(x, np.ones(2, np.float16), np.zeros(2, np.float16), mean, var, decay=0.5)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.astype(float).std(axis=0), 1, rtol=1e-2)
    np.testing.assert_allclose(var, 0.5**5 + (1 - 0.5**5) * x.astype(float).var(axis=0, ddof=1), rtol=2e-3)


# Functions with sums in float16.


def test_reductions_whose_sums_overflow_float16() -> None:
    half = np.float16
    x = np.full(4096, 20, half)
    assert F.mean(x) == 20
    assert F.mean(np.full((4096, 3), 20, half), axis=0)[0] == 20
    assert F.sum(np.ones((4096, 1), half), axis=0)[0] == 4096
    assert F.accuracy(np.zeros((1, 2, 256, 256), half), np.zeros((1, 256, 256), int)) == 1
    features = 100 * np.cos(np.arange(768)).astype(half)
    y = F.layer_norm(features[None], np.ones(768, half), np.zeros(768, half))
    np.testing.assert_allclose(y.astype(float).std(), 1, rtol=1e-3)
    assert F.l1_loss(np.full(100_000, 300, half), np.zeros(100_000, half)) == 300
    assert F.norm(np.full(10_000, 200, half)) == 20_000
    assert F.var(np.tile(np.array([-200, 200], half), 5000)) == 40_000
    assert F.cosine_similarity(np.full((1, 768), 100, half), np.full((1, 768), 50, half)) == 1


def test_gradient_of_a_mean_of_more_elements_than_float16_counts() -> None:
    x = Variable(np.ones(100_000, np.float16))
    F.mean(x).backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.data, np.float16(1e-5))


def test_float16_bias_gradient_is_the_whole_sum() -> None:
    b = Variable(np.zeros(3, np.float16))
    (np.ones((5000, 3), np.float16) + b).sum().backward()
    assert b.grad is not None
    np.testing.assert_array_equal(b.grad.data, np.float16(5000))


def test_float16_results_of_mixed_inputs_are_float32() -> None:
    x, gamma = np.ones((2, 8), np.float16), np.ones(8, np.float32)
    assert F.layer_norm(x, gamma, gamma).dtype == np.float32
    assert F.mean_squared_error(x, x.astype(np.float32)).dtype == np.float32
    assert F.layer_norm(x, gamma.astype(np.float16), gamma.astype(np.float16)).dtype == np.float16


@pytest.mark.parametrize("order", [1, 2])
def test_gradients_in_float16_are_float16(order: int) -> None:
    x = Variable(np.array([1.0, 2.0], np.float16))
    y = F.var(x) * F.softmax(x, axis=0).sum()
    y.backward(create_graph=order == 2)
    assert x.grad is not None
    assert x.grad.dtype == np.float16
    np.testing.assert_allclose(x.grad.data, [-0.5, 0.5], rtol=1e-2)


@pytest.mark.parametrize("p", [1.5e-5, 1e-4, 0.5, 0.9995])
def test_float16_binary_cross_entropy_gradient(p: float) -> None:
    x = Variable(np.array([p], np.float16))
    F.binary_cross_entropy(x, np.array([1.0], np.float16)).backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.data, -1 / x.data.astype(float), rtol=2e-2)
    certain = Variable(np.array([0.0, 1.0], np.float16))
    F.binary_cross_entropy(certain, np.array([1.0, 0.0], np.float16), reduction="sum").backward()
    assert certain.grad is not None
    assert np.isfinite(certain.grad.data).all()


@pytest.mark.parametrize("limit", [0.5, 1e5, 1e300])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_clip_value_can_exceed_the_range_of_the_dtype(limit: float, dtype: Any) -> None:
    model = Model(W=np.ones(3, dtype))
    model["W"].grad = np.array([-100, 0, 100], dtype)
    O.ClipValue(limit)(list(model.params.values()))
    np.testing.assert_array_equal(model["W"].grad.data, np.clip([-100.0, 0, 100], -limit, limit))


@pytest.mark.parametrize(
    ("draw", "low", "high"),
    [
        (lambda dtype: I.uniform((10_000,), dtype, 0, low=-5e4, high=6e4), -5e4, 6e4),
        (lambda dtype: I.uniform((10_000,), dtype, 0, low=1e-7, high=3e-7), 1e-7, 3e-7),
        (lambda dtype: I.truncated_normal((10_000,), dtype, 0, std=1e-7), -2e-7, 2e-7),
        (lambda dtype: I.truncated_normal((10_000,), dtype, 0, mean=6e4, std=100), 6e4 - 200, 6e4 + 200),
        (lambda dtype: I.normal((10_000,), dtype, 0, mean=6e4, std=1e-3), 6e4 - 1, 6e4 + 1),
    ],
)
def test_float16_initial_values_equal_float32_rounded_once(draw: Any, low: float, high: float) -> None:
    half = draw(np.float16)
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, draw(np.float32).astype(np.float16))
    assert np.float16(low) <= half.min() <= half.max() <= np.float16(high)
