"""The multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import passus.functions as F
from passus.arguments import checked_callable
from passus.core import Operand, Result
from passus.errors import ArgumentError, DTypeError
from passus.layers import Linear
from passus.models.model import Model

__all__ = ["MLP"]


class MLP(Model):
    """Fully connected layers with an activation between them, and none after the last: (..., I) to (..., O).

    ``fc_output_sizes``: the output size of each layer, the last one O; ``in_size``: I; by default inferred on the first call.
    The layers are the attributes ``l0``, ``l1`` and so on.

    Raises `ArgumentError` for an empty sequence, `DTypeError` for other values than integers.

    >>> import numpy as np
    >>> model = MLP((10, 3), activation=F.relu)
    >>> model(np.ones((2, 4), np.float32)).shape
    (2, 3)
    """

    def __init__(
        self,
        fc_output_sizes: Iterable[int],
        activation: Callable[[Any], Any] = F.sigmoid,
        in_size: int | None = None,
    ) -> None:
        if not isinstance(fc_output_sizes, Iterable):
            raise DTypeError(f"MLP: give the sizes of all layers in a tuple, as in MLP(({fc_output_sizes!r},))")
        sizes = tuple(fc_output_sizes)
        if not sizes:
            raise ArgumentError("MLP: give the output size of at least one layer, as in MLP((10, 3))")
        self.activation = checked_callable("MLP", "activation", activation)
        self.names = tuple([f"l{i}" for i in range(len(sizes))])
        for name, out_size, size in zip(self.names, sizes, (in_size, *sizes)):
            setattr(self, name, Linear(out_size, in_size=size if in_size is not None else None))

    @property
    def layers(self) -> list[Linear]:
        """The fully connected layers, from the first to the last."""
        return [getattr(self, name) for name in self.names]

    def forward(self, x: Operand) -> Result:
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        return last(x)
