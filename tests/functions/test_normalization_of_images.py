"""Normalization of images in any memory layout: agreement with PyTorch over random shapes, and layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import tensor
from torch.nn import functional as T

import passus.functions as F
import passus.layers as L
from passus import Function, Variable, test_mode
from passus.errors import ArgumentError, DTypeError, ShapeError
from tests.helpers.against_torch import compared
from tests.helpers.against_torch import single_torch_thread as single_torch_thread
from tests.helpers.drawing import generators

pytestmark = pytest.mark.usefixtures("single_torch_thread")

EPS = 0.1
"""Large, because the derivatives for groups of two nearly equal numbers are steep with a small eps."""


@st.composite
def images(draw: Any, least_axes: int = 0, least_batch: int = 1) -> np.ndarray:
    """(N, C, ...) with channels second or last in memory, or with gaps."""
    rng = draw(generators())
    shape = [draw(st.integers(least_batch, 3)), draw(st.integers(1, 6))]
    shape += draw(st.lists(st.integers(1, 4), min_size=least_axes, max_size=3))
    order = draw(st.sampled_from(["channels second", "channels last", "gaps"]))
    x = rng.standard_normal(shape)
    if order == "gaps":
        return np.repeat(x, 2, axis=-1)[..., ::2]
    return x if order == "channels second" else channels_last(x)


def channels_last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)


def scale_and_shift(rng: np.random.Generator, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal(x.shape[1]) + 2, rng.standard_normal(x.shape[1]) - 1


@settings(max_examples=60)
@given(x=images(), rng=generators())
def test_batch_norm_of_images_agrees_with_pytorch(x: np.ndarray, rng: np.random.Generator) -> None:
    assume(x.size // x.shape[1] > 1)
    compared(
        lambda x, g, b: F.batch_norm(x, g, b, None, None, eps=EPS),
        lambda x, g, b: T.batch_norm(x, None, None, g, b, training=True, eps=EPS),
        x,
        *scale_and_shift(rng, x),
    )


@settings(max_examples=60)
@given(x=images(least_batch=0), rng=generators())
def test_fixed_batch_norm_agrees_with_pytorch(x: np.ndarray, rng: np.random.Generator) -> None:
    mean, var = scale_and_shift(rng, x)[1], np.exp(rng.standard_normal(x.shape[1]))
    compared(
        lambda x, g, b: F.fixed_batch_norm(x, g, b, mean, var, eps=EPS),
        lambda x, g, b: T.batch_norm(x, tensor(mean), tensor(var), g, b, eps=EPS),
        x,
        *scale_and_shift(rng, x),
    )


@settings(max_examples=60)
@given(x=images(), data=st.data(), rng=generators())
def test_group_norm_agrees_with_pytorch(x: np.ndarray, data: Any, rng: np.random.Generator) -> None:
    c, *size = x.shape[1:]
    groups = data.draw(st.sampled_from([g for g in range(1, c + 1) if c % g == 0]))
    assume(c // groups * np.prod(size) > 1)
    compared(
        lambda x, g, b: F.group_norm(x, g, b, groups, EPS),
        lambda x, g, b: T.group_norm(x, groups, g, b, EPS),
        x,
        *scale_and_shift(rng, x),
    )


@settings(max_examples=60)
@given(x=images(least_axes=1), rng=generators())
def test_instance_norm_agrees_with_pytorch(x: np.ndarray, rng: np.random.Generator) -> None:
    assume(np.prod(x.shape[2:]) > 1)
    compared(
        lambda x, g, b: F.instance_norm(x, g, b, EPS),
        lambda x, g, b: T.instance_norm(x, weight=g, bias=b, eps=EPS),
        x,
        *scale_and_shift(rng, x),
    )


@settings(max_examples=60)
@given(x=images(least_batch=0), data=st.data(), rng=generators())
def test_layer_norm_and_rms_norm_agree_with_pytorch(x: np.ndarray, data: Any, rng: np.random.Generator) -> None:
    features = x.shape[-data.draw(st.integers(1, x.ndim - 1)) :]
    assume(np.prod(features) > 1)  # For one number the gradient is 0, and PyTorch returns rounding errors.
    gamma, beta = rng.standard_normal(features) + 2, rng.standard_normal(features)
    compared(
        lambda x, g, b: F.layer_norm(x, g, b, EPS), lambda x, g, b: T.layer_norm(x, features, g, b, EPS), x, gamma, beta
    )
    compared(lambda x, g: F.rms_norm(x, g, EPS), lambda x, g: T.rms_norm(x, features, g, EPS), x, gamma)


@settings(max_examples=60)
@given(x=images(least_axes=1, least_batch=0), n=st.integers(1, 8), alpha=st.floats(0, 2), beta=st.floats(0.1, 2))
def test_local_response_norm_agrees_with_pytorch(x: np.ndarray, n: int, alpha: float, beta: float) -> None:
    compared(
        lambda x: F.local_response_norm(x, n, 1.5, alpha, beta),
        lambda x: T.local_response_norm(x, n, alpha * n, beta, 1.5),  # PyTorch divides alpha by n.
        x,
    )


NORMS = {
    "batch_norm": lambda x, g, b: F.batch_norm(x, g, b, None, None),
    "fixed_batch_norm": lambda x, g, b: F.fixed_batch_norm(x, g, b, np.ones_like(g), np.ones_like(g)),
    "group_norm": lambda x, g, b: F.group_norm(x, g, b, 2),
    "instance_norm": F.instance_norm,
    "layer_norm": lambda x, g, b: F.layer_norm(x, np.ones(x.shape[-1:], x.dtype), np.zeros(x.shape[-1:], x.dtype)),
    "rms_norm": lambda x, g, b: F.rms_norm(x, np.ones(x.shape[-1:], x.dtype)),
    "local_response_norm": lambda x, g, b: F.local_response_norm(x),
    "dropout2d": lambda x, g, b: F.dropout2d(x, rng=0),
}


class StridesRecorder(Function):
    """An identity that records the strides of its gradient; the gradient of a leaf may be a copy."""

    def forward(self, x: Any) -> Any:
        return x * 1

    def backward(self, gy: Any) -> Any:
        self.strides = gy.strides
        return gy


@pytest.mark.parametrize("size", [(2, 3), (40, 30)], ids=["small", "large"])
@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_results_and_gradients_preserve_the_memory_layout(
    norm: Any, size: tuple[int, int], rng: np.random.Generator
) -> None:
    x = np.random.default_rng(0).standard_normal((3, 8, *size)).astype(np.float32)
    gamma, beta = (v.astype(np.float32) for v in scale_and_shift(rng, x))
    results = []
    for ordered in (x, channels_last(x)):
        v, recorder = Variable(ordered), StridesRecorder()
        y = norm(recorder(v), gamma, beta)
        (y * y).sum().backward()
        assert y.data.strides == ordered.strides
        assert recorder.strides == ordered.strides
        results.append((y.data, v.grad.data))
    for second, last in zip(*results):
        np.testing.assert_allclose(last, second, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["group_norm", "instance_norm"])
def test_float32_normalization_of_numbers_far_from_zero(name: str) -> None:
    x = np.float32(1000 + np.random.default_rng(1).standard_normal((2, 4, 8, 8)))
    exact = x.astype(np.float64)
    one, zero = np.ones(4), np.zeros(4)
    y = NORMS[name](x, np.float32(one), np.float32(zero))
    np.testing.assert_allclose(y, NORMS[name](exact, one, zero), rtol=1e-3, atol=1e-3)


def test_batch_norm_frozen_in_training(rng: np.random.Generator) -> None:
    layer, x = L.BatchNorm(decay=0.5), rng.standard_normal((4, 3, 2)).astype(np.float32)
    layer(x)
    mean, var = layer.avg_mean.copy(), layer.avg_var.copy()
    with test_mode():
        expected = layer(3 * x)
    layer.frozen = True
    y = layer(Variable(3 * x))
    np.testing.assert_array_equal(y.data, expected.data)
    np.testing.assert_array_equal((layer.avg_mean, layer.avg_var), (mean, var))
    y.backward()
    np.testing.assert_allclose(layer.beta.grad.data, 8)
    assert layer(x[:1, :, :1]).shape == (1, 3, 1), "one number per channel is allowed"
    assert layer(x[:0]).shape == (0, 3, 2)
    layer.frozen = False
    layer(x)
    assert (layer.avg_mean != mean).all()


def test_frozen_batch_norm_gradient_uses_the_statistics_of_its_call(rng: np.random.Generator) -> None:
    """Another batch updates the running statistics between the forward and the backward pass."""
    layer, x = L.BatchNorm(in_size=3, frozen=True), Variable(rng.standard_normal((5, 3)).astype(np.float32))
    y = layer(x)
    layer.frozen = False
    layer(10 * x.data + 5)
    (y**2).sum().backward()
    np.testing.assert_allclose(layer.gamma.grad.data, (2 * x.data**2 / (1 + layer.eps)).sum(axis=0), rtol=1e-4)


def test_non_boolean_frozen_raises() -> None:
    with pytest.raises(DTypeError, match="BatchNorm: frozen is a str"):
        L.BatchNorm(frozen="no")  # type: ignore[arg-type]


def test_failed_first_call_leaves_a_frozen_batch_norm_lazy() -> None:
    model = L.Sequential(L.BatchNorm(frozen=True), L.Linear(2, in_size=7))
    with pytest.raises(ValueError, match="linear"):
        model(np.ones((2, 3), np.float32))
    assert model.l0.avg_mean is None
    assert model.l0.gamma.data is None


def test_dropout2d_drops_whole_channels() -> None:
    x = np.ones((50, 40, 3, 2), np.float32)
    layer = L.Dropout2d(0.25, rng=0)
    y = layer(x)
    of_channels = y.reshape(50, 40, 6)
    assert (of_channels == of_channels[..., :1]).all()
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    # Five standard errors of a proportion of 2,000 channels.
    assert abs(float((y == 0).mean()) - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 2000)
    assert not np.array_equal(y, layer(x)), "one seed gives a sequence of masks"
    with test_mode():
        assert layer(x) is x


LAYERS = [
    (lambda: L.GroupNorm(2), ["gamma", "beta"], (4,), lambda x: T.group_norm(x, 2)),
    (lambda: L.InstanceNorm(), ["gamma", "beta"], (4,), T.instance_norm),
    (lambda: L.RMSNorm(), ["gamma"], (5,), lambda x: T.rms_norm(x, (5,), eps=1e-6)),
    (lambda: L.LocalResponseNorm(), [], None, lambda x: T.local_response_norm(x, 5, 5e-4, k=2.0)),
]


@pytest.mark.parametrize(("make", "names", "shape", "theirs"), LAYERS)
def test_new_normalization_layers_equal_plain_normalization(
    make: Any, names: list[str], shape: Any, theirs: Any, rng: np.random.Generator
) -> None:
    layer, x = make(), rng.standard_normal((2, 4, 3, 5)).astype(np.float32)
    y = layer(Variable(x))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, theirs(tensor(x)), rtol=1e-4, atol=1e-5)
    y.backward()
    assert [name for name, _ in layer.named_params()] == names
    assert all(p.shape == p.grad.shape == shape for p in layer.params())


def test_group_norm_with_indivisible_channels_raises_and_stays_lazy() -> None:
    layer = L.GroupNorm(2)
    with pytest.raises(ShapeError, match=r"^group_norm: the channels.* \(2, 3\).*groups=2"):
        layer(np.ones((2, 3), np.float32))
    assert layer.gamma.data is None
    with pytest.raises(ShapeError, match="GroupNorm: in_size=3 must be a multiple of groups=2"):
        L.GroupNorm(2, in_size=3)


def test_instance_norm_of_a_single_pixel_raises_and_stays_lazy() -> None:
    layer = L.InstanceNorm()
    with pytest.raises(ArgumentError, match=r"^instance_norm: x \(2, 3, 1, 1\) has 1 numbers"):
        layer(np.ones((2, 3, 1, 1), np.float32))
    assert layer.gamma.data is None
