"""Normalization and dropout: agreement with PyTorch, running statistics, test mode, precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import passus
import passus.functions as F
from passus import Variable
from passus.errors import ArgumentError
from passus.testing import check_grads

SHAPES = [(6, 3), (4, 3, 5), (2, 3, 4, 5)]


def parameters(rng: np.random.Generator, c: int) -> list[np.ndarray]:
    return [rng.standard_normal(c), rng.standard_normal(c), rng.standard_normal(c), rng.uniform(0.5, 2.0, c)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_agrees_with_pytorch(shape: tuple[int, ...], training: bool, rng: np.random.Generator) -> None:
    x, (gamma, beta, mean, var) = rng.standard_normal(shape) * 3 + 2, parameters(rng, 3)
    weights = rng.standard_normal(shape)
    ours = [Variable(v) for v in (x, gamma, beta)]
    theirs = [torch.tensor(v, requires_grad=True) for v in (x, gamma, beta)]
    their_mean, their_var = torch.tensor(mean), torch.tensor(var)

    with passus.using_config("train", training):
        y = F.batch_norm(*ours, mean, var, decay=0.8, eps=1e-3)
    (y * weights).sum().backward()
    their_y = torch.nn.functional.batch_norm(
        theirs[0], their_mean, their_var, *theirs[1:], training=training, momentum=0.2, eps=1e-3
    )
    (their_y * torch.tensor(weights)).sum().backward()

    np.testing.assert_allclose(y.data, their_y.detach().numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(mean, their_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(var, their_var.numpy(), rtol=1e-12)
    for v, w in zip(ours, theirs):
        assert v.grad is not None
        assert w.grad is not None
        np.testing.assert_allclose(v.grad.data, w.grad.numpy(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_in_test_mode_is_differentiable_twice(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    gamma, beta, mean, var = parameters(rng, 3)
    before = mean.copy(), var.copy()
    with passus.test_mode():
        check_grads(lambda x, g, b: F.batch_norm(x, g, b, mean, var), rng.standard_normal(shape), gamma, beta)
    np.testing.assert_array_equal((mean, var), before)


def test_batch_norm_in_test_mode_accepts_single_and_empty_batches(rng: np.random.Generator) -> None:
    gamma, beta, mean, var = parameters(rng, 3)
    with passus.test_mode():
        one = F.batch_norm(np.ones((1, 3)), gamma, beta, mean, var, eps=0.0)
        none = F.batch_norm(np.ones((0, 3)), gamma, beta, mean, var)
    np.testing.assert_allclose(one, [(1 - mean) / np.sqrt(var) * gamma + beta], rtol=1e-12)
    assert none.shape == (0, 3)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_in_single_precision(training: bool, rng: np.random.Generator) -> None:
    x = np.float32(1000 + rng.standard_normal((64, 2)))  # The naive E[x**2] - E[x]**2 would cancel all digits.
    one, zero = np.ones(2, np.float32), np.zeros(2, np.float32)
    statistics = x.mean(axis=0), x.var(axis=0)
    with passus.using_config("train", training):
        y = F.batch_norm(Variable(x), one, zero, *statistics, eps=0.0)
    assert y.dtype == np.float32
    exact = x.astype(np.float64)
    np.testing.assert_allclose(y.data, (exact - exact.mean(0)) / exact.std(0), rtol=1e-3, atol=1e-3)
    assert statistics[0].dtype == statistics[1].dtype == np.float32


def test_second_backward_pass_of_batch_norm_gives_the_same_gradient(rng: np.random.Generator) -> None:
    x = Variable(rng.standard_normal((4, 3)))
    y = (F.batch_norm(x, np.ones(3), np.zeros(3), None, None) ** 3).sum()
    y.backward()
    assert x.grad is not None
    first = x.grad.data
    x.cleargrad()
    y.backward()
    np.testing.assert_array_equal(x.grad.data, first)


def test_running_statistics_can_be_variables() -> None:
    mean, var = Variable(np.zeros(2)), Variable(np.ones(2))
    F.batch_norm(np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones(2), np.zeros(2), mean, var, decay=0.5)
    np.testing.assert_allclose(mean.data, [1.0, 1.5])
    np.testing.assert_allclose(var.data, [1.5, 1.5])


def test_read_only_running_variance_raises_and_leaves_the_mean_unchanged(rng: np.random.Generator) -> None:
    x, one, mean = rng.standard_normal((4, 3)), np.ones(3), np.zeros(3)
    with pytest.raises(ArgumentError, match="var float64"):
        F.batch_norm(x, one, one, mean, np.broadcast_to(1.0, 3))
    np.testing.assert_array_equal(mean, 0)
    with passus.test_mode():
        assert F.batch_norm(x, one, one, mean, np.broadcast_to(1.0, 3)).shape == x.shape, "test mode only reads them"


@pytest.mark.parametrize("axes", [1, 2])
def test_layer_norm_agrees_with_pytorch(axes: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 3, 4)) * 2 + 1
    gamma, beta = rng.standard_normal(x.shape[-axes:]), rng.standard_normal(x.shape[-axes:])
    ours = [Variable(v) for v in (x, gamma, beta)]
    theirs = [torch.tensor(v, requires_grad=True) for v in (x, gamma, beta)]
    y = F.layer_norm(*ours)
    their_y = torch.nn.functional.layer_norm(theirs[0], gamma.shape, *theirs[1:])
    (y**3).sum().backward()
    (their_y**3).sum().backward()
    np.testing.assert_allclose(y.data, their_y.detach().numpy(), rtol=1e-10, atol=1e-12)
    for v, w in zip(ours, theirs):
        assert v.grad is not None
        assert w.grad is not None
        np.testing.assert_allclose(v.grad.data, w.grad.numpy(), rtol=1e-8, atol=1e-9)


def test_layer_norm_gradient_with_constant_input_and_bias(rng: np.random.Generator) -> None:
    gamma = Variable(np.ones(4))
    F.layer_norm(rng.standard_normal((3, 4)), gamma, np.zeros(4)).sum().backward()
    assert gamma.grad is not None


def test_dropout_preserves_the_expected_value() -> None:
    x = np.ones(200_000, np.float32)
    for ratio in (0.1, 0.5, 0.9):
        y = F.dropout(x, ratio, rng=0)
        assert set(np.unique(y)) == {np.float32(0), np.float32(1 / (1 - ratio))}
        # The standard error of the mean is sqrt(ratio / (1 - ratio) / n) = 0.0067 at most.
        assert abs(y.mean() - 1) < 0.03


def test_dropout_gradient_uses_the_mask_of_the_forward_pass(rng: np.random.Generator) -> None:
    x = Variable(rng.standard_normal(100) + 10)
    y = F.dropout(x, 0.3, rng=1)
    y.backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.data * x.data, y.data)


def test_dropout_uses_the_current_generator() -> None:
    x = np.ones(50)
    with passus.random.using_rng(5):
        first, second = F.dropout(x), F.dropout(x)
    with passus.random.using_rng(5):
        again = F.dropout(x)
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()


@pytest.mark.parametrize("function", [F.dropout, F.dropout2d])
def test_dropout_preserves_the_memory_layout(function: Any, rng: np.random.Generator) -> None:
    x = np.moveaxis(rng.standard_normal((2, 4, 5, 3), np.float32), -1, 1)
    y = function(Variable(x), 0.5, rng=0)
    assert y.data.strides == x.strides
    assert 0 < np.count_nonzero(y.data) < x.size
    y.backward()  # Random numbers are drawn in memory order.
    drawn = function(np.ones((2, 4, 5, 3) if function is F.dropout else (2, 3, 4, 5), np.float32), 0.5, rng=0)
    np.testing.assert_array_equal(y.data, x * (np.moveaxis(drawn, -1, 1) if function is F.dropout else drawn))


@pytest.mark.parametrize("x", [np.ones(()), np.ones((0, 2)), np.ones((3, 4), np.float32).T, np.arange(1, 9)[::2]])
def test_dropout_of_arrays_of_any_shape_layout_and_dtype(x: np.ndarray) -> None:
    y = F.dropout(x, 0.5, rng=1)
    assert y.shape == x.shape
    assert np.isin(y, [0, *(2 * x).ravel()]).all()


@pytest.mark.parametrize("boxed", [True, False])
def test_dropout_is_the_identity_in_test_mode(boxed: bool) -> None:
    x: Any = Variable(np.ones(3)) if boxed else np.ones(3)
    with passus.test_mode():
        assert F.dropout(x, 0.9) is x
    assert F.dropout(x, 0.0) is x


def test_bad_dropout_ratio_raises_in_test_mode_too() -> None:
    with passus.test_mode(), pytest.raises(ArgumentError, match="dropout_ratio"):
        F.dropout(np.ones(3), 2.0)
