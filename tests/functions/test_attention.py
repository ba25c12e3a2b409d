"""Attention: agreement with PyTorch, masks, non-finite masked values, dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import passus.functions as F
from passus import Variable, no_grad, test_mode
from passus.random import using_rng
from passus.testing import check_grads

torch = pytest.importorskip("torch")
attention = F.scaled_dot_product_attention
SIZES = st.sampled_from([1, 2, 3, 5, 8, 17, 33])
LEADING = st.sampled_from([(), (3,), (2, 4), (2, 1, 3)])


def drawn(seed: int, *shapes: tuple[int, ...], dtype: Any = np.float64) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def gradients(arrays: list[np.ndarray], gy: np.ndarray, **options: Any) -> list[np.ndarray]:
    """The result and the gradients of q, k, v."""
    xs = [Variable(x) for x in arrays]
    y = attention(*xs, **options)
    y.grad = gy
    y.backward()
    return [y.data, *[x.grad.data for x in xs]]


def pytorch_gradients(arrays: list[np.ndarray], gy: np.ndarray, mask: Any = None, **options: Any) -> list[np.ndarray]:
    xs = [torch.tensor(x, requires_grad=True) for x in arrays]
    mask = None if mask is None else torch.tensor(mask)
    y = torch.nn.functional.scaled_dot_product_attention(*xs, attn_mask=mask, **options)
    y.backward(torch.tensor(gy))
    return [y.detach().numpy(), *[x.grad.numpy() for x in xs]]


def masks(kind: str, seed: int, scores: tuple[int, ...], dtype: Any) -> Any:
    rng = np.random.default_rng(seed)
    if kind == "none":
        return None
    if kind == "added":
        return rng.standard_normal(scores).astype(dtype)
    mask = rng.random(scores[-2:] if kind == "boolean matrix" else scores) < 0.6
    mask[..., 0] = True  # PyTorch returns NaN gradients for fully masked rows.
    return mask if kind.startswith("boolean") else np.where(mask, 0, -np.inf).astype(dtype)


@given(
    st.integers(0, 1000),
    LEADING,
    *[SIZES] * 4,
    st.sampled_from(["none", "causal", "boolean", "boolean matrix", "added", "infinite"]),
    st.sampled_from([np.float32, np.float64]),
)
def test_attention_agrees_with_pytorch(
    seed: int, lead: Any, queries: int, keys: int, features: int, values: int, kind: str, dtype: Any
) -> None:
    keys = queries if kind == "causal" else keys  # PyTorch aligns the mask at the start if the lengths differ.
    arrays = drawn(seed, (*lead, queries, features), (*lead, keys, features), (*lead, keys, values), dtype=dtype)
    (gy,) = drawn(seed + 1, (*lead, queries, values), dtype=dtype)
    options: Any = {"is_causal": True} if kind == "causal" else {}
    options["mask"] = None if kind == "causal" else masks(kind, seed, (*lead, queries, keys), dtype)
    tolerance = 1e-5 if dtype is np.float32 else 1e-10
    for x, y in zip(gradients(arrays, gy, **options), pytorch_gradients(arrays, gy, **options)):
        assert x.dtype == dtype
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@given(st.integers(0, 1000), st.sampled_from([(6, 3), (6, 2), (4, 1), (8, 8)]), SIZES, SIZES)
def test_grouped_queries_agree_with_pytorch(seed: int, heads: tuple[int, int], queries: int, keys: int) -> None:
    shapes = (2, heads[0], queries, 4), (2, heads[1], keys, 4), (2, heads[1], keys, 3)
    arrays, (gy,) = drawn(seed, *shapes), drawn(seed + 1, (2, heads[0], queries, 3))
    options: Any = {"mask": masks("boolean", seed, (2, heads[0], queries, keys), float)}
    for x, y in zip(
        gradients(arrays, gy, **options), pytorch_gradients(arrays, gy, enable_gqa=True, **options), strict=True
    ):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("kind", ["boolean", "added", "causal"])
def test_masked_keys_and_values_have_no_effect_even_if_not_finite(kind: str, special: float, dtype: Any) -> None:
    """The last two keys and values are not finite."""
    q, k, v, gy = drawn(0, (2, 5, 4), (2, 7, 4), (2, 7, 3), (2, 5, 3), dtype=dtype)
    if kind == "causal":
        options: Any = {"is_causal": True}
        seen = np.tril(np.ones((5, 7), bool), 2)
        rows = slice(0, 3)
    else:
        seen, rows = np.broadcast_to(np.arange(7) < 5, (5, 7)), slice(None)
        options = {"mask": seen if kind == "boolean" else np.where(seen, 0, -np.inf)}
    gy[:, 3:] = 0 if kind == "causal" else gy[:, 3:]
    expected = gradients([q, k, v], gy, **options)
    dirty_k, dirty_v = k.copy(), v.copy()
    dirty_k[:, 5:] = dirty_v[:, 5:] = special
    found = gradients([q, dirty_k, dirty_v], gy, **options)
    np.testing.assert_allclose(found[0][:, rows], expected[0][:, rows], rtol=1e-6)
    if kind != "causal":  # With a causal mask the last queries attend to them.
        for x, y in zip(found[1:], expected[1:]):
            np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7)
            assert np.isfinite(x).all()


@pytest.mark.parametrize("kind", ["boolean", "added"])
def test_fully_masked_row_gives_zeros(kind: str) -> None:
    arrays, (gy,) = drawn(1, (3, 4), (5, 4), (5, 2)), drawn(2, (3, 2))
    mask = np.ones((3, 5), bool)
    mask[1] = False
    y, gq, gk, gv = gradients(arrays, gy, mask=mask if kind == "boolean" else np.where(mask, 0, -np.inf))
    assert (y[1] == 0).all()
    assert (gq[1] == 0).all()
    rest = [gradients([arrays[0][i : i + 1], *arrays[1:]], gy[i : i + 1]) for i in (0, 2)]
    np.testing.assert_allclose(gk, rest[0][2] + rest[1][2])
    np.testing.assert_allclose(gv, rest[0][3] + rest[1][3])
    for x in gradients(arrays, gy, mask=np.zeros((3, 5), bool)):
        assert (x == 0).all()


def test_causal_mask_is_aligned_at_the_end() -> None:
    """A query after a cache of keys attends to the same keys as without a cache."""
    q, k, v = drawn(3, (2, 6, 4), (2, 6, 4), (2, 6, 3))
    whole = attention(q, k, v, is_causal=True)
    np.testing.assert_allclose(attention(q[:, 4:], k, v, is_causal=True), whole[:, 4:], rtol=1e-12)
    np.testing.assert_allclose(attention(q[:, 5:], k, v, is_causal=True), attention(q[:, 5:], k, v), rtol=1e-12)


def test_mask_and_is_causal_combine() -> None:
    q, k, v = drawn(4, (4, 3), (4, 3), (4, 2))
    mask = np.array([True, False, True, True])
    both = np.tril(np.ones((4, 4), bool)) & mask
    np.testing.assert_array_equal(attention(q, k, v, mask, is_causal=True), attention(q, k, v, both))
    np.testing.assert_array_equal(attention(q, k, v, Variable(mask)), attention(q, k, v, mask))


def test_additive_mask_is_differentiable_and_keeps_the_dtype() -> None:
    q, k, v = drawn(5, (2, 3, 4), (2, 5, 4), (2, 5, 2), dtype=np.float32)
    bias = Variable(drawn(6, (3, 5))[0])
    y = attention(q, k, v, bias)
    assert y.dtype == np.float32
    y.sum().backward()
    assert bias.grad.dtype == np.float64
    exact = [x.astype(float) for x in (q, k, v)]
    check_grads(lambda b: attention(*exact, b), bias.data, order=2)
    lowest = np.full((3, 5), np.finfo(np.float64).min)
    np.testing.assert_array_equal(attention(q, k, v, lowest), 0)


def test_attention_dropout_acts_in_training_only_and_uses_the_generator() -> None:
    arrays = drawn(8, (2, 40, 8), (2, 50, 8), (2, 50, 5))
    with test_mode():
        np.testing.assert_array_equal(attention(*arrays, dropout=0.5), attention(*arrays))
    first = attention(*arrays, dropout=0.5, rng=3)
    np.testing.assert_array_equal(attention(*arrays, dropout=0.5, rng=3), first)
    assert not np.array_equal(attention(*arrays, dropout=0.5, rng=4), first)
    with using_rng(3):
        np.testing.assert_array_equal(attention(*arrays, dropout=0.5), first)
        assert not np.array_equal(attention(*arrays, dropout=0.5), first)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_attention_dropout_rate_and_independence(ratio: float) -> None:
    """With one-hot values the result is the matrix of weights."""
    q, k, v = np.zeros((4, 64, 1)), np.zeros((4, 64, 1)), np.broadcast_to(np.eye(64), (4, 64, 64))
    weights = attention(q, k, v, dropout=ratio, rng=0) * 64
    retained = weights > 0
    np.testing.assert_allclose(weights[retained], 1 / (1 - ratio))
    deviation = np.sqrt(ratio * (1 - ratio) / 64)
    for axes in ((1, 2), (0, 2), (0, 1)):
        rates = retained.mean(axis=axes)
        assert abs(rates - (1 - ratio)).max() < 5 * deviation / np.sqrt(retained.size / rates.size / 64)
    a, b = (
        retained[:, :-1] - retained.mean(),
        retained[:, 1:] - retained.mean(),
    )  # Neighbours are independent along both axes.
    assert abs((a * b).mean()) < 5 * ratio * (1 - ratio) / np.sqrt(a.size)
    a, b = retained[..., :-1] - retained.mean(), retained[..., 1:] - retained.mean()
    assert abs((a * b).mean()) < 5 * ratio * (1 - ratio) / np.sqrt(a.size)


def test_gradients_with_dropout() -> None:
    arrays = drawn(9, (2, 3, 4), (2, 5, 4), (2, 5, 2))
    check_grads(lambda *xs: attention(*xs, dropout=0.4, rng=1), *arrays, order=2)
    check_grads(lambda *xs: attention(*xs, is_causal=True, dropout=0.4, rng=1), *arrays, order=2)


def test_arrays_in_arrays_out_and_no_graph_under_no_grad() -> None:
    q, k, v = drawn(10, (3, 4), (5, 4), (5, 2))
    assert type(attention(q, k, v)) is np.ndarray
    with no_grad():
        assert attention(Variable(q), k, v).creator is None
    x = Variable(q)
    attention(x, k, v).sum().backward()
    assert x.grad.shape == q.shape
