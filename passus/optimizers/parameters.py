"""The parameters that an optimizer updates, and the checks that they can be updated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from passus.backend import Array
from passus.core import Parameter, Variable
from passus.errors import ArgumentError, DTypeError, ShapeError, WeightsError, kind_of

__all__ = [
    "Target",
    "check_float",
    "check_gradient",
    "check_target",
    "check_update",
    "missing_gradients",
    "untrained_variables",
]


class Target(Protocol):
    """What an optimizer updates: a layer, or any other object whose parameters have paths."""

    def named_params(self) -> Iterable[tuple[str, Parameter]]:
        """Paths and parameters, always in the same order."""


def check_target(where: str, target: Any) -> None:
    """Raise `DTypeError` unless ``target`` is a layer or model; ``where`` names the caller in the message.

    >>> from passus.layers import Linear
    >>> check_target("SGD.setup", Linear(3))
    """
    if isinstance(target, type):
        raise DTypeError(f"{where}: {target.__name__} is a class; write {target.__name__}(...)")
    if not hasattr(target, "named_params"):
        several = ", with the parameters or models as its attributes" if np.iterable(target) else ""
        raise DTypeError(f"{where}: the target is {kind_of(target)}; give a layer or model{several}")


def check_gradient(where: str, path: str, p: Parameter) -> None:
    """Raise `ShapeError` unless the gradient of a parameter has its shape; ``where`` names the caller in the message.

    >>> check_gradient("SGD", "l1.b", Parameter(np.zeros(2)))
    """
    if p._grad is not None and p._grad._data.shape != p._data.shape:
        raise ShapeError(f"{where}: the gradient {p._grad.shape} of {path} must have its shape {p._data.shape}")


def check_float(where: str, path: str, data: Array | None) -> None:
    """Raise `WeightsError` for a parameter without data, `DTypeError` for one of integers.

    >>> check_float("SGD", "l1.b", np.zeros(2))
    """
    if data is None:
        raise WeightsError(f"{where}: {path} has no shape yet; load its weights or call the model once, first")
    if data.dtype.kind != "f":
        raise DTypeError(
            f"{where}: {path} is {data.dtype}, and an update needs floating-point numbers; write "
            "Parameter(array.astype(np.float32))"
        )


def check_update(where: str, path: str, p: Parameter, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Check that a parameter can be updated, if its state is for this shape and dtype.

    Raises `ArgumentError` for a read-only parameter, `ShapeError` for one of another shape or dtype or with such a
    gradient.

    >>> check_update("SGD", "l1.b", Parameter(np.zeros(2)), (2,), np.dtype(float))
    """
    data = p._data
    if isinstance(data, np.ndarray) and not data.flags.writeable:
        raise ArgumentError(f"{where}: {path} is read-only; write p.data = p.data.copy() before training")
    if data.shape != shape or data.dtype != dtype:
        raise ShapeError(
            f"{where}: {path} is {data.dtype} {data.shape} now, but was {dtype} {shape} before; "
            "its optimizer state no longer fits. Create a new optimizer"
        )
    check_gradient(where, path, p)


def missing_gradients(target: Any, params: Sequence[Parameter]) -> str:
    """Explain why no parameter of a target can be updated, and how to fix it."""
    model = type(target).__name__
    if not params:
        variables = untrained_variables(target)
        if variables:
            return f"{', '.join(variables)}: a Variable is no parameter. Write Parameter(...)"
        return f"{model} has no parameters. Create its layers in __init__, as attributes or in lists or dicts"
    if not any(p.requires_grad for p in params):
        return "all parameters are frozen. Call unfreeze() to train them"
    return (
        f"no parameter of {model} has a gradient. Call loss.backward() before update(), do not call cleargrads() "
        "between "
        "them, and compute the loss with the model given to setup()"
    )


def untrained_variables(target: Any) -> list[str]:
    """The Variables with a gradient in the layers of a target that were probably meant as parameters, by path.

    >>> from passus.layers import Layer
    >>> layer = Layer()
    >>> layer.w = Variable(np.ones(2))
    >>> (layer.w * 3).sum().backward()
    >>> untrained_variables(layer)
    ['Layer.w']
    """
    layers = target.named_layers() if hasattr(target, "named_layers") else ()
    return [
        ".".join(filter(None, [type(target).__name__, path, name]))
        for path, layer in layers
        for attribute, value in vars(layer).items()
        if attribute not in layer._carried
        for name, x in _members(attribute, value)
        if isinstance(x, Variable) and not isinstance(x, Parameter) and x._grad is not None and x.creator is None
    ]


def _members(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The value of an attribute, or the members of a list, tuple or dict, with their names."""
    if isinstance(value, dict):
        yield from ((f"{name}.{key}", x) for key, x in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((f"{name}.{i}", x) for i, x in enumerate(value))
    else:
        yield name, value
