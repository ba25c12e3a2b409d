"""The problems in PyTorch, eager; each function returns a step, which returns the loss or the outputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from benchmarks.networks.in_torch import model_of
from benchmarks.problems import LARGE, SMALL, Images, large_batch, small_batch, starting_weights, values

Compile = Callable[[Callable], Callable]


def eagerly(model: Callable) -> Callable:
    return model


def chain(prepared: Compile = eagerly) -> Callable[[], torch.Tensor]:
    function = prepared(lambda x: torch.square(torch.exp(torch.square(x))))
    x = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def step() -> torch.Tensor:
        x.grad = None
        y = function(x)
        y.backward()
        return y.detach()

    return step


def small(prepared: Compile = eagerly) -> Callable[[], torch.Tensor]:
    model = perceptron(SMALL, nn.Tanh)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training(prepared(model), functional.mse_loss, optimizer, *map(torch.from_numpy, small_batch()))


def large(prepared: Compile = eagerly) -> Callable[[], torch.Tensor]:
    model = perceptron(LARGE, nn.ReLU)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return training(prepared(model), functional.cross_entropy, optimizer, *map(torch.from_numpy, large_batch()))


def network(
    problem: Images, prepared: Compile = eagerly, order: torch.memory_format = torch.contiguous_format
) -> Callable[[], torch.Tensor]:
    model = model_of(problem)
    start(model)
    model = model.to(memory_format=order)
    x, t = map(torch.from_numpy, problem.batch())
    x = x.to(memory_format=order)
    if not problem.training:
        return predictions(prepared(model.eval()), x)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=problem.momentum)
    return training(prepared(model), functional.cross_entropy, optimizer, x, t)


def start(model: nn.Module) -> None:
    """Set the initial values of a network on images."""
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    shapes = [tuple(weight.shape) if weight.ndim > 2 else tuple(weight.T.shape) for weight in weights]
    with torch.no_grad():
        for weight, value in zip(weights, values(shapes)):
            weight.copy_(torch.from_numpy(value if value.ndim > 2 else value.T))
        for module in model.modules():
            if getattr(module, "bias", None) is not None:
                module.bias.zero_()


def predictions(model: Callable, x: torch.Tensor) -> Callable[[], torch.Tensor]:
    def step() -> torch.Tensor:
        with torch.inference_mode():
            return model(x)

    return step


def perceptron(sizes: tuple[int, ...], activation: Callable[[], nn.Module]) -> nn.Module:
    weights = starting_weights(sizes)
    layers: list[nn.Module] = []
    for W, b in zip(weights[::2], weights[1::2]):
        linear = nn.Linear(*W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T))
            linear.bias.copy_(torch.from_numpy(b))
        layers += [linear, activation()]
    return nn.Sequential(*layers[:-1])


def training(
    model: Callable, loss: Callable, optimizer: torch.optim.Optimizer, x: torch.Tensor, t: torch.Tensor
) -> Callable[[], torch.Tensor]:
    def step() -> torch.Tensor:
        y = loss(model(x), t)
        optimizer.zero_grad(set_to_none=True)
        y.backward()
        optimizer.step()
        return y.detach()

    return step
