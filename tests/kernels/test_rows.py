"""Compiled kernels of rows beside their references: softmax and cross entropy, norms, rows added up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import passus.functions as F
from passus import Variable, using_config
from passus.kernels import get_num_threads, set_num_threads
from passus.kernels.normalization import (
    normalized,
    normalized_gradients,
    rms_normalized,
    rms_normalized_gradients,
)
from passus.kernels.rows import (
    cross_entropy,
    cross_entropy_gradient,
    log_softmax,
    log_softmax_gradient,
    softmax,
    softmax_gradient,
)
from passus.kernels.scatter import scatter_add

rng = np.random.default_rng(3)


@pytest.fixture(params=[1, 2, 5])
def count(request: pytest.FixtureRequest) -> Any:
    before = get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)


def with_and_without_kernels(compute: Any) -> list[list[np.ndarray]]:
    results = []
    for on in (True, False):
        with using_config("native", on):
            results.append(compute())
    return results


# Rows added up.


@st.composite
def additions(draw: Any) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    shape = (draw(st.integers(1, 9)), *draw(st.lists(st.integers(0, 40), max_size=2)))
    of_index = draw(st.lists(st.integers(0, 5), max_size=3))
    index = rng.integers(-shape[0], shape[0], of_index).astype(draw(st.sampled_from([np.int8, np.int32, np.int64])))
    values = rng.integers(-9, 9, (*of_index, *shape[1:])).astype(np.float32)
    if draw(st.booleans()):
        values = values.copy(order="F")
        index.flags.writeable = values.flags.writeable = False
    return shape, index, values


@given(case=additions())
@settings(max_examples=60, deadline=None)
def test_rows_are_added_up(case: tuple[tuple[int, ...], np.ndarray, np.ndarray]) -> None:
    expected = np.zeros(case[0], np.float32)
    np.add.at(expected, case[1], case[2])
    np.testing.assert_array_equal(scatter_add.compiled()(*case), expected, strict=True)
    np.testing.assert_array_equal(scatter_add.reference(*case), expected, strict=True)


def test_an_index_without_a_row_is_refused() -> None:
    for index in ([0, 3], [-4, 0]):
        with pytest.raises(IndexError, match="out of bounds for axis 0 with size 3"):
            scatter_add.compiled()((3, 2), np.array(index), np.ones((2, 2), np.float32))


def test_sums_of_rows_do_not_depend_on_the_number_of_threads(count: int) -> None:
    index, values = np.arange(30_000) % 7, rng.standard_normal((30_000, 70), np.float32)
    expected = scatter_add.reference((7, 70), index, values)
    np.testing.assert_array_equal(scatter_add.compiled()((7, 70), index, values), expected)


def test_a_large_embedding_gives_the_same_with_and_without_kernels() -> None:
    index, table = rng.integers(0, 9, (40, 30)), rng.standard_normal((9, 24), np.float32)

    def compute() -> list[np.ndarray]:
        W = Variable(table)
        F.sum(F.embed_id(index, W) ** 3).backward(create_graph=True)
        first = W.grad
        W.cleargrad()
        F.sum(first**2).backward()
        return [first.data, W.grad.data]

    for fast, plain in zip(*with_and_without_kernels(compute)):
        np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=1e-5 * abs(plain).max())


# Normalisation.


@st.composite
def rows(draw: Any) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """x and gy of one shape, gamma and beta of its last axes, and which these are."""
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


def test_sums_over_many_normalized_rows(count: int) -> None:
    x, gy = rng.standard_normal((2, 30_000, 40), np.float32)
    gamma = np.ones(40, np.float32)
    _, mean, inv_std = normalized.compiled()(x, gamma, gamma, (-1,), 1e-5)
    _, ggamma, gbeta = normalized_gradients.compiled()(gy, x, gamma, mean, inv_std, (-1,))
    x_hat = (x - x.mean(1, np.float64, keepdims=True)) / x.std(1, np.float64, keepdims=True)
    np.testing.assert_allclose(ggamma, (gy * x_hat).sum(0), rtol=1e-3, atol=1e-2)  # eps is not in x_hat.
    np.testing.assert_allclose(gbeta, gy.sum(0, np.float64), rtol=1e-5, atol=1e-4)


def test_rows_with_nan_or_infinity_are_normalized_as_numpy_does_it() -> None:
    x = rng.standard_normal((4, 21), np.float32)
    x[0, 3], x[1, 20], x[2, 0] = np.nan, np.inf, -np.inf
    parts = (np.ones(21, np.float32), np.ones(21, np.float32), (-1,), 1e-5)
    with np.errstate(invalid="ignore"):
        expected = [normalized.reference(x, *parts)[0], rms_normalized.reference(x, parts[0], *parts[2:])[0]]
    found = [normalized.compiled()(x, *parts)[0], rms_normalized.compiled()(x, parts[0], *parts[2:])[0]]
    for f, e in zip(found, expected):
        np.testing.assert_allclose(f, e, rtol=1e-5, atol=1e-6)


def test_the_variance_of_rows_of_large_numbers_close_together() -> None:
    x = (1e4 + rng.standard_normal((40, 500))).astype(np.float32)
    one = np.ones(500, np.float32)
    _, _, inv_std = normalized.compiled()(x, one, one, (-1,), 0.0)
    np.testing.assert_allclose(inv_std[:, 0], 1 / x.std(1, dtype=np.float64), rtol=1e-3)


def test_wider_parameters_make_wider_results() -> None:
    x, narrow, wide = rng.standard_normal((600, 40), np.float32), np.ones(40, np.float32), np.ones(40)
    for gamma, beta in [(narrow, wide), (wide, narrow)]:
        v = Variable(x)
        y = F.layer_norm(v, gamma, beta)
        F.sum(y * y).backward()
        assert (y.dtype, v.grad.dtype) == (np.float64, np.float32)


@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm"])
def test_large_norms_give_the_same_with_and_without_kernels(norm: str) -> None:
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


def test_groups_of_large_numbers_close_together_and_of_nan() -> None:
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
def test_large_groups_give_the_same_with_and_without_kernels(size: tuple[int, ...], last: bool, count: int) -> None:
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


# Softmax and cross entropy.


@st.composite
def logits(draw: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """x and gy of one shape, with the axis of classes last in memory or not, and which axis it is."""
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


@given(case=logits(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_cross_entropy(case: tuple[np.ndarray, np.ndarray, int], data: st.DataObject) -> None:
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
def test_rows_with_nan_or_infinity_have_the_softmax_that_numpy_gives_them(smoothing: float) -> None:
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
    shape: tuple[int, ...], options: dict[str, Any], count: int
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
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
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
def test_a_large_softmax_is_the_same_with_and_without_kernels(function: Any, count: int) -> None:
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


def test_probabilities_kept_while_kernels_were_off_serve_when_they_are_on() -> None:
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
