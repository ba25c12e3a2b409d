"""Compiled normalization of rows and of groups of channels agrees with its references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import passus.functions as F
from passus import Variable
from passus.kernels.normalization import (
    normalized,
    normalized_gradients,
    rms_normalized,
    rms_normalized_gradients,
)
from tests.helpers.drawing import generators
from tests.kernels.cases import with_and_without_kernels


@st.composite
def rows(draw: Any) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """x and gy of one shape, gamma and beta of its last axes, and which these are."""
    rng = draw(generators())
    lead = draw(st.lists(st.integers(0, 9), max_size=2))
    features = (draw(st.sampled_from([1, 2, 5, 8, 31, 32, 100, 301])), *draw(st.lists(st.integers(1, 3), max_size=1)))
    arrays = [rng.standard_normal(shape, np.float32) + 2 for shape in [(*lead, *features)] * 2 + [features] * 2]
    if draw(st.booleans()):
        for array in arrays:
            array.flags.writeable = False
    return arrays, tuple(range(-len(features), 0))


def check_all(found: Any, expected: Any) -> None:
    for f, e in zip(found, expected, strict=True):
        assert (f.dtype, f.shape) == (np.float32, e.shape)
        largest = abs(e).max(initial=0.1)  # What should be 0 is a difference of numbers of about 1.
        np.testing.assert_allclose(f, e, rtol=1e-4, atol=1e-4 * largest)


@given(case=rows())
@settings(max_examples=60, deadline=None)
def test_rows_are_normalized(case: tuple[list[np.ndarray], tuple[int, ...]]) -> None:
    (x, gy, gamma, beta), axes = case
    wide = [v.astype(np.float64) for v in (x, gy, gamma, beta)]
    y, *statistics = normalized.reference(wide[0], *wide[2:], axes, 0.1)
    check_all(normalized.compiled()(x, gamma, beta, axes, 0.1), (y, *statistics))
    rounded = [v.astype(np.float32) for v in statistics]
    check_all(
        normalized_gradients.compiled()(gy, x, gamma, *rounded, axes),
        normalized_gradients.reference(wide[1], wide[0], wide[2], *statistics, axes),
    )


@given(case=rows())
@settings(max_examples=60, deadline=None)
def test_rows_are_normalized_by_their_root_mean_square(case: tuple[list[np.ndarray], tuple[int, ...]]) -> None:
    (x, gy, gamma, _), axes = case
    wide = [v.astype(np.float64) for v in (x, gy, gamma)]
    y, inv_rms = rms_normalized.reference(wide[0], wide[2], axes, 0.1)
    check_all(rms_normalized.compiled()(x, gamma, axes, 0.1), (y, inv_rms))
    check_all(
        rms_normalized_gradients.compiled()(gy, x, gamma, inv_rms.astype(np.float32), axes),
        rms_normalized_gradients.reference(wide[1], wide[0], wide[2], inv_rms, axes),
    )


def test_sums_over_many_normalized_rows(num_threads: int, rng: np.random.Generator) -> None:
    x, gy = rng.standard_normal((2, 30_000, 40), np.float32)
    gamma = np.ones(40, np.float32)
    _, mean, inv_std = normalized.compiled()(x, gamma, gamma, (-1,), 1e-5)
    _, ggamma, gbeta = normalized_gradients.compiled()(gy, x, gamma, mean, inv_std, (-1,))
    x_hat = (x - x.mean(1, np.float64, keepdims=True)) / x.std(1, np.float64, keepdims=True)
    np.testing.assert_allclose(ggamma, (gy * x_hat).sum(0), rtol=1e-3, atol=1e-2)  # eps is not in x_hat.
    np.testing.assert_allclose(gbeta, gy.sum(0, np.float64), rtol=1e-5, atol=1e-4)


def test_rows_with_nan_or_infinity_are_normalized_as_numpy_does_it(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 21), np.float32)
    x[0, 3], x[1, 20], x[2, 0] = np.nan, np.inf, -np.inf
    options = (np.ones(21, np.float32), np.ones(21, np.float32), (-1,), 1e-5)
    with np.errstate(invalid="ignore"):
        expected = [normalized.reference(x, *options)[0], rms_normalized.reference(x, options[0], *options[2:])[0]]
    found = [normalized.compiled()(x, *options)[0], rms_normalized.compiled()(x, options[0], *options[2:])[0]]
    for f, e in zip(found, expected):
        np.testing.assert_allclose(f, e, rtol=1e-5, atol=1e-6)


def test_the_variance_of_rows_of_large_numbers_close_together(rng: np.random.Generator) -> None:
    x = (1e4 + rng.standard_normal((40, 500))).astype(np.float32)
    one = np.ones(500, np.float32)
    _, _, inv_std = normalized.compiled()(x, one, one, (-1,), 0.0)
    np.testing.assert_allclose(inv_std[:, 0], 1 / x.std(1, dtype=np.float64), rtol=1e-3)


def test_wider_parameters_make_wider_results(rng: np.random.Generator) -> None:
    x, narrow, wide = rng.standard_normal((600, 40), np.float32), np.ones(40, np.float32), np.ones(40)
    for gamma, beta in [(narrow, wide), (wide, narrow)]:
        v = Variable(x)
        y = F.layer_norm(v, gamma, beta)
        F.sum(y * y).backward()
        assert (y.dtype, v.grad.dtype) == (np.float64, np.float32)


@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm"])
def test_large_norms_give_the_same_with_and_without_kernels(norm: str, rng: np.random.Generator) -> None:
    shape = (200, 3, 33)
    x, seed, gamma, beta = (rng.standard_normal(s, np.float32) for s in (shape, shape, 33, 33))

    def compute() -> list[np.ndarray]:
        inputs = [Variable(v) for v in (x, gamma, beta)[: 3 if norm == "layer_norm" else 2]]
        y = getattr(F, norm)(*inputs)
        F.sum(y * y * seed).backward(create_graph=True)
        first = [v.grad for v in inputs]
        for v in inputs:
            v.cleargrad()
        sum(F.sum(g**2) for g in first).backward()
        return [y.data, *[g.data for g in first], *[v.grad.data for v in inputs if v.grad is not None]]

    for fast, plain in zip(*with_and_without_kernels(compute), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-3, atol=1e-4 * abs(plain).max())


@st.composite
def grouped_images(draw: Any) -> list[np.ndarray]:
    """x and gy (N, G, E, ...), gamma and beta (G, E, 1, ...)."""
    rng = draw(generators())
    n, g, e = draw(st.integers(0, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 40))
    size = draw(st.lists(st.integers(1, 12), max_size=2))
    arrays = [rng.standard_normal((n, *size, g, e), np.float32) + 2 for _ in range(2)]
    arrays = [np.moveaxis(v, (-2, -1), (1, 2)) for v in arrays]
    arrays += [rng.standard_normal((g, e, *[1] * len(size)), np.float32) for _ in range(2)]
    if draw(st.booleans()):
        for array in arrays:
            array.flags.writeable = False
    return arrays


@given(arrays=grouped_images())
@settings(max_examples=60, deadline=None)
def test_groups_of_channels_are_normalized(arrays: list[np.ndarray]) -> None:
    x, gy, gamma, beta = arrays
    axes = tuple(range(2, x.ndim))
    wide = [v.astype(np.float64) for v in (x, gy, gamma, beta)]
    y, *statistics = normalized.reference(wide[0], *wide[2:], axes, 0.1)
    check_all(normalized.compiled()(x, gamma, beta, axes, 0.1), (y, *statistics))
    rounded = [v.astype(np.float32) for v in statistics]
    check_all(
        normalized_gradients.compiled()(gy, x, gamma, *rounded, axes),
        normalized_gradients.reference(wide[1], wide[0], wide[2], *statistics, axes),
    )


def test_groups_of_large_numbers_close_together_and_of_nan(rng: np.random.Generator) -> None:
    x = (1e4 + rng.standard_normal((6, 30, 30, 2, 20))).astype(np.float32)
    x[1, 2, 3, 0, 5], x[2, 0, 0, 1, 0] = np.nan, np.inf
    x = np.moveaxis(x, (-2, -1), (1, 2))
    one = np.ones((2, 20, 1, 1), np.float32)
    y, _, inv_std = normalized.compiled()(x, one, one, (2, 3, 4), 0.0)
    with np.errstate(invalid="ignore"):
        expected = 1 / x.std((2, 3, 4), dtype=np.float64, keepdims=True)
    np.testing.assert_allclose(inv_std, expected, rtol=1e-3)
    assert np.isnan(y[1, 0]).all()
    assert np.isfinite(y[1, 1]).all()


@pytest.mark.parametrize("size", [(), (9, 8)])
@pytest.mark.parametrize("last", [True, False])
def test_large_groups_give_the_same_with_and_without_kernels(
    size: tuple[int, ...], last: bool, num_threads: int, rng: np.random.Generator
) -> None:
    shape = (700, *size, 24) if last else (700, 24, *size)
    x, seed = (np.moveaxis(v, -1, 1) if last else v for v in rng.standard_normal((2, *shape), np.float32) + 2)
    gamma, beta = rng.standard_normal((2, 24), np.float32)

    def compute() -> list[np.ndarray]:
        inputs = [Variable(v) for v in (x, gamma, beta)]
        y = F.group_norm(*inputs, groups=4)
        F.sum(y * y * seed).backward(create_graph=True)
        first = [v.grad for v in inputs]
        for v in inputs:
            v.cleargrad()
        F.sum(F.group_norm(*inputs, groups=4) ** 2 * seed).backward()
        plain = [v.grad.data for v in inputs]
        for v in inputs:
            v.cleargrad()
        sum(F.sum(g**2) for g in first).backward()
        return [y.data, *[g.data for g in first], *plain, *[v.grad.data for v in inputs]]

    for fast, plain in zip(*with_and_without_kernels(compute), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=2e-3, atol=5e-4 * abs(plain).max())
