"""Compiled softmax and cross entropy agree with their references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import passus.functions as F
from passus import Variable, using_config
from passus.kernels.rows import (
    cross_entropy,
    cross_entropy_gradient,
    log_softmax,
    log_softmax_gradient,
    softmax,
    softmax_gradient,
)
from tests.helpers.drawing import generators
from tests.kernels.cases import with_and_without_kernels


@st.composite
def logits(draw: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """x and gy of one shape, with the axis of classes last in memory or not, and which axis it is."""
    rng = draw(generators())
    shape = (*draw(st.lists(st.integers(0, 9), max_size=2)), draw(st.sampled_from([1, 2, 7, 16, 33, 100, 1025, 3000])))
    scale = draw(st.sampled_from([1.0, 30.0, 1000.0]))
    x, gy = (scale * rng.standard_normal(shape), rng.standard_normal(shape))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    x, gy = (np.moveaxis(v.astype(np.float32), -1, axis) for v in (x, gy))
    if draw(st.booleans()):
        x.flags.writeable = gy.flags.writeable = False
    return x, gy, axis


@given(case=logits())
@settings(max_examples=80, deadline=None)
def test_softmax_and_its_logarithm(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    x, gy, axis = case
    for forward, backward in [(softmax, softmax_gradient), (log_softmax, log_softmax_gradient)]:
        y = forward.reference(x.astype(np.float64), axis).astype(np.float32)
        found = forward.compiled()(x, axis)
        np.testing.assert_allclose(found, y, rtol=1e-5, atol=1e-6, strict=True)
        gx = backward.reference(gy.astype(np.float64), y, axis).astype(np.float32)
        np.testing.assert_allclose(backward.compiled()(gy, y, axis), gx, rtol=1e-4, atol=2e-5, strict=True)


@given(case=logits(), data=st.data(), rng=generators())
@settings(max_examples=60, deadline=None)
def test_cross_entropy(case: tuple[np.ndarray, np.ndarray, int], data: st.DataObject, rng: np.random.Generator) -> None:
    x = np.moveaxis(case[0], case[2], -1)
    x = np.moveaxis(x.reshape(1, *x.shape) if x.ndim == 1 else x, -1, 1)
    t = rng.integers(0, x.shape[1], (len(x), *x.shape[2:])).astype(data.draw(st.sampled_from([np.int16, np.int64])))
    smoothing = data.draw(st.sampled_from([0.0, 0.1, 1.0]))
    *expected, e = cross_entropy.reference(x.astype(np.float64), t, smoothing)
    *found, nothing = cross_entropy.compiled()(x, t, smoothing)
    assert nothing is None
    for f, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(f, right.astype(np.float32), rtol=1e-5, atol=1e-6, strict=True)
    rounded = [v.astype(np.float32) for v in expected[1:]]
    for gy in (np.float32(2.0), rng.standard_normal(t.shape, np.float32)):
        right = cross_entropy_gradient.reference(gy, x, t, *expected[1:], e, smoothing)
        gx = cross_entropy_gradient.compiled()(gy, x, t, *rounded, None, smoothing)
        np.testing.assert_allclose(gx, right.astype(np.float32), rtol=1e-4, atol=1e-6, strict=True)
        right = cross_entropy_gradient.reference(gy, x.astype(np.float64), t, *expected[1:], None, smoothing)
        np.testing.assert_allclose(gx, right.astype(np.float32), rtol=1e-4, atol=1e-6, strict=True)


def test_the_exponential_is_as_precise_as_float32_allows() -> None:
    x = np.linspace(-100, 0, 200_001, dtype=np.float32)
    log_z = np.log(np.exp(x, dtype=np.float64).sum())
    relative = softmax.compiled()(x, 0) / np.exp(x - log_z, dtype=np.float64) - 1
    assert abs(relative[x > -80]).max() < 1e-6


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_rows_with_nan_or_infinity_have_the_softmax_that_numpy_gives_them(
    smoothing: float, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((6, 21)).astype(np.float32)
    x[0, 3], x[1, 20], x[2, 0], x[3], x[4, 1:] = np.nan, np.inf, -np.inf, -np.inf, -np.inf
    t = np.array([3, 0, 5, 1, 0, 2])
    with np.errstate(invalid="ignore", divide="ignore"):
        for forward in (softmax, log_softmax):
            np.testing.assert_allclose(forward.compiled()(x, 1), forward.reference(x, 1), rtol=1e-5, atol=1e-6)
        losses, top, z, e = cross_entropy.reference(x, t, smoothing)
        np.testing.assert_allclose(cross_entropy.compiled()(x, t, smoothing)[0], losses, rtol=1e-5, atol=1e-6)
        for gy in (np.float32(1), np.array([1, 0, np.inf, 2, np.nan, -1], np.float32)):
            expected = cross_entropy_gradient.reference(gy, x, t, top, z, e, smoothing)
            found = cross_entropy_gradient.compiled()(gy, x, t, top, z, None, smoothing)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert softmax.compiled()(x, 1)[2, 0] == 0  # What is masked has no part at all.


def test_a_label_out_of_range_is_refused() -> None:
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(IndexError, match="out of bounds for axis 0 with size 3"):
        cross_entropy.compiled()(x, np.array([0, 3]))


OPTIONS = [
    {},
    {"reduction": "sum"},
    {"reduction": "none"},
    {"ignore_index": 2},
    {"weight": np.linspace(0.5, 2, 40).astype(np.float32), "ignore_index": 2},
    {"label_smoothing": 0.1},
    {"label_smoothing": 0.1, "ignore_index": 2},
    {"label_smoothing": 0.1, "weight": np.linspace(0.5, 2, 40).astype(np.float32)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ", ".join(options) or "plain")
@pytest.mark.parametrize("shape", [(600, 40), (20, 40, 5, 8)])
def test_a_large_loss_is_the_same_with_and_without_kernels(
    shape: tuple[int, ...], options: dict[str, Any], num_threads: int, rng: np.random.Generator
) -> None:
    x = np.moveaxis(rng.standard_normal((shape[0], *shape[2:], shape[1]), np.float32), -1, 1)
    t = rng.integers(0, 40, (shape[0], *shape[2:]))

    def compute() -> list[np.ndarray]:
        v = Variable(x)
        y = F.softmax_cross_entropy(v, t, **options)
        F.sum(y * y).backward(create_graph=True)
        first = v.grad
        v.cleargrad()
        F.sum(first**2).backward()
        second = v.grad
        v.cleargrad()
        F.sum(F.softmax_cross_entropy(v, t, **options) ** 2).backward()
        np.testing.assert_allclose(v.grad.data, first.data, rtol=1e-4, atol=1e-6 * abs(first.data).max())
        return [y.data, first.data, second.data]

    for fast, plain in zip(*with_and_without_kernels(compute), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=1e-5 * abs(plain).max())


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1, "ignore_index": 0}, {"reduction": "none"}], ids=str)
def test_the_loss_of_a_language_model_runs_in_the_kernels(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """Logits (N, T, V) are read where they lie; neither pass falls back to the reference."""
    x, t = rng.standard_normal((4, 30, 200), np.float32), rng.integers(0, 200, (4, 30))
    logits = Variable(x)

    def refused(*args: Any) -> None:
        pytest.fail("the reference was used")

    with monkeypatch.context() as patch:
        for kernel in (cross_entropy, cross_entropy_gradient):
            compiled = kernel.compiled()
            patch.setattr(kernel, "compiled", lambda compiled=compiled: compiled)
            patch.setattr(kernel, "reference", refused)
        loss = F.softmax_cross_entropy(logits, t, axis=-1, **options)
        loss.backward()
    assert logits.grad is not None
    assert logits.grad.data.flags.c_contiguous
    y = Variable(x.astype(np.float64).reshape(-1, 200))
    expected = F.softmax_cross_entropy(y, t.reshape(-1), **options)
    expected.backward()
    np.testing.assert_allclose(loss.data.reshape(-1), expected.data.reshape(-1), rtol=1e-5)
    assert y.grad is not None
    np.testing.assert_allclose(logits.grad.data.reshape(-1, 200), y.grad.data, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("function", [F.softmax, F.log_softmax])
def test_a_large_softmax_is_the_same_with_and_without_kernels(
    function: Any, num_threads: int, rng: np.random.Generator
) -> None:
    x, seed = rng.standard_normal((2, 100, 7, 50), np.float32)

    def compute() -> list[np.ndarray]:
        v = Variable(x)
        y = function(v, axis=-1)
        F.sum(y * y * seed).backward(create_graph=True)
        first = v.grad
        v.cleargrad()
        F.sum(first**2).backward()
        second = v.grad
        v.cleargrad()
        y = function(v, axis=-1)
        F.sum(y * y * seed).backward()
        np.testing.assert_allclose(v.grad.data, first.data, rtol=1e-4, atol=1e-5 * abs(first.data).max())
        return [y.data, first.data, second.data]

    for fast, plain in zip(*with_and_without_kernels(compute), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=1e-5 * abs(plain).max())


def test_probabilities_kept_while_kernels_were_off_serve_when_they_are_on(rng: np.random.Generator) -> None:
    x, t = rng.standard_normal((300, 70), np.float32), rng.integers(0, 70, 300)
    grads = []
    for forward, backward in [(True, True), (True, False), (False, True)]:
        v = Variable(x)
        with using_config("native", forward):
            loss = F.softmax_cross_entropy(v, t)
        with using_config("native", backward):
            loss.backward()
        grads.append(v.grad.data)
    for grad in grads[1:]:
        np.testing.assert_allclose(grad, grads[0], rtol=1e-4, atol=1e-8)
