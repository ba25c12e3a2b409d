"""Compiled sums, scales and slopes of channels agree with their references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import passus.functions as F
from passus import Variable, using_config
from passus.core.backward import gradients
from passus.kernels.channels import (
    channel_moments,
    channel_products,
    channel_sums,
    scaled_channels,
    scaled_gradient,
    sloped_channels,
    sloped_gradient,
)
from tests.helpers.drawing import generators
from tests.kernels.cases import images


@given(arrays=images(), limits=st.sampled_from([None, (0.0, math.inf), (0.0, 6.0)]), rng=generators())
@settings(max_examples=60, deadline=None)
def test_sums_and_scales_of_channels(
    arrays: list[np.ndarray], limits: tuple[float, float] | None, rng: np.random.Generator
) -> None:
    x, gy = (np.round(8 * array) / 8 for array in arrays)  # Both compute exactly, and agree about what is at a limit.
    a, b, c, *_ = vectors = np.round(8 * rng.standard_normal((5, x.shape[1]), np.float32)) / 8
    for found, expected in [
        *zip(channel_moments.compiled()(x), channel_moments.reference(x.astype(np.float64))),
        *zip(
            channel_products.compiled()(gy, x, a, b, c, limits),
            channel_products.reference(gy.astype(np.float64), x, a, b, c, limits),
        ),
        (channel_sums.compiled()(x), channel_sums.reference(x.astype(np.float64))),
        (scaled_channels.compiled()(x, a, b, c, limits), scaled_channels.reference(x, a, b, c, limits)),
        (scaled_gradient.compiled()(gy, x, *vectors, limits), scaled_gradient.reference(gy, x, *vectors, limits)),
    ]:
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * max(1.0, abs(expected).max()))


@pytest.mark.parametrize("shape", [(1000, 5), (7, 3), (129, 17), (3, 600), (0, 4)])
def test_sums_of_channels_have_six_digits_and_keep_what_is_not_finite(
    shape: tuple[int, int], rng: np.random.Generator
) -> None:
    x = rng.standard_normal(shape, np.float32) + 100
    np.testing.assert_allclose(channel_sums.compiled()(x), x.sum(axis=0, dtype=np.float64), rtol=1e-6)
    if len(x):
        x[-1, :3] = np.inf, np.nan, -np.inf
        found = channel_sums.compiled()(x)
        np.testing.assert_array_equal(found[:3], [np.inf, np.nan, -np.inf])
        assert np.isfinite(found[3:]).all()


@given(arrays=images(), each=st.booleans(), rng=generators())
@settings(max_examples=40, deadline=None)
def test_slopes_of_channels(arrays: list[np.ndarray], each: bool, rng: np.random.Generator) -> None:
    x, gy = arrays[0] - 5, arrays[1]
    slope = rng.standard_normal(x.shape[1] if each else 1, np.float32)
    exact = Variable(x.astype(np.float64)), Variable(slope.astype(np.float64))
    y = F.prelu(*exact)
    gx, gslope = gradients([y], exact, [Variable(gy.astype(np.float64))])
    shape = slope.reshape(-1, *[1] * (x.ndim - 2)) if each else slope
    for found, expected in [
        (sloped_channels.compiled()(x, shape), y.data),
        *zip(sloped_gradient.compiled()(gy, x, shape), (gx.data, gslope.data.reshape(shape.shape))),
    ]:
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * max(1.0, abs(expected).max()))


def test_prelu_takes_a_kernel_for_large_arrays_and_none_for_second_derivatives(
    kernel_calls: list[str], rng: np.random.Generator
) -> None:
    x, slope = Variable(rng.standard_normal((8, 16, 20, 20), np.float32)), Variable(np.full(16, 0.25, np.float32))
    x = F.relu6(F.conv2d(x, np.eye(16, dtype=np.float32)[:, :, None, None])) - 1.0  # Channels last in memory.
    kernel_calls.clear()
    y = F.prelu(x, slope)
    (gslope,) = gradients([y], [slope], create_graph=True)
    assert "sloped_channels" in kernel_calls
    assert "sloped_gradient" not in kernel_calls
    gradients([y], [x, slope])
    assert "sloped_gradient" in kernel_calls
    np.testing.assert_allclose(gslope.data, np.minimum(x.data, 0).sum(axis=(0, 2, 3)), rtol=1e-4)


def test_the_variance_of_large_numbers_close_together(rng: np.random.Generator) -> None:
    x = (1e4 + rng.standard_normal((64, 20, 20, 16))).astype(np.float32).transpose(0, 3, 1, 2)
    mean, var = channel_moments(x)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 2, 3), dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(var, x.var(axis=(0, 2, 3), dtype=np.float64), rtol=1e-3)


@pytest.mark.parametrize(
    "shape", [(3, 3, 8, 7), (2, 70, 5, 5), (1, 1, 4, 4), (2, 5, 1, 1), (0, 3, 2, 2), (2, 3, 90, 90), (2, 4, 6)]
)
def test_images_of_users_are_brought_into_the_order_of_kernels(
    shape: tuple[int, ...], num_threads: int, rng: np.random.Generator
) -> None:
    from passus.kernels.native.layouts import with_channels_last

    x = rng.standard_normal(shape, np.float32)
    for given_ in (x, x[:, ::-1], x.astype(np.uint8)):
        last = with_channels_last(given_)
        assert last.flags.c_contiguous
        assert last.dtype == given_.dtype
        np.testing.assert_array_equal(last, np.moveaxis(given_, 1, -1))
    assert np.shares_memory(with_channels_last(np.moveaxis(last, -1, 1)), last) or not last.size


@pytest.mark.parametrize("layer", ["batch_norm", "relu", "relu6"])
def test_large_layers_give_the_same_with_and_without_kernels(layer: str, rng: np.random.Generator) -> None:
    x = np.moveaxis(rng.standard_normal((48, 20, 20, 19), np.float32), -1, 1)
    seed = rng.standard_normal(x.shape).astype(np.float32)
    results = []
    for on in (True, False):
        with using_config("native", on):
            v, gamma, beta = Variable(x), Variable(np.full(19, 1.5, np.float32)), Variable(np.ones(19, np.float32))
            y = F.batch_norm(v, gamma, beta, None, None) if layer == "batch_norm" else getattr(F, layer)(v)
            F.sum(y * y * seed).backward(create_graph=True)
            first = v.grad
            v.cleargrad()
            F.sum(first**2).backward()
            results.append([y.data, first.data, v.grad.data])
    for fast, plain in zip(*results):
        np.testing.assert_allclose(fast, plain, rtol=2e-3, atol=2e-4 * abs(plain).max())
