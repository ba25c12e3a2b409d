"""A model as a table: what each layer gives, and how much it learns."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

from passus.config import no_grad, test_mode
from passus.errors import DTypeError
from passus.layers import Layer
from passus.random import using_rng

__all__ = ["summary"]


class _Row(NamedTuple):
    """One call of one layer."""

    path: str
    kind: str
    output: str
    parameters: int


def summary(model: Layer, *inputs: Any) -> str:
    """A table of all layers in the order in which ``model(*inputs)`` ends them: output shape, number of parameters.

    A layer that is called twice has two lines; its parameters count once. The model stays as it is, for a copy is run,
    in test mode and with random numbers of its own. Shapes that do not fit raise the error of the layer, with its path.
    Raises `DTypeError` for a model that is none.

    >>> import numpy as np
    >>> from passus.layers import Linear, ReLU, Sequential
    >>> print(summary(Sequential(Linear(3), ReLU()), np.ones((2, 4), np.float32)))
    layer  class       output  parameters
    -------------------------------------
    l0     Linear      (2, 3)          15
    l1     ReLU        (2, 3)           0
           Sequential  (2, 3)          15
    """
    if not isinstance(model, Layer):
        raise DTypeError(f"summary: a {type(model).__name__} is no layer; give the model first, then its inputs")
    model = copy.deepcopy(model)
    rows: list[_Row] = []
    for path, layer in list(model.named_layers()):
        layer.__dict__["forward"] = _noting(path, layer, rows)
    with no_grad(), test_mode(), using_rng(0):
        model(*inputs)
    return _table(rows)


def _noting(path: str, layer: Layer, rows: list[_Row]) -> Callable[..., Any]:
    """The ``forward`` of a layer, which adds a row when it is done."""
    forward = layer.forward

    def noting(*inputs: Any, **options: Any) -> Any:
        outputs = forward(*inputs, **options)
        # A part that was not called may not have its shapes yet.
        learnt = sum(parameter.size for parameter in layer.params() if parameter._data is not None)
        rows.append(_Row(path, type(layer).__name__, _shapes(outputs), learnt))
        return outputs

    return noting


def _shapes(outputs: Any) -> str:
    if isinstance(outputs, (tuple, list)):
        return ", ".join(_shapes(y) for y in outputs)
    return str(getattr(outputs, "shape", type(outputs).__name__))


def _table(rows: list[_Row]) -> str:
    head = ("layer", "class", "output", "parameters")
    cells = [head, *[(row.path, row.kind, row.output, f"{row.parameters:,}") for row in rows]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    lines = [
        "  ".join([*[cell.ljust(width) for cell, width in zip(line[:-1], widths)], line[-1].rjust(widths[-1])])
        for line in cells
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
