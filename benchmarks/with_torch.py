"""The problems in PyTorch, eager; each function returns a step, which returns the loss or the outputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from benchmarks.networks.in_torch import model_of
from benchmarks.preparing import Prepare, eagerly
from benchmarks.problems import MOMENTUM, Images, Perceptron, starting_weights, values


def chain(prepared: Prepare = eagerly) -> Callable[[], torch.Tensor]:
    function = prepared(lambda x: torch.square(torch.exp(torch.square(x))))
    x = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def step() -> torch.Tensor:
        x.grad = None
        y = function(x)
        y.backward()
        return y.detach()

    return step


def perceptron(problem: Perceptron, prepared: Prepare = eagerly) -> Callable[[], torch.Tensor]:
    activation, loss = (nn.Tanh, functional.mse_loss) if problem.regression else (nn.ReLU, functional.cross_entropy)
    model = layers_of(problem.sizes, activation)
    x, t = map(torch.from_numpy, problem.batch())
    return training(prepared(model), loss, optimizer_of(problem, model), x, t)


def network(
    problem: Images, prepared: Prepare = eagerly, order: torch.memory_format = torch.contiguous_format
) -> Callable[[], torch.Tensor]:
    model = model_of(problem)
    start(model)
    model = model.to(memory_format=order)
    x, t = map(torch.from_numpy, problem.batch())
    x = x.to(memory_format=order)
    if not problem.training:
        return predictions(prepared(model.eval()), x)
    return training(prepared(model), functional.cross_entropy, optimizer_of(problem, model), x, t)


def optimizer_of(problem: Images | Perceptron, model: nn.Module) -> torch.optim.Optimizer:
    makers = {
        "sgd": torch.optim.SGD,
        "momentum": partial(torch.optim.SGD, momentum=MOMENTUM),
        "adam": torch.optim.Adam,
    }
    return makers[problem.optimizer](model.parameters(), lr=problem.lr)


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


def layers_of(sizes: tuple[int, ...], activation: Callable[[], nn.Module]) -> nn.Module:
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
