"""Layers and functions applied in sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from passus.core import Function
from passus.errors import DTypeError
from passus.layers.base import Layer

__all__ = ["Sequential"]


class Sequential(Layer):
    """The composition of layers and functions, applied from the first to the last.

    They are the attributes ``l0``, ``l1`` and so on, so parameters have paths such as ``l0.W``.

    Raises `DTypeError` for an object that is not callable.

    >>> import numpy as np
    >>> import passus.functions as F
    >>> from passus.layers import Linear
    >>> model = Sequential(Linear(3), F.relu, Linear(2))
    >>> model(np.ones((4, 5), np.float32)).shape, len(model)
    ((4, 2), 3)
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        self.names: tuple[str, ...] = ()
        for layer in layers:
            self.append(layer)

    def append(self, layer: Callable[..., Any]) -> None:
        """Add a layer or function at the end."""
        if isinstance(layer, (list, tuple)):
            raise DTypeError("Sequential takes layers, not a list; write Sequential(*layers)")
        if isinstance(layer, type) and issubclass(layer, (Layer, Function)):
            raise DTypeError(f"Sequential: {layer.__name__} is a class; write {layer.__name__}()")
        if not callable(layer):
            raise DTypeError(f"Sequential: {layer!r} is neither a layer nor a function")
        name = f"l{len(self.names)}"
        setattr(self, name, layer)
        self.names = (*self.names, name)

    @property
    def layers(self) -> list[Any]:
        """The layers and functions, in a new list."""
        return [getattr(self, name) for name in self.names]

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def __getitem__(self, index: int | slice) -> Any:
        chosen = self.layers[index]
        return type(self)(*chosen) if isinstance(index, slice) else chosen

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)
