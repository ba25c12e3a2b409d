"""Connectionist temporal classification: agreement with PyTorch, lengths, special values, training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import passus.functions as F
from passus import Variable, no_grad, using_config
from passus.errors import ArgumentError
from passus.testing import check_grads
from tests.helpers.drawing import generators


@st.composite
def batches(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    rng = draw(generators())
    N, T, C, L = draw(st.integers(1, 5)), draw(st.integers(1, 25)), draw(st.integers(2, 6)), draw(st.integers(0, 7))
    scale, blank = draw(st.sampled_from([1.0, 5.0, 20.0])), draw(st.integers(0, C - 1))
    labels = np.delete(np.arange(C), blank)
    t = labels[rng.integers(0, draw(st.integers(1, C - 1)), (N, L))]  # Few labels give many repetitions.
    return scale * rng.standard_normal((N, T, C)), t, rng.integers(1, T + 1, N), rng.integers(0, L + 1, N), blank


def theirs(x: np.ndarray, *others: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """The loss and its gradient for the scores, by PyTorch."""
    scores = torch.tensor(x, requires_grad=True)
    log_p = scores.log_softmax(2).transpose(0, 1)
    losses = torch.nn.functional.ctc_loss(log_p, *map(torch.tensor, others), zero_infinity=True, **options)
    (losses * torch.arange(1, losses.numel() + 1).reshape(losses.shape)).sum().backward()
    assert scores.grad is not None
    return losses.detach().numpy(), scores.grad.numpy()


def ours(x: np.ndarray, *others: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    scores = Variable(x)
    losses = F.ctc_loss(scores, *others, zero_infinity=True, **options)
    F.sum(losses * np.arange(1, losses.size + 1).reshape(losses.shape)).backward()
    assert scores.grad is not None
    return losses.data, scores.grad.data


@given(case=batches(), reduction=st.sampled_from(["mean", "sum", "none"]))
@settings(max_examples=80, deadline=None)
def test_losses_and_gradients_agree_with_pytorch(case: Any, reduction: str) -> None:
    x, *others, blank = case
    options = {"blank": blank, "reduction": reduction}
    for found, expected in zip(ours(x, *others, **options), theirs(x, *others, **options), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    # PyTorch's float32 gradients lose four digits; ours are compared with float64 gradients.
    single = ours(x.astype(np.float32), *others, **options)
    for found, expected in zip(single, theirs(x.astype(np.float32).astype(float), *others, **options), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * abs(expected).max(initial=1.0))


@given(case=batches())
@settings(max_examples=10, deadline=None)
def test_ctc_loss_is_differentiable_twice(case: Any) -> None:
    x, *others, blank = case
    weights = np.cos(np.arange(len(x)))

    def loss(x: Any) -> Any:
        return (F.ctc_loss(x, *others, blank=blank, reduction="none", zero_infinity=True) * weights).sum()

    check_grads(loss, x / abs(x).max(initial=1.0), order=2)


def test_float32_loss_of_long_sequences_is_accurate(rng: np.random.Generator) -> None:
    N, T, C, L = 4, 600, 30, 80
    x = (8 * rng.standard_normal((N, T, C))).astype(np.float32)
    others = rng.integers(1, C, (N, L)), np.array([600, 500, 600, 200]), np.array([80, 10, 0, 60])
    exact = ours(x.astype(np.float64), *others, reduction="none")
    for native in (True, False):
        with using_config("native", native):
            losses, gx = ours(x, *others, reduction="none")
        np.testing.assert_allclose(losses, exact[0], rtol=2e-6)
        np.testing.assert_allclose(gx, exact[1], atol=2e-4 * abs(exact[1]).max())
    for found, expected in zip(exact, theirs(x.astype(np.float64), *others, reduction="none"), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def test_frames_and_labels_after_the_end_have_no_effect(rng: np.random.Generator) -> None:
    x, t = rng.standard_normal((2, 6, 4)), np.array([[1, 2, 3], [2, 1, 3]])
    lengths = np.array([4, 6]), np.array([2, 3])
    expected = ours(x, t, *lengths, reduction="none")
    padded, labels = x.copy(), t.copy()
    padded[0, 4], padded[0, 5], labels[0, 2] = np.nan, -np.inf, -100
    losses, gx = ours(padded, labels, *lengths, reduction="none")
    np.testing.assert_array_equal(losses, expected[0])
    np.testing.assert_array_equal(gx, expected[1])
    np.testing.assert_array_equal(gx[0, 4:], 0)
    alone = ours(x[:1, :4], t[:1, :2], reduction="none")
    np.testing.assert_allclose(alone[0], expected[0][:1], rtol=1e-12)
    np.testing.assert_allclose(alone[1], expected[1][:1, :4], rtol=1e-9, atol=1e-12)


def test_log_probabilities_and_scores_give_equal_losses(rng: np.random.Generator) -> None:
    x, t = rng.standard_normal((2, 6, 4)), np.array([[1, 2], [3, 3]])
    np.testing.assert_allclose(F.ctc_loss(F.log_softmax(x, axis=2), t), F.ctc_loss(x, t), rtol=1e-12)


def test_a_target_of_probability_zero() -> None:
    x = np.zeros((2, 3, 3))
    x[0, :, 1] = -np.inf
    v = Variable(x)
    losses = F.ctc_loss(v, np.array([[1], [1]]), reduction="none")
    np.testing.assert_array_equal(losses.data[0], np.inf)
    assert np.isfinite(losses.data[1])
    losses.backward()
    assert v.grad is not None
    assert np.isnan(v.grad.data[0]).all(), "an infinite loss has no gradient"
    assert np.isfinite(v.grad.data[1]).all()
    losses, gx = ours(x, np.array([[1], [1]]), reduction="none")
    assert losses[0] == 0
    np.testing.assert_array_equal(gx[0], 0)


def test_targets_that_are_too_long_raise_and_are_listed() -> None:
    x, t = np.zeros((13, 3, 4), np.float32), np.array([[1, 1, 2]] * 13)
    with pytest.raises(
        ArgumentError, match=r"examples 1, 2, 3, .*, 10, \.\.\.: example 1 has 3 labels and 1 rep.* 4 frames"
    ):
        F.ctc_loss(x, t, target_lengths=[2, *[3] * 12])


def test_ctc_loss_of_arrays_and_under_no_grad_records_nothing(rng: np.random.Generator) -> None:
    x, t = rng.standard_normal((2, 6, 4)), np.array([[1, 2], [3, 3]])
    assert type(F.ctc_loss(x, t)) is np.ndarray
    with no_grad():
        assert F.ctc_loss(Variable(x), t).creator is None


def test_gradient_descent_aligns_a_sequence(rng: np.random.Generator) -> None:
    v, t = Variable(0.01 * rng.standard_normal((1, 8, 4)).astype(np.float32)), np.array([[2, 2, 1]])
    for _ in range(200):
        v.cleargrad()
        loss = F.ctc_loss(v, t, reduction="sum")
        loss.backward()
        v.data = v.data - v.grad.data
    assert loss.data < 0.05
    best = v.data[0].argmax(axis=1)
    merged = best[np.flatnonzero(np.diff(best, prepend=-1))]
    assert merged[merged != 0].tolist() == [2, 2, 1]
