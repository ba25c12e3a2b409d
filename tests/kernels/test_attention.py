"""The kernels of attention against their references: values, gradients, special values, memory."""

from __future__ import annotations

import importlib
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import passus.functions as F
from passus import Variable, using_config
from passus.kernels import get_num_threads, set_num_threads
from passus.kernels.attention import Dropping, Settings, attention, attention_gradients
from passus.kernels.dispatch import native_module, start_using
from passus.kernels.neighbours import joined, joined_like

pytest.importorskip("numba")
LENGTHS = st.sampled_from([1, 2, 4, 5, 31, 48, 49, 97, 130, 200])
FEATURES = st.sampled_from([1, 3, 8, 16, 17, 32, 40, 64, 80])
LEADING = st.sampled_from([((), ()), ((3,), (3,)), ((2, 4), (2, 1)), ((2, 2, 2), (2, 2, 1)), ((3,), ()), ((), (2,))])
MASKS = st.sampled_from(["none", "boolean", "added", "infinite", "keys"])


@pytest.fixture(autouse=True)
def kernels_are_in_use() -> None:
    start_using()


def native() -> Any:
    return native_module("attention")


def mask_of(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    if kind == "none":
        return None
    if kind == "keys":
        return rng.random((*shape[:-2], 1, shape[-1])) < 0.7
    chosen = rng.random(shape[-2:]) < 0.6
    chosen[0] = False
    if kind == "boolean":
        return chosen
    added = rng.standard_normal(shape, np.float32)
    return added if kind == "added" else np.where(chosen, added, np.float32(-np.inf))


def drawn(
    seed: int, lead: Any, queries: int, keys: int, features: int, values: int, kind: str, causal: bool, ratio: float
) -> tuple[list[np.ndarray], Any, Settings, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = (*lead[0], queries, features), (*lead[1], keys, features), (*lead[1], keys, values)
    arrays = [rng.standard_normal(shape, np.float32) for shape in shapes]
    outer = np.broadcast_shapes(*lead)
    dropping = None
    if ratio:
        words = [rng.integers(0, 2**32, shape, np.uint32) for shape in ((*outer, queries, 1), (keys,))]
        dropping = Dropping(*words, int(ratio * 2**32), 1 / (1 - ratio))
    mask = mask_of(kind, rng, (*outer, queries, keys))
    gy = rng.standard_normal((*outer, queries, values), np.float32)
    return arrays, mask, Settings(features**-0.5, causal, dropping), gy


def results(
    arrays: list[np.ndarray], mask: Any, settings: Settings, gy: np.ndarray
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """What the kernels find, and their references: the result, the logarithms, the gradients."""
    with np.errstate(all="ignore"):
        y, lse = attention.reference(*arrays, mask, settings)
        expected = y, lse, *attention_gradients.reference(gy, *arrays, mask, y, lse, settings)
        found = (
            *native().attention(*arrays, mask, settings),
            *native().attention_gradients(gy, *arrays, mask, y, lse, settings),
        )
    return found, expected


def compare(arrays: list[np.ndarray], mask: Any, settings: Settings, gy: np.ndarray) -> None:
    for x, z in zip(*results(arrays, mask, settings, gy), strict=True):
        assert x.shape == z.shape
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, z, rtol=1e-4, atol=2e-5)


CASES = st.tuples(
    st.integers(0, 999),
    LEADING,
    LENGTHS,
    LENGTHS,
    FEATURES,
    FEATURES,
    MASKS,
    st.booleans(),
    st.sampled_from([0.0, 0.3]),
)


@given(CASES)
def test_values_and_gradients(case: Any) -> None:
    compare(*drawn(*case))


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("which", ["q", "k", "v", "gy", "added"])
@pytest.mark.parametrize("queries", [2, 60])
@pytest.mark.parametrize("causal", [False, True])
def test_special_values(special: float, which: str, queries: int, causal: bool) -> None:
    kind = "infinite" if which == "added" else "keys"
    arrays, mask, settings, gy = drawn(1, ((2,), (2,)), queries, 70, 9, 8, kind, causal, 0.0)
    x = {"q": arrays[0], "k": arrays[1], "v": arrays[2], "gy": gy, "added": mask}[which]
    x[0, -2:, -1] = special
    compare(arrays, mask, settings, gy)


@pytest.mark.parametrize("kind", ["none", "infinite"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("queries", [2, 60])
def test_scores_that_are_too_large_for_float32(queries: int, sign: float, kind: str) -> None:
    arrays, mask, settings, gy = drawn(7, ((2,), (2,)), queries, 70, 9, 8, kind, False, 0.0)
    arrays[0][0, -1], arrays[1][0, 3] = 1e25, sign * 1e25
    found, expected = results(arrays, mask, settings, gy)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=2e-5)
    for x, z in zip(found, expected):  # Gradients are differences of nearly equal numbers, multiplied with 1e25.
        np.testing.assert_array_equal(np.isfinite(x), np.isfinite(z))


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("lead", [((1,), (1,)), ((3,), (3,)), ((6,), (2,))])
def test_with_several_threads(count: int, lead: Any) -> None:
    before = get_num_threads()
    set_num_threads(count)
    try:
        arrays, mask, settings, gy = drawn(
            2, ((3, 2), (3, 1)) if lead[0] == (6,) else lead, 300, 310, 32, 32, "added", True, 0.0
        )
        compare(arrays, mask, settings, gy)
    finally:
        set_num_threads(before)


def split_heads(x: np.ndarray) -> np.ndarray:
    """(N, T, H * D) as a view (N, H, T, D)."""
    return x.reshape(*x.shape[:2], 4, -1).transpose(0, 2, 1, 3)


@pytest.mark.parametrize("causal", [False, True])
def test_arrays_may_lie_in_memory_in_any_way_and_results_lie_likewise(causal: bool) -> None:
    rng = np.random.default_rng(3)
    whole = rng.standard_normal((2, 70, 3 * 64), np.float32)
    q, k, v = [split_heads(whole[..., i * 64 : i * 64 + 64]) for i in range(3)]
    gy = rng.standard_normal(q.shape, np.float32)
    compare([q, k, v], None, Settings(0.25, causal), gy)
    compare([q[..., ::-1], k[:, :, ::-1], v[:, ::-1]], None, Settings(0.25, causal), gy[::-1])
    y, _ = native().attention(q, k, v, None, Settings(0.25, causal))
    assert np.argsort(y.strides).tolist() == np.argsort(q.strides).tolist()


@pytest.mark.parametrize("queries", [1, 64])
def test_large_arrays_take_the_kernel_and_wide_ones_do_not(queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name in ("attention", "attention_gradients"):
        kernel = getattr(native(), name)
        monkeypatch.setattr(native(), name, lambda *args, kernel=kernel, name=name: calls.append(name) or kernel(*args))
    rng = np.random.default_rng(4)
    shapes = (2, 4, queries, 32), (2, 2, 64, 32), (2, 2, 64, 16), (2, 4, queries, 16)
    *arrays, gy = [rng.standard_normal(shape, np.float32) for shape in shapes]

    def gradients(dtype: Any, **options: Any) -> list[np.ndarray]:
        xs = [Variable(x.astype(dtype)) for x in arrays]
        y = F.scaled_dot_product_attention(*xs, is_causal=True, **options)
        y.grad = gy.astype(dtype)
        y.backward()
        return [y.data, *[x.grad.data for x in xs]]

    found = gradients(np.float32)
    assert calls == ["attention", "attention_gradients"]
    mask = np.ones((queries, 64), bool)
    gradients(np.float32, mask=mask)
    gradients(np.float32, dropout=0.1)
    assert len(calls) == 6
    calls.clear()
    exact = gradients(np.float64)
    with using_config("native", False):
        plain = gradients(np.float32)
    assert not calls
    for x, y, z in zip(found, exact, plain):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(z, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_the_layout_of_a_growing_cache_is_found_once(masked: bool) -> None:
    found = importlib.import_module("passus.kernels.native.attention_layout").layout
    rng = np.random.default_rng(6)
    memory = rng.standard_normal((2, 1, 2, 64, 32), np.float32)
    q, mask = rng.standard_normal((1, 4, 1, 32), np.float32), rng.random((1, 1, 1, 64)) < 0.7 if masked else None
    found.cache_clear()
    for length in range(33, 65):
        k, v = memory[..., :length, :]
        y = F.scaled_dot_product_attention(q, k, v, None if mask is None else mask[..., :length], is_causal=True)
        arrays = [x.astype(np.float64) for x in (q, k, v)]
        exact = F.scaled_dot_product_attention(*arrays, None if mask is None else mask[..., :length])
        np.testing.assert_allclose(y, exact, rtol=1e-5, atol=1e-6)
    assert masked or found.cache_info().misses == 1


@pytest.mark.parametrize("queries", [1, 4, 5])
def test_up_to_four_queries_read_keys_and_values_where_they_lie(queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, few = [], native().few_queries()
    monkeypatch.setattr(native(), "few_queries", lambda: lambda *args: calls.append(queries) or few(*args))
    q, k, v = np.random.default_rng(7).standard_normal((3, 4, 64, 32), np.float32)
    attention(q[:, :queries], k, v, None, Settings(0.2))
    assert calls == [queries] * (queries <= 4)


def test_dropout_is_the_same_with_and_without_kernels() -> None:
    arrays, _, _, _ = drawn(5, ((2, 4), (2, 4)), 65, 67, 16, 16, "none", True, 0.0)
    found = F.scaled_dot_product_attention(*arrays, dropout=0.4, rng=1)
    with using_config("native", False):
        np.testing.assert_allclose(
            F.scaled_dot_product_attention(*arrays, dropout=0.4, rng=1), found, rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("with_kernels", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_memory_is_linear_in_the_length(with_kernels: bool, causal: bool) -> None:
    """All weights of 4096 queries and as many keys would take 64 MiB; the arrays of a step take 1 MiB each."""
    arrays, _, _, gy = drawn(6, ((1,), (1,)), 4096, 4096, 64, 64, "none", causal, 0.0)
    xs = [Variable(x) for x in arrays]
    with using_config("native", with_kernels):
        F.scaled_dot_product_attention(*xs, is_causal=causal).backward()  # Memory of the compiler does not count.
        tracemalloc.start()
        try:
            y = F.scaled_dot_product_attention(*xs, is_causal=causal)
            y.grad = gy
            y.backward()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 32 << 20


def test_gradients_of_heads_of_one_product_are_joined_without_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = Variable(rng.standard_normal((2, 60, 96), np.float32))
    found: list[bool] = []

    def noted(parts: Any, axis: int) -> Any:
        whole = joined(parts, axis)
        found.append(whole is not None)
        return whole

    def gradient() -> np.ndarray:
        x.cleargrad()
        q, k, v = F.split_heads(F.tanh(x), (4, 4, 4))
        F.sum(F.scaled_dot_product_attention(q, k, v, is_causal=True) ** 2).backward()
        return x.grad.data

    monkeypatch.setattr("passus.kernels.neighbours.joined", noted)
    fast = gradient()
    monkeypatch.setattr("passus.kernels.native.attention_gradients.joined_like", lambda parts, axis: None)
    np.testing.assert_array_equal(fast, gradient())
    assert found == [True, True, False]  # Of the arguments and of their gradients.


def test_parts_are_joined_only_if_they_are_neighbours() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    whole = joined([x[:, :1], x[:, 1:]], -2)
    np.testing.assert_array_equal(whole, x)
    assert np.shares_memory(whole, x)
    turned = joined([x.swapaxes(0, 1)[:2], x.swapaxes(0, 1)[2:]], 0)
    np.testing.assert_array_equal(turned, x.swapaxes(0, 1))
    y = x.copy()
    for parts in [
        [x[:, 1:], x[:, :1]],  # In another order.
        [x[:, :1], x[:, 2:]],  # With a gap.
        [x[:, :1], y[:, 1:]],  # Of two arrays.
        [x[:1, :1], x[:, 1:]],  # Of other shapes.
        [x[:, :1], x[:, 1:, ::-1]],  # The other way round.
        [x[:, :1].astype("f"), x[:, 1:]],
        [x.copy(), x.copy()],
        [Variable(x[:, :1]), Variable(x[:, 1:])],
    ]:
        assert joined(parts, -2) is None
        assert joined_like(parts, -2) is None
