"""Pooling: agreement with PyTorch over random shapes and options, ties, padding, layouts, layers, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as T

import passus.functions as F
import passus.layers as L
from passus import Variable
from passus.errors import ArgumentError, DTypeError, LabelError, ShapeError
from passus.kernels import pooling as kernels
from passus.testing import check_grads
from tests.helpers.against_torch import compared
from tests.helpers.against_torch import single_torch_thread as single_torch_thread
from tests.helpers.drawing import generators

pytestmark = pytest.mark.usefixtures("single_torch_thread")


@st.composite
def windows(draw: Any, axes: int) -> dict[str, Any]:
    """Random images, a kernel, and padding of at most half the kernel, as PyTorch requires.

    For volumes PyTorch also rejects empty batches, and kernels larger than the unpadded image.
    """
    rng = draw(generators())

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    kernel, stride = each(1, 4), each(1, 4)
    pad = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    least = kernel if axes == 3 else tuple(max(1, k - 2 * p) for k, p in zip(kernel, pad))
    size = tuple(n + draw(st.integers(0, 5)) for n in least)
    return {
        "x": rng.standard_normal((draw(st.integers(axes == 3, 3)), draw(st.integers(1, 3)), *size)),
        "kernel": kernel,
        "stride": stride,
        "pad": pad,
        "ceil": draw(st.booleans()),
    }


@pytest.mark.parametrize("axes", [1, 2, 3])
@settings(max_examples=60)
@given(data=st.data())
def test_max_pooling_and_its_indices_agree_with_pytorch(axes: int, data: Any) -> None:
    o = data.draw(windows(axes))
    options = o["kernel"], o["stride"], o["pad"]
    theirs = getattr(T, f"max_pool{axes}d")
    compared(lambda x: F.pooling(x, *options, o["ceil"]), lambda x: theirs(x, *options, ceil_mode=o["ceil"]), o["x"])
    y, indices = F.pooling(o["x"], *options, o["ceil"], return_indices=True)
    t, expected = theirs(torch.tensor(o["x"]), *options, ceil_mode=o["ceil"], return_indices=True)
    np.testing.assert_array_equal(y, t)
    np.testing.assert_array_equal(indices, expected)


@pytest.mark.parametrize("axes", [1, 2, 3])
@settings(max_examples=60)
@given(data=st.data(), count_include_pad=st.booleans())
def test_average_pooling_agrees_with_pytorch(axes: int, data: Any, count_include_pad: bool) -> None:
    o = data.draw(windows(axes))
    options = o["kernel"], o["stride"], o["pad"], o["ceil"], count_include_pad
    compared(lambda x: F.average_pooling(x, *options), lambda x: getattr(T, f"avg_pool{axes}d")(x, *options), o["x"])


@pytest.mark.parametrize("axes", [1, 2, 3])
@settings(max_examples=30)
@given(data=st.data(), rng=generators())
def test_unpooling_agrees_with_pytorch(axes: int, data: Any, rng: np.random.Generator) -> None:
    kernel = tuple(data.draw(st.integers(1, 3)) for _ in range(axes))
    size = tuple(k * data.draw(st.integers(1, 3)) + data.draw(st.integers(0, k - 1)) for k in kernel)
    x = rng.standard_normal((data.draw(st.integers(1, 2)), 2, *size))
    y, indices = F.pooling(x, kernel, kernel, return_indices=True)
    compared(
        lambda y: F.unpooling(y, indices, size),
        lambda y: getattr(T, f"max_unpool{axes}d")(y, torch.tensor(indices), kernel, output_size=size),
        y,
    )


@pytest.mark.parametrize("axes", [1, 2, 3])
@settings(max_examples=60)
@given(data=st.data(), rng=generators())
def test_adaptive_pooling_agrees_with_pytorch(axes: int, data: Any, rng: np.random.Generator) -> None:
    size, out = data.draw(st.tuples(*[st.tuples(*[st.integers(1, 9 - 2 * axes)] * axes)] * 2))
    x = rng.standard_normal((2, data.draw(st.integers(1, 3)), *size))
    average, largest = getattr(T, f"adaptive_avg_pool{axes}d"), getattr(T, f"adaptive_max_pool{axes}d")
    compared(lambda x: F.adaptive_average_pooling(x, out), lambda x: average(x, out), x)
    compared(lambda x: F.adaptive_max_pooling(x, out), lambda x: largest(x, out), x)
    _, indices = F.adaptive_max_pooling(x, out, return_indices=True)
    np.testing.assert_array_equal(indices, largest(torch.tensor(x), out, return_indices=True)[1])


def test_adaptive_averages_use_only_the_pixels_of_their_window() -> None:
    x = np.ones((1, 1, 7))
    x[0, 0, 0] = np.inf
    np.testing.assert_array_equal(F.adaptive_average_pooling(x, 3), [[[np.inf, 1.0, 1.0]]])


def test_unpooling_of_pooling_keeps_only_the_maxima(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 6, 6))
    y, indices = F.pooling(x, 3, 3, return_indices=True)
    back = F.unpooling(y, indices, 6)
    assert set(back[back != 0]) == set(y.ravel())
    np.testing.assert_array_equal(back[back != 0], x[back != 0])


def test_max_pooling_gradient_goes_to_the_first_of_tied_pixels() -> None:
    x = Variable(np.ones((1, 1, 2, 4)))
    F.pooling(x, 2, 2).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[[[1, 0, 1, 0], [0, 0, 0, 0]]]])


def test_max_pooling_propagates_nan(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 1, 4, 4))
    x[0, 0, 1, 2] = np.nan
    y, indices = F.pooling(x, 2, 2, return_indices=True)
    assert np.isnan(y).tolist() == [[[[False, True], [False, False]]]]
    assert indices[0, 0, 0, 1] == 6


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int16, np.bool_])
def test_padding_is_never_the_maximum(dtype: Any) -> None:
    smallest = np.array(-np.inf if dtype == np.float32 else 0, dtype)
    x = np.full((1, 1, 3, 3), smallest)
    y, indices = F.pooling(x, 3, 2, 1, return_indices=True)
    assert y.dtype == dtype
    assert (y == smallest).all()
    np.testing.assert_array_equal(indices, [[[[0, 1], [3, 4]]]])


def test_average_pooling_of_integers_does_not_wrap_around() -> None:
    x = np.full((1, 1, 4, 4), 200, np.uint8)
    np.testing.assert_array_equal(F.average_pooling(x, 2, 2), np.full((1, 1, 2, 2), 200.0))


@pytest.mark.parametrize("function", [F.pooling, F.average_pooling])
@pytest.mark.parametrize("pad", [0, 1])
def test_results_and_gradients_have_channels_last_layout(function: Any, pad: int, rng: np.random.Generator) -> None:
    data = rng.standard_normal((2, 3, 6, 6))
    for memory in (data, np.ascontiguousarray(data.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)):
        x = Variable(memory)
        y = function(x, 2, 2, pad)
        assert y.data.transpose(0, 2, 3, 1).flags.c_contiguous
        gx = y.creator.backward(np.ones(y.shape))
        assert gx.strides[1] == gx.itemsize


def test_indices_of_maxima_are_stored_as_small_integers(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 1, 20, 20))
    for kernel, dtype in ((16, np.uint8), (17, np.uint16)):
        _, positions = kernels.max_pooling(x, (kernel, kernel), (1, 1), ((0, 0), (0, 0)))
        assert positions.dtype == dtype


@pytest.mark.parametrize("function", [F.pooling, F.average_pooling])
def test_third_order(function: Any, rng: np.random.Generator) -> None:
    check_grads(lambda x: function(x**3, 3, 2, 1), rng.standard_normal((1, 2, 4, 4)), order=3)


def test_simple_version_gives_the_same_gradients(rng: np.random.Generator) -> None:
    data, grads = rng.standard_normal((2, 3, 6, 5)), []
    for function in (F.pooling, F.pooling_simple):
        x = Variable(data)
        (function(x, (3, 2), 2, (1, 0)) ** 2).sum().backward()
        grads.append(x.grad.data)
    np.testing.assert_allclose(*grads, rtol=1e-12, atol=1e-12)


LAYERS = [
    (L.MaxPooling(3), lambda x: F.pooling(x, 3, 3)),
    (L.MaxPooling((3, 2), 1, 1, True), lambda x: F.pooling(x, (3, 2), 1, 1, True)),
    (L.AveragePooling(3, pad=1), lambda x: F.average_pooling(x, 3, 3, 1)),
    (L.AveragePooling(3, (2, 1), 1, True, False), lambda x: F.average_pooling(x, 3, (2, 1), 1, True, False)),
    (L.AdaptiveAveragePooling(3), lambda x: F.adaptive_average_pooling(x, 3)),
    (L.AdaptiveMaxPooling((3, 2)), lambda x: F.adaptive_max_pooling(x, (3, 2))),
    (L.GlobalAveragePooling(), lambda x: x.mean(axis=(2, 3))),
    (L.GlobalMaxPooling(keepdims=True), lambda x: x.max(axis=(2, 3), keepdims=True)),
]


@pytest.mark.parametrize(("layer", "function"), LAYERS, ids=lambda v: repr(v) if isinstance(v, L.Layer) else "")
def test_layers(layer: L.Layer, function: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 8, 7))
    np.testing.assert_array_equal(layer(x), function(x))
    assert not list(layer.params())


def test_max_pooling_accepts_signals_and_volumes(rng: np.random.Generator) -> None:
    layer = L.MaxPooling(2)
    assert layer(rng.standard_normal((1, 2, 6))).shape == (1, 2, 3)
    assert layer(rng.standard_normal((1, 2, 6, 4, 2))).shape == (1, 2, 3, 2, 1)


@pytest.mark.parametrize("options", [(2,), ((3, 2), (3, 4), (1, 0)), (2, 3, ((1, 1), (0, 1)))])
def test_max_unpooling_inverts_max_pooling(options: Any, rng: np.random.Generator) -> None:
    unpooled = L.MaxUnpooling(*options)
    x = rng.standard_normal((2, 3, 6, 8))
    y, indices = L.MaxPooling(*options, return_indices=True)(x)
    found = unpooled(y, indices, outsize=(6, 8))
    is_maximum = np.zeros((2, 3, 48), bool)
    np.put_along_axis(is_maximum, indices.reshape(2, 3, -1), True, axis=2)
    np.testing.assert_array_equal(found != 0, is_maximum.reshape(x.shape))
    np.testing.assert_array_equal(L.MaxPooling(*options)(np.where(found == 0, -9.0, found)), y)
    smallest = unpooled(np.zeros_like(y), np.zeros_like(indices))
    assert F.pooling(smallest, options[0], unpooled.stride, unpooled.pad).shape == y.shape


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_default_outsize_of_unpooling_agrees_with_pytorch(axes: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, *(6, 3, 9)[:axes]))
    y, indices = L.MaxPooling(2, 3, 1, return_indices=True)(x)
    expected = getattr(torch.nn, f"MaxUnpool{axes}d")(2, 3, 1)(torch.tensor(y), torch.tensor(indices))
    np.testing.assert_array_equal(L.MaxUnpooling(2, 3, 1)(y, indices), expected)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: L.MaxUnpooling(2, pad="same"), ArgumentError, "MaxUnpooling: pad must be numbers, not 'same'"),
        (lambda: L.MaxUnpooling(2, 0), ArgumentError, "stride is 0"),
        (lambda: L.MaxUnpooling(0), ArgumentError, "MaxUnpooling: kernel_size is 0"),
        (lambda: L.MaxUnpooling(2, 2, 1)(np.ones((1, 1, 1)), np.zeros((1, 1, 1), int)), ShapeError, "use less padding"),
        (lambda: L.MaxUnpooling(2)(np.ones(3), np.arange(3)), ShapeError, "MaxUnpooling: x .* needs the axes"),
        (lambda: L.MaxUnpooling(2)(np.ones((1, 1, 1)), np.full((1, 1, 1), 2)), LabelError, "index 2 is out of range"),
        (lambda: L.MaxPooling(0), ArgumentError, "MaxPooling: kernel_size is 0"),
        (lambda: L.MaxPooling(2.0), DTypeError, "MaxPooling: kernel_size is a float"),
        (lambda: L.MaxPooling(2, 0), ArgumentError, "pooling: stride is 0"),
        (lambda: L.MaxPooling((2, 2), (1, 1, 1)), ArgumentError, "pooling: stride .* each of the 2 spatial axes"),
        (lambda: L.MaxPooling(2, pad=2), ArgumentError, "pooling: padding .* must be less than the kernel"),
        (lambda: L.MaxPooling(2, pad=((1, 0), (0, 2))), ArgumentError, "pooling: padding .* less than the kernel"),
        (lambda: L.AveragePooling(3, pad="full"), ArgumentError, "average_pooling: pad must be"),
        (lambda: L.AdaptiveAveragePooling(0), ArgumentError, "AdaptiveAveragePooling: outsize is 0"),
        (lambda: L.AdaptiveMaxPooling((1, -1)), ArgumentError, "AdaptiveMaxPooling: outsize is -1"),
        (lambda: L.MaxPooling(5)(np.ones((1, 1, 4, 4))), ShapeError, "is larger than x"),
    ],
)
def test_invalid_layer_options_raise(make: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        make()
