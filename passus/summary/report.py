"""The summary of a model: a copy is called, and the calls of its layers are recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

from passus.arguments import checked_count
from passus.config import no_grad, test_mode
from passus.core import Parameter
from passus.display import html_block, html_table
from passus.errors import DTypeError, kind_of
from passus.layers import Layer
from passus.layers.carried import reset_carried_state
from passus.random import using_rng
from passus.summary.operations import Meter, observing
from passus.summary.table import HEAD, Row, size, table

__all__ = ["Summary", "summary"]


class Summary(str):
    """The text of a summary, which a notebook displays as a table.

    >>> print(Summary("1 parameter", []))
    1 parameter
    """

    rows: list[Row]

    def __new__(cls, text: str, rows: list[Row]) -> Self:
        """The text, with the rows of its table."""
        summary = super().__new__(cls, text)
        summary.rows = rows
        return summary

    def _repr_html_(self) -> str:
        totals = self.splitlines()[-2:]
        return html_table(HEAD, [row.cells for row in self.rows], right=3) + html_block("", "\n".join(totals))


def summary(model: Layer, *inputs: Any, depth: int | None = None) -> Summary:
    """A printable table of the layers that ``model(*inputs)`` calls, in call order.

    A row shows the path of a layer, the shape of its output, its numbers of parameters and of frozen parameters, and the
    multiply-adds of the call, including nested calls. Multiply-adds, one multiplication and one addition each, are counted
    for convolutions, transposed convolutions, linear layers and matrix products. The lines below are totals; the size of all
    results estimates the memory that a training step stores for the backward pass.

    ``depth``: maximum nesting depth of the rows; 0 shows the model only, None all layers. A layer that is called twice has
    two rows; its parameters count once. The model is unchanged: a copy is called, in test mode and with separate random
    numbers.

    If the model raises an error, such as `ShapeError`, its message begins with the path of the layer, and the table up to
    the error is attached as a note. Raises `DTypeError` for other types than layers.

    >>> import numpy as np
    >>> from passus.layers import Linear, ReLU, Sequential
    >>> print(summary(Sequential(Linear(3), ReLU()), np.ones((2, 4), np.float32)))
    layer  class       output  parameters  frozen  multiply-adds
    ------------------------------------------------------------
           Sequential  (2, 3)          15       0             24
    l0     Linear      (2, 3)          15       0             24
    l1     ReLU        (2, 3)           0       0              0
    15 parameters (60 bytes), of which 0 are frozen
    24 multiply-adds, 48 bytes for the results of all operations
    """
    if not isinstance(model, Layer):
        raise DTypeError(f"summary: {kind_of(model)} is not a layer; give the model first, then its inputs")
    depth = None if depth is None else checked_count("summary", "depth", depth, 0)
    model = copy.deepcopy(model)
    reset_carried_state(model)  # The hidden state may belong to another batch.
    with observing() as meter, recording(model, meter) as calls, no_grad(), test_mode(), using_rng(0):
        try:
            model(*inputs)
        except Exception as error:
            error.add_note(table(calls.to(depth)))
            raise
    rows = calls.to(depth)
    return Summary("\n".join([table(rows), *_totals(model, meter)]), rows)


class Calls:
    """The recorded calls of layers, one row each."""

    def __init__(self, meter: Meter) -> None:
        self.rows: list[Row] = []
        self.level = 0
        self.meter = meter

    def to(self, depth: int | None) -> list[Row]:
        """The rows down to a depth, and all rows of failed calls."""
        return [row for row in self.rows if depth is None or row.level <= depth or row.numbers is None]

    def call(self, path: str, layer: Layer, forward: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        """Call the method ``forward`` of a layer, and record the call."""
        index, before = len(self.rows), self.meter.multiply_adds
        row = Row(self.level, path, type(layer).__name__, f"fails on {_shapes(inputs)}")
        self.rows.append(row)
        self.level += 1
        try:
            outputs = forward(*inputs, **options)
        finally:
            self.level -= 1
        numbers = (*_counts(layer), self.meter.multiply_adds - before)
        self.rows[index] = row._replace(output=_shapes(outputs), numbers=numbers)
        return outputs


@contextmanager
def recording(model: Layer, meter: Meter) -> Iterator[Calls]:
    """Record all calls of the layers of a model inside a block."""
    calls, layers = Calls(meter), list(model.named_layers())
    for path, layer in layers:
        layer.__dict__["forward"] = partial(calls.call, path, layer, layer.forward)
    try:
        yield calls
    finally:
        for _, layer in layers:
            del layer.__dict__["forward"]  # Otherwise a reference cycle would delay freeing the layer.


def _initialized(layer: Layer) -> list[Parameter]:
    """The parameters with a shape; layers that were not called may not have one yet."""
    return [parameter for parameter in layer.params() if parameter._data is not None]


def _counts(layer: Layer) -> tuple[int, int]:
    """The numbers of parameters and of frozen parameters of a layer."""
    parameters = _initialized(layer)
    return sum(p.size for p in parameters), sum(p.size for p in parameters if not p.requires_grad)


def _shapes(values: Any) -> str:
    if isinstance(values, (tuple, list)):
        return ", ".join(_shapes(value) for value in values)
    return str(getattr(values, "shape", type(values).__name__))


def _totals(model: Layer, meter: Meter) -> list[str]:
    (count, frozen), memory = _counts(model), sum(p.data.nbytes for p in _initialized(model))
    return [
        f"{count:,} parameters ({size(memory)}), of which {frozen:,} are frozen",
        f"{meter.multiply_adds:,} multiply-adds, {size(meter.activations)} for the results of all operations",
    ]
