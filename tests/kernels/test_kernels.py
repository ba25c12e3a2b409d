"""Compiled kernels beside their references: over drawn shapes, layouts and numbers of threads."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import textwrap
import threading
import time
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import passus.functions as F
import passus.random
from passus import Variable, using_config
from passus.core.backward import gradients
from passus.errors import ArgumentError, DTypeError, PassusWarning
from passus.kernels import channels, dispatch, get_num_threads, set_num_threads, threads, warm_up
from passus.kernels.channels import channel_moments, channel_products, channel_sums, scaled_channels, scaled_gradient
from passus.kernels.convolution import convolve, convolve_input_gradient, convolve_weight_gradient
from passus.kernels.dispatch import native_module
from passus.kernels.elementwise import kept, limited, limited_gradient
from passus.kernels.pooling import (
    average_pooling,
    average_pooling_gradient,
    max_pooling,
    max_pooling_gradient,
)
from passus.kernels.threads import split
from passus.layers import BatchNorm, Conv2d, Flatten, Linear, ReLU, Sequential
from passus.optimizers import SGD

rng = np.random.default_rng(3)


@pytest.fixture(params=[1, 2, 5])
def count(request: pytest.FixtureRequest) -> Any:
    before = get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)


# Convolution.


@st.composite
def convolutions(draw: Any) -> dict[str, Any]:
    axes = draw(st.sampled_from([1, 2, 2, 2]))
    several = st.tuples(*[st.integers(1, 3)] * axes)
    kernel = draw(st.tuples(*[st.integers(1, 5)] * axes))
    stride, dilation = draw(several), draw(several)
    padding = draw(st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * axes))
    least = [max(1, d * (k - 1) + 1 - sum(p)) for k, d, p in zip(kernel, dilation, padding)]
    size = [n + draw(st.integers(0, 18)) for n in least]
    groups, c, o = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 20)), draw(st.integers(1, 70))
    if draw(st.sampled_from([True, False, False])):  # Each channel by itself.
        groups, c, o = draw(st.integers(1, 70)), 1, 1
    x = rng.standard_normal((draw(st.integers(0, 3)), groups * c, *size), np.float32)
    W = rng.standard_normal((groups * o, c, *kernel), np.float32)
    if draw(st.booleans()):  # As a convolution leaves it.
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    if draw(st.booleans()):
        x.flags.writeable = W.flags.writeable = False
    b = rng.standard_normal(groups * o, np.float32) if draw(st.booleans()) else None
    return {"x": x, "W": W, "b": b, "window": (stride, padding, dilation), "groups": groups}


@given(case=convolutions())
@settings(max_examples=60, deadline=None)
def test_convolution(case: dict[str, Any]) -> None:
    x, W, b, window, groups = case.values()
    y = convolve.reference(x, W, b, *window, groups)
    check(convolve, y, x, W, b, *window, groups)
    gy = rng.standard_normal(y.shape, np.float32)
    check(convolve_input_gradient, None, gy, W, x.shape[2:], *window, groups)
    check(convolve_weight_gradient, None, x, gy, W.shape[2:], *window, groups)


@st.composite
def squares(draw: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    """Images and kernels for Winograd's algorithm, at the edges of its squares and vectors."""
    padding = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(2))
    size = [max(1, 3 - sum(pads)) + draw(st.integers(0, 12)) for pads in padding]
    x = rng.standard_normal((draw(st.integers(0, 5)), draw(st.integers(8, 40)), *size), np.float32)
    return x, rng.standard_normal((draw(st.integers(16, 70)), x.shape[1], 3, 3), np.float32), padding


@given(case=squares())
@settings(max_examples=60, deadline=None)
def test_winograd(case: tuple[np.ndarray, np.ndarray, Any]) -> None:
    x, W, padding = case
    b, window = rng.standard_normal(len(W), np.float32), ((1, 1), padding, (1, 1))
    y = convolve.reference(x, W, b, *window, 1)
    check(convolve, y, x, W, b, *window, 1)
    check(convolve_weight_gradient, None, x, y, (3, 3), *window, 1)
    check(convolve_input_gradient, None, y, W, x.shape[2:], *window, 1)


def test_winograd_loses_no_more_than_a_bit() -> None:
    x, W = rng.standard_normal((8, 64, 16, 16), np.float32), rng.standard_normal((32, 64, 3, 3), np.float32)
    options = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    exact = convolve.reference(x.astype(np.float64), W.astype(np.float64), None, *options)
    compiled = convolve.compiled()
    assert compiled is not None
    error = compiled(x, W, None, *options) - exact
    assert np.sqrt(np.mean(error**2)) < 1.5e-6 * exact.std()  # With the points 0, 1, 2 and infinity it would be 1.8e-6.


@st.composite
def few_channels(draw: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    """Images and kernels to few channels, with results whose rows consist of whole groups of neighbours more often than not."""
    kernel, stride = (
        (draw(st.integers(1, 6)), draw(st.integers(2, 7))),
        (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
    )
    padding = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(2))
    columns = draw(st.sampled_from([1, 5, 6, 8, 12, 14, 20, 32]))
    width = (columns - 1) * stride[1] + kernel[1] - sum(padding[1]) + draw(st.integers(0, stride[1] - 1))
    height = max(1, kernel[0] - sum(padding[0])) + draw(st.integers(0, 9))
    x = rng.standard_normal((draw(st.integers(0, 3)), draw(st.integers(1, 40)), height, max(1, width)), np.float32)
    W = rng.standard_normal((draw(st.integers(1, 16)), x.shape[1], *kernel), np.float32)
    return x, W, (stride, padding, (1, 1))


@given(case=few_channels())
@settings(max_examples=80, deadline=None)
def test_convolution_to_few_channels(case: tuple[np.ndarray, np.ndarray, Any]) -> None:
    x, W, window = case
    b = rng.standard_normal(len(W), np.float32)
    y = convolve.reference(x, W, b, *window, 1)
    check(convolve, y, x, W, b, *window, 1)
    check(convolve_weight_gradient, None, x, y, W.shape[2:], *window, 1)
    check(convolve_input_gradient, None, y, W, x.shape[2:], *window, 1)


@st.composite
def channels_by_themselves(draw: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    """Images whose rows are whole strides, or one pixel more. Few kernels and lengths of rows, because each is compiled."""
    along_row = draw(st.sampled_from([(3, 2, 1), (4, 3, 1), (2, 2, 3), (3, 1, 2)]))
    kernel, stride, dilation = [(draw(st.integers(1, 4)), number) for number in along_row]
    padding = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(2))
    size = [draw(st.sampled_from([1, 2, 5, 9])) * s + draw(st.integers(0, 1)) for s in stride]
    least = [max(1, d * (k - 1) + 1 - sum(pads)) for k, d, pads in zip(kernel, dilation, padding)]
    size = [n + -(-max(0, least[i] - n) // stride[i]) * stride[i] for i, n in enumerate(size)]
    channels = draw(st.integers(2, 70))
    x = rng.standard_normal((draw(st.integers(0, 3)), channels, *size), np.float32)
    return x, rng.standard_normal((channels, 1, *kernel), np.float32), (stride, padding, dilation)


@given(case=channels_by_themselves())
@settings(max_examples=40, deadline=None)
def test_convolution_of_each_channel_by_itself(case: tuple[np.ndarray, np.ndarray, Any]) -> None:
    x, W, window = case
    b = rng.standard_normal(len(W), np.float32)
    y = convolve.reference(x, W, b, *window, len(W))
    check(convolve, y, x, W, b, *window, len(W))
    check(convolve_weight_gradient, None, x, y, W.shape[2:], *window, len(W))
    check(convolve_input_gradient, None, y, W, x.shape[2:], *window, len(W))


def check(kernel: Any, expected: Any, *arguments: Any) -> None:
    if expected is None:
        expected = kernel.reference(*arguments)
    compiled = kernel.compiled()
    assert compiled is not None
    found = compiled(*arguments)
    assert found.dtype == expected.dtype
    scale = np.sqrt(np.mean(expected**2)) if expected.size else 0.0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize(("stride", "channels"), [(1, 3), (1, 9), (2, 3)])
def test_convolution_with_several_threads(count: int, stride: int, channels: int) -> None:
    x, W = rng.standard_normal((7, channels, 40, 37), np.float32), rng.standard_normal((33, channels, 3, 3), np.float32)
    window = (stride, stride), ((1, 1), (1, 0)), (1, 1)
    y = convolve.reference(x, W, None, *window, 1)
    check(convolve, y, x, W, None, *window, 1)
    check(convolve_input_gradient, None, y, W, x.shape[2:], *window, 1)
    check(convolve_weight_gradient, None, x, y, W.shape[2:], *window, 1)


@pytest.mark.parametrize("pads", [((0, 0), (0, 0)), ((0, 0), (0, 1)), ((1, 0), (0, 0))])
@pytest.mark.parametrize(("kernel", "channels"), [(1, 600), (2, 600), (1, 33)])
def test_convolution_to_many_channels(kernel: int, channels: int, pads: Any) -> None:
    x, W = (
        rng.standard_normal((2, 20, 6, 5), np.float32),
        rng.standard_normal((channels, 20, kernel, kernel), np.float32),
    )
    window = (1, 1), pads, (1, 1)
    y = convolve.reference(x, W, None, *window, 1)
    check(convolve, y, x, W, None, *window, 1)
    check(convolve_input_gradient, None, y, W, x.shape[2:], *window, 1)
    check(convolve_weight_gradient, None, x, y, W.shape[2:], *window, 1)


@pytest.mark.parametrize("groups", [1, 24])
@pytest.mark.parametrize("pads", [(2, 0), (9, 0), (0, 9), (5, 5)])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 1), (3, 3)])
def test_windows_that_see_nothing_but_the_border(kernel: tuple[int, int], pads: tuple[int, int], groups: int) -> None:
    x = rng.standard_normal((2, 24, 6, 1), np.float32)
    W = rng.standard_normal((24, 24 // groups, *kernel), np.float32)
    for window in ((1, 3), ((3, 3), pads), (2, 1)), ((1, 1), (pads, pads), (1, 1)):
        y = convolve.reference(x, W, None, *window, groups)
        check(convolve, y, x, W, None, *window, groups)
        check(convolve_input_gradient, None, y, W, x.shape[2:], *window, groups)
        check(convolve_weight_gradient, None, x, y, W.shape[2:], *window, groups)


def test_an_image_that_does_not_fit_into_the_cache() -> None:
    x, W = rng.standard_normal((1, 48, 70, 300), np.float32), rng.standard_normal((5, 48, 3, 3), np.float32)
    window = (1, 1), ((1, 1), (1, 1)), (1, 1)
    y = convolve.reference(x, W, None, *window, 1)
    check(convolve, y, x, W, None, *window, 1)
    check(convolve_input_gradient, None, y, W, x.shape[2:], *window, 1)
    check(convolve_weight_gradient, None, x, y, W.shape[2:], *window, 1)


# Channels and elements.


@st.composite
def images(draw: Any, count: int = 2) -> list[np.ndarray]:
    shape = draw(st.lists(st.integers(1, 40), min_size=2, max_size=4))
    arrays = [rng.standard_normal((shape[0], *shape[2:], shape[1]), np.float32) * 3 + 5 for _ in range(count)]
    if draw(st.booleans()):
        for array in arrays:
            array.flags.writeable = False
    return [np.moveaxis(array, -1, 1) for array in arrays]


@given(arrays=images(), limits=st.sampled_from([None, (0.0, math.inf), (0.0, 6.0)]))
@settings(max_examples=60, deadline=None)
def test_sums_and_scales_of_channels(arrays: list[np.ndarray], limits: tuple[float, float] | None) -> None:
    x, gy = (np.round(8 * array) / 8 for array in arrays)  # Both compute exactly, and agree about what is at a limit.
    a, b, c, *_ = parts = np.round(8 * rng.standard_normal((5, x.shape[1]), np.float32)) / 8
    for found, expected in [
        *zip(channel_moments.compiled()(x), channel_moments.reference(x.astype(np.float64))),
        *zip(
            channel_products.compiled()(gy, x, a, b, c, limits),
            channel_products.reference(gy.astype(np.float64), x, a, b, c, limits),
        ),
        (channel_sums.compiled()(x), channel_sums.reference(x.astype(np.float64))),
        (scaled_channels.compiled()(x, a, b, c, limits), scaled_channels.reference(x, a, b, c, limits)),
        (scaled_gradient.compiled()(gy, x, *parts, limits), scaled_gradient.reference(gy, x, *parts, limits)),
    ]:
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * max(1.0, abs(expected).max()))


@pytest.mark.parametrize("shape", [(1000, 5), (7, 3), (129, 17), (3, 600), (0, 4)])
def test_sums_of_channels_have_six_digits_and_keep_what_is_not_finite(shape: tuple[int, int]) -> None:
    x = rng.standard_normal(shape, np.float32) + 100
    np.testing.assert_allclose(channel_sums.compiled()(x), x.sum(axis=0, dtype=np.float64), rtol=1e-6)
    if len(x):
        x[-1, :3] = np.inf, np.nan, -np.inf
        found = channel_sums.compiled()(x)
        np.testing.assert_array_equal(found[:3], [np.inf, np.nan, -np.inf])
        assert np.isfinite(found[3:]).all()


@given(arrays=images(), each=st.booleans())
@settings(max_examples=40, deadline=None)
def test_slopes_of_channels(arrays: list[np.ndarray], each: bool) -> None:
    x, gy = arrays[0] - 5, arrays[1]
    slope = rng.standard_normal(x.shape[1] if each else 1, np.float32)
    compiled = native_module("channels")
    exact = Variable(x.astype(np.float64)), Variable(slope.astype(np.float64))
    y = F.prelu(*exact)
    gx, gslope = gradients([y], exact, [Variable(gy.astype(np.float64))])
    shape = slope.reshape(-1, *[1] * (x.ndim - 2)) if each else slope
    for found, expected in [
        (compiled.sloped_channels(x, shape), y.data),
        *zip(compiled.sloped_gradient(gy, x, shape), (gx.data, gslope.data.reshape(shape.shape))),
    ]:
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * max(1.0, abs(expected).max()))


def test_prelu_takes_a_kernel_for_large_arrays_and_none_for_second_derivatives() -> None:
    x, slope = Variable(rng.standard_normal((8, 16, 20, 20), np.float32)), Variable(np.full(16, 0.25, np.float32))
    x = F.relu6(F.conv2d(x, np.eye(16, dtype=np.float32)[:, :, None, None])) - 1.0  # Channels last in memory.
    with patch.object(channels, "native_module", wraps=native_module) as loaded:
        y = F.prelu(x, slope)
        (gslope,) = gradients([y], [slope], create_graph=True)
        assert loaded.call_count == 1
        gradients([y], [x, slope])
        assert loaded.call_count == 2
    np.testing.assert_allclose(gslope.data, np.minimum(x.data, 0).sum(axis=(0, 2, 3)), rtol=1e-4)


def test_the_variance_of_large_numbers_close_together() -> None:
    x = (1e4 + rng.standard_normal((64, 20, 20, 16))).astype(np.float32).transpose(0, 3, 1, 2)
    mean, var = channel_moments(x)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 2, 3), dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(var, x.var(axis=(0, 2, 3), dtype=np.float64), rtol=1e-3)


@given(arrays=images(), bounds=st.sampled_from([(0.0, np.inf), (0.0, 6.0), (4.0, 5.0)]))
@settings(max_examples=40, deadline=None)
def test_limits(arrays: list[np.ndarray], bounds: tuple[float, float]) -> None:
    x, gy = arrays
    y, expected = limited.compiled()(x, *bounds), limited.reference(x, *bounds)
    np.testing.assert_array_equal(y, expected)
    along = [axis for axis in range(x.ndim) if x.shape[axis] > 1]  # There are no steps along the others.
    assert [y.strides[axis] for axis in along] == [expected.strides[axis] for axis in along]
    np.testing.assert_array_equal(
        limited_gradient.compiled()(gy, y, *bounds), limited_gradient.reference(gy, y, *bounds)
    )


@pytest.mark.parametrize(
    "shape", [(3, 3, 8, 7), (2, 70, 5, 5), (1, 1, 4, 4), (2, 5, 1, 1), (0, 3, 2, 2), (2, 3, 90, 90), (2, 4, 6)]
)
def test_images_of_users_are_brought_into_the_order_of_kernels(shape: tuple[int, ...], count: int) -> None:
    from passus.kernels.native.layouts import with_channels_last

    x = rng.standard_normal(shape, np.float32)
    for images in (x, x[:, ::-1], x.astype(np.uint8)):
        last = with_channels_last(images)
        assert last.flags.c_contiguous
        assert last.dtype == images.dtype
        np.testing.assert_array_equal(last, np.moveaxis(images, 1, -1))
    assert np.shares_memory(with_channels_last(np.moveaxis(last, -1, 1)), last) or not last.size


def test_nan_and_infinity_pass_limits_as_they_pass_numpy() -> None:
    x = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)
    np.testing.assert_array_equal(limited.compiled()(x, 0.0, np.inf), limited.reference(x, 0.0, np.inf))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 3, 1, 2)])
@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0])
def test_dropout_by_its_kernel_is_dropout_by_numpy(order: tuple[int, ...], ratio: float, count: int) -> None:
    x = rng.standard_normal((9, 40, 33, 50), np.float32).transpose(order)
    gy = rng.standard_normal((9, 40, 33, 50), np.float32).transpose(order)
    results = []
    for native in (True, False):
        v = Variable(x)
        with using_config("native", native):
            y = F.dropout(v, ratio, rng=7)
            (gx,) = gradients([y], [v], [Variable(gy)])
        results.append((y.data, gx.data))
    for fast, plain in zip(*results):
        np.testing.assert_array_equal(fast, plain)
        assert fast.strides == plain.strides == x.strides
    assert abs((results[0][0] == 0).mean() - ratio) < 0.002
    assert kept.suits(x, np.empty_like(x, np.uint32), 0, 1.0)


@pytest.mark.parametrize("layer", ["batch_norm", "relu", "relu6"])
def test_large_layers_give_the_same_with_and_without_kernels(layer: str) -> None:
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


@st.composite
def pools(draw: Any) -> tuple[np.ndarray, Any, Any, Any]:
    kernel, stride = draw(st.tuples(*[st.integers(1, 4)] * 2)), draw(st.tuples(*[st.integers(1, 3)] * 2))
    padding = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in kernel)
    size = [k + draw(st.integers(0, 8)) for k in kernel]
    x = rng.integers(-3, 3, (draw(st.integers(0, 3)), *size, draw(st.integers(1, 40)))).astype(np.float32)
    x[rng.random(x.shape) < draw(st.sampled_from([0.0, 0.1]))] = np.nan
    return np.moveaxis(x, -1, 1), kernel, stride, padding


@given(case=pools())
@settings(max_examples=60, deadline=None)
def test_max_pooling(case: tuple[np.ndarray, Any, Any, Any]) -> None:
    x, *window = case
    y, places = max_pooling.reference(x, *window)
    for found, expected in zip(max_pooling.compiled()(x, *window), (y, places)):
        np.testing.assert_array_equal(found, expected, strict=True)
    gy = rng.standard_normal(y.shape, np.float32)
    found = max_pooling_gradient.compiled()(gy, places, x.shape[2:], *window)
    np.testing.assert_allclose(found, max_pooling_gradient.reference(gy, places, x.shape[2:], *window), atol=1e-5)


@given(case=pools(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_average_pooling(case: tuple[np.ndarray, Any, Any, Any], data: st.DataObject) -> None:
    x, *window = case
    out = max_pooling.reference(x, *window)[0].shape[2:]
    divisor = data.draw(st.sampled_from([np.asarray(6.0), rng.integers(1, 9, out)]))
    expected = average_pooling.reference(x, *window, divisor)
    np.testing.assert_allclose(average_pooling.compiled()(x, *window, divisor), expected, rtol=1e-5, atol=1e-6)
    gy = rng.standard_normal(expected.shape, np.float32)
    found = average_pooling_gradient.compiled()(gy, x.shape[2:], *window, divisor)
    expected = average_pooling_gradient.reference(gy, x.shape[2:], *window, divisor)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert found.dtype == np.float32


# Which of two.


def test_large_arrays_take_the_kernel_and_its_gradients_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    found = dispatch.Kernel.compiled

    def noted(kernel: dispatch.Kernel[..., Any]) -> Any:
        taken.append(kernel.reference.__name__)
        return found(kernel)

    monkeypatch.setattr(dispatch.Kernel, "compiled", noted)
    x, W = (
        Variable(rng.standard_normal((16, 8, 32, 32), np.float32)),
        Variable(rng.standard_normal((16, 8, 3, 3), np.float32)),
    )
    grads = []
    for on in (True, False):
        with using_config("native", on):
            x.cleargrad()
            W.cleargrad()
            F.sum(F.conv2d(x, W, pad=1) ** 2).backward(create_graph=True)
            first = x.grad
            W.cleargrad()
            F.sum(first**2).backward()
            grads.append([first.data, W.grad.data])
    assert set(taken) == {"convolve", "convolve_input_gradient", "convolve_weight_gradient"}
    for fast, plain in zip(*grads):
        np.testing.assert_allclose(fast, plain, rtol=1e-3, atol=1e-4 * abs(plain).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_arrays_and_other_dtypes_never_wait_for_a_compiler(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(name: str) -> None:
        raise AssertionError(f"{name} was asked for")

    monkeypatch.setattr(dispatch, "native_module", asked)
    monkeypatch.setattr(dispatch, "_in_use", False)
    size = 8 if dtype == np.float32 else 64
    F.conv2d(np.zeros((8, 3, size, size), dtype), np.zeros((8, 3, 3, 3), dtype))


@pytest.mark.compiles
def test_once_kernels_are_in_use_small_arrays_take_them_too_and_so_after_a_checkpoint(tmp_path: Path) -> None:
    first = """
        import sys, numpy as np, passus.functions as F
        from passus.kernels.dispatch import in_use
        from passus.serializers import load_checkpoint, save_checkpoint
        small, large = np.zeros((1, 3, 8, 8), np.float32), np.zeros((16, 8, 64, 64), np.float32)
        F.conv2d(small, np.zeros((4, 3, 3, 3), np.float32))
        assert not in_use() and "numba" not in sys.modules
        F.conv2d(large, np.zeros((16, 8, 3, 3), np.float32))
        assert in_use()
        save_checkpoint(sys.argv[1])
    """
    second = """
        import sys, numpy as np
        from passus.kernels.dispatch import in_use
        from passus.serializers import load_checkpoint
        assert not in_use()
        load_checkpoint(sys.argv[1])
        assert in_use()
    """
    for script in (first, second):
        path = str(tmp_path / "run.safetensors")
        subprocess.run([sys.executable, "-c", textwrap.dedent(script), path], check=True)


def test_without_numba_there_is_one_warning() -> None:
    script = """
        import sys, warnings
        sys.modules["llvmlite"] = sys.modules["numba"] = None
        import numpy as np, passus.functions as F
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for _ in range(2):
                F.conv2d(np.zeros((16, 8, 64, 64), np.float32), np.zeros((16, 8, 3, 3), np.float32))
        (warning,) = seen
        print(warning.category.__name__, warning.message)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert "PassusWarning" in done.stdout
    assert "pip install numba" in done.stdout


def test_a_broken_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from passus.kernels.native import processor

    def broken() -> None:
        raise OSError("no LLVM")

    monkeypatch.setattr(processor, "probe", broken)
    dispatch._numba_works.cache_clear()
    dispatch._loaded.cache_clear()
    try:
        with pytest.warns(PassusWarning, match="no LLVM"):
            assert convolve.compiled() is None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert convolve.compiled() is None
    finally:
        dispatch._numba_works.cache_clear()
        dispatch._loaded.cache_clear()


# Threads.


def test_every_item_is_worked_on_once(count: int) -> None:
    seen: list[int] = []
    for n in (0, 1, 2, 3, 100):
        seen.clear()
        pieces = split(lambda start, stop: seen.extend(range(start, stop)), n)
        assert sorted(seen) == list(range(n))
        assert pieces == max(1, min(count, n))


def test_small_work_is_not_split() -> None:
    assert split(lambda start, stop: None, 100, smallest=60) == 1


def test_threads_let_go_of_what_they_have_worked_on(count: int) -> None:
    class Large:
        pass

    def work(thing: Large) -> weakref.ref[Large]:
        split(lambda start, stop: time.sleep(0.001) if thing else None, 10)
        return weakref.ref(thing)

    for _ in range(20):
        known = work(Large())
        assert known() is None, "at once, or a gradient would seem to be in someone's hands"


def test_an_error_in_one_piece_is_raised_and_the_threads_go_on(count: int) -> None:
    def fail(start: int, stop: int) -> None:
        if stop == 10:
            raise ValueError("the last piece")

    for _ in range(3):
        with pytest.raises(ValueError, match="the last piece"):
            split(fail, 10)
    assert split(lambda start, stop: None, 10) == count


def test_work_within_work_and_from_many_threads_at_once(count: int) -> None:
    totals = np.zeros(8)

    def one(row: int) -> None:
        def outer(start: int, stop: int) -> None:
            split(lambda a, b: cells.__setitem__((slice(start, stop), slice(a, b)), 1), 20)

        cells = np.zeros((20, 20))
        split(outer, 20)
        totals[row] = cells.sum()

    users = [threading.Thread(target=one, args=(row,)) for row in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    np.testing.assert_array_equal(totals, 400)


@pytest.mark.compiles
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_process_has_threads_of_its_own() -> None:
    script = """
        import os, sys
        from passus.kernels import set_num_threads
        from passus.kernels.threads import split
        set_num_threads(3)
        assert split(lambda a, b: None, 9) == 3
        child = os.fork()
        if child == 0:
            seen = []
            split(lambda a, b: seen.append((a, b)), 9)
            os._exit(0 if len(seen) == 3 else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


@pytest.mark.parametrize("most", [0, 1])
def test_threads_that_cannot_be_started_cost_speed_only(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = threading.Thread.start, []

    def refused(thread: threading.Thread) -> None:
        if len(started) >= most:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    before = get_num_threads()
    set_num_threads(4)
    monkeypatch.setattr(threads, "_pool", threads._Pool())
    monkeypatch.setattr(threading.Thread, "start", refused)
    try:
        done: list[tuple[int, int]] = []
        with pytest.warns(PassusWarning, match=f"on {most + 1} threads instead of 4.*can't start new thread"):
            split(lambda a, b: done.append((a, b)), 12)
        split(lambda a, b: done.append((a, b)), 12)  # Without a warning.
        assert sorted(done) == [(0, 3), (0, 3), (3, 6), (3, 6), (6, 9), (6, 9), (9, 12), (9, 12)]
    finally:
        set_num_threads(before)


@pytest.mark.parametrize(("given_", "error"), [(0, ArgumentError), (-1, ArgumentError), (1.5, DTypeError)])
def test_a_number_of_threads_that_makes_no_sense(given_: Any, error: type[Exception]) -> None:
    before = get_num_threads()
    with pytest.raises(error, match="set_num_threads"):
        set_num_threads(given_)
    assert get_num_threads() == before


def test_the_environment_sets_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    before = get_num_threads()
    try:
        monkeypatch.setenv("PASSUS_NUM_THREADS", "3")
        monkeypatch.setattr(threads, "_count", None)
        assert get_num_threads() == 3
        monkeypatch.setenv("PASSUS_NUM_THREADS", "many")
        monkeypatch.setattr(threads, "_count", None)
        with pytest.raises(ArgumentError, match="PASSUS_NUM_THREADS='many'"):
            get_num_threads()
    finally:
        set_num_threads(before)


def test_models_trained_in_eight_threads_at_once_are_those_trained_one_by_one() -> None:
    def trained(seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        x = generator.standard_normal((32, 3, 24, 24)).astype(np.float32)
        t = generator.integers(0, 5, 32)
        with passus.random.using_rng(seed):
            model = Sequential(Conv2d(16, 3, pad=1), BatchNorm(), ReLU(), Conv2d(16, 3, 2), Flatten(), Linear(5))
            optimizer = SGD(lr=0.05).setup(model)
            for _ in range(3):
                loss = F.softmax_cross_entropy(model(x), t)
                model.cleargrads()
                loss.backward()
                optimizer.update()
        return np.concatenate([p.data.ravel() for p in model.params()])

    alone = [trained(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(trained, range(8)))
    np.testing.assert_array_equal(together, alone)


@pytest.mark.slow
def test_warming_up_leaves_nothing_to_compile() -> None:
    assert warm_up()
    known = dispatch.native_module("convolution")._convolution
    before = known.cache_info().currsize
    x, W = np.zeros((1, 3, 9, 13), np.float32), np.zeros((40, 3, 3, 3), np.float32)
    convolve.compiled()(x, W, None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    assert known.cache_info().currsize == before
