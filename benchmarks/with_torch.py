"""The problems in PyTorch, run eagerly; each function returns the step to repeat, which returns the loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from benchmarks.problems import LARGE, SMALL, large_batch, small_batch, starting_weights


def chain() -> Callable[[], torch.Tensor]:
    x = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def step() -> torch.Tensor:
        x.grad = None
        y = torch.square(torch.exp(torch.square(x)))
        y.backward()
        return y.detach()

    return step


def small() -> Callable[[], torch.Tensor]:
    model = network(SMALL, torch.nn.Tanh)
    return training(model, functional.mse_loss, torch.optim.Adam(model.parameters(), lr=1e-3), *small_batch())


def large() -> Callable[[], torch.Tensor]:
    model = network(LARGE, torch.nn.ReLU)
    return training(model, functional.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.01), *large_batch())


def network(sizes: tuple[int, ...], activation: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    weights = starting_weights(sizes)
    layers: list[torch.nn.Module] = []
    for W, b in zip(weights[::2], weights[1::2]):
        linear = torch.nn.Linear(*W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T))
            linear.bias.copy_(torch.from_numpy(b))
        layers += [linear, activation()]
    return torch.nn.Sequential(*layers[:-1])


def training(
    model: torch.nn.Module, loss: Callable, optimizer: torch.optim.Optimizer, x: np.ndarray, t: np.ndarray
) -> Callable[[], torch.Tensor]:
    inputs, targets = torch.from_numpy(x), torch.from_numpy(t)

    def step() -> torch.Tensor:
        y = loss(model(inputs), targets)
        optimizer.zero_grad(set_to_none=True)
        y.backward()
        optimizer.step()
        return y.detach()

    return step
