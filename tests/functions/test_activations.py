"""Activations: agreement with PyTorch, extreme values, kinks, options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import passus.functions as F
from passus import Variable
from passus.errors import ArgumentError, PassusError
from passus.testing import check_grads

PEERS: dict[str, Any] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "relu6": torch.nn.functional.relu6,
    "leaky_relu": lambda x: torch.nn.functional.leaky_relu(x, 0.2),
    "elu": torch.nn.functional.elu,
    "selu": torch.selu,
    "celu": torch.celu,
    "softplus": torch.nn.functional.softplus,
    "softsign": torch.nn.functional.softsign,
    "silu": torch.nn.functional.silu,
    "mish": torch.nn.functional.mish,
    "gelu": torch.nn.functional.gelu,
    "hard_sigmoid": torch.nn.functional.hardsigmoid,
    "hard_swish": torch.nn.functional.hardswish,
    "softmax": lambda x: torch.softmax(x, 1),
    "log_softmax": lambda x: torch.log_softmax(x, 1),
    "glu": torch.nn.functional.glu,
}
GRID = np.linspace(-30.0, 30.0, 242).reshape(-1, 2)  # Contains no kink.


def with_gradient(f: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The result and the gradient of a weighted sum of it."""
    v = Variable(x)
    y = f(v)
    (y * np.cos(np.arange(y.size)).reshape(y.shape).astype(x.dtype)).sum().backward()
    assert v.grad is not None
    return y.data, v.grad.data


def pytorch_gradient(f: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    v = torch.tensor(x, requires_grad=True)
    y = f(v)
    (y * torch.tensor(np.cos(np.arange(y.numel())).reshape(y.shape).astype(x.dtype))).sum().backward()
    assert v.grad is not None
    return y.detach().numpy(), v.grad.numpy()


@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-7), (np.float32, 2e-6)])
@pytest.mark.parametrize("name", PEERS)
def test_values_and_gradients_agree_with_pytorch(name: str, dtype: Any, atol: float) -> None:
    # PyTorch's softplus returns x above 20, with an error of 2e-9.
    x = GRID.astype(dtype)
    for ours, theirs in zip(with_gradient(getattr(F, name), x), pytorch_gradient(PEERS[name], x)):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-5 if dtype == np.float32 else 1e-7, atol=atol)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", [*PEERS, "prelu"])
def test_values_and_gradients_are_finite_far_from_zero(name: str, dtype: Any) -> None:
    x = np.array([[-1e4, 1e4], [-88.8, 88.8], [-710.0, 710.0]], dtype)
    f = (lambda v: F.prelu(v, dtype(0.25))) if name == "prelu" else getattr(F, name)
    y, gx = with_gradient(f, x)
    assert np.isfinite(y).all()
    assert np.isfinite(gx).all()


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "silu", "mish", "gelu", "log_softmax", "elu"])
def test_second_derivatives_are_finite_far_from_zero(name: str) -> None:
    x = Variable(np.array([[-800.0, 800.0], [-40.0, 40.0]]))
    (getattr(F, name)(x) * np.array([[1.0, 2.0], [3.0, 4.0]])).sum().backward(create_graph=True)
    gx = x.grad
    assert gx is not None
    x.cleargrad()
    (gx * gx).sum().backward()
    assert x.grad is not None
    assert np.isfinite(x.grad.data).all()


def test_gelu_with_tanh_approximation() -> None:
    ours = with_gradient(lambda x: F.gelu(x, approximate="tanh"), GRID / 5)
    theirs = pytorch_gradient(lambda x: torch.nn.functional.gelu(x, approximate="tanh"), GRID / 5)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-10, atol=1e-12)
    check_grads(lambda x: F.gelu(x, approximate="tanh"), GRID[100:140] / 10)
    assert np.abs(ours[0] - F.gelu(GRID / 5)).max() < 5e-4


@pytest.mark.parametrize("slope", [0.0, 0.01, 1.0, 2.5, -0.5])
def test_leaky_relu_slopes(slope: float) -> None:
    ours = with_gradient(lambda x: F.leaky_relu(x, slope), GRID)
    theirs = pytorch_gradient(lambda x: torch.nn.functional.leaky_relu(x, slope), GRID)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.3, 2.0])
@pytest.mark.parametrize("name", ["elu", "celu"])
def test_elu_and_celu_alphas(name: str, alpha: float) -> None:
    ours = with_gradient(lambda x: getattr(F, name)(x, alpha), GRID)
    theirs = pytorch_gradient(lambda x: getattr(torch.nn.functional, name)(x, alpha), GRID)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-12)  # PyTorch computes 1 / alpha in float32.


def test_prelu_slope_gradient_agrees_with_pytorch() -> None:
    x, slope = np.random.default_rng(0).standard_normal((4, 3, 2)), np.array([0.1, 0.2, 0.3])
    ours, theirs = Variable(slope), torch.tensor(slope, requires_grad=True)
    (F.prelu(x, ours) ** 2).sum().backward()
    (torch.nn.functional.prelu(torch.tensor(x), theirs) ** 2).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu"])
def test_gradient_at_the_kink_is_the_left_derivative(name: str) -> None:
    _, gx = with_gradient(getattr(F, name), np.zeros(1))
    assert gx == (0.2 if name == "leaky_relu" else 0.0)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "leaky_relu", "softplus", "gelu", "elu", "softmax"])
def test_activations_propagate_nan(name: str) -> None:
    assert np.isnan(getattr(F, name)(np.full((1, 2), np.nan))).all()


def test_softmax_of_masked_scores() -> None:
    x = np.array([[0.0, -np.inf, 0.0]])
    np.testing.assert_array_equal(F.softmax(x), [[0.5, 0.0, 0.5]])
    y = F.softmax(np.float32([[1e4, 1e4 + 1, -1e4]]))
    np.testing.assert_allclose(y.sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.gelu(x, approximate="erf"),
        lambda x: F.celu(x, alpha=0.0),
        lambda x: F.celu(x, alpha=float("nan")),
    ],
)
def test_bad_options_raise(call: Any) -> None:
    with pytest.raises(ArgumentError, match=r"gelu: approximate|celu: alpha") as caught:
        call(np.ones(3))
    assert isinstance(caught.value, PassusError)


def test_integers_are_accepted() -> None:
    np.testing.assert_array_equal(F.relu(np.array([-1, 2])), [0, 2])
    np.testing.assert_allclose(F.softmax(np.array([[1, 1]])), [[0.5, 0.5]])
