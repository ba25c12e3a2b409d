"""The cost of a computation, measured by observing the operations that it calls.

Operations outside of layers are counted, too, and layers need no cost formulas.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from passus.backend import Array
from passus.core import Function
from passus.functions.arrays.contractions import Einsum
from passus.functions.arrays.products import Linear, MatMul
from passus.functions.checks import array_of
from passus.functions.nn.convolution import Conv, Deconv

__all__ = ["Meter", "observing"]


class Meter:
    """Accumulates the cost of operations."""

    def __init__(self) -> None:
        self.multiply_adds = 0
        """Multiply-adds of convolutions, transposed convolutions and matrix products."""
        self.activations = 0
        """Bytes of the results of all operations, except views of an input."""

    def add(self, function: Function, inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
        """Count one call of an operation."""
        xs, ys = [[array_of("summary", x) for x in operands] for operands in (inputs, outputs)]
        if type(function) in RULES:
            self.multiply_adds += RULES[type(function)](function, xs, ys[0])
        self.activations += sum(y.nbytes for y in ys if not any(np.may_share_memory(x, y) for x in xs))


def _conv(function: Conv, xs: list[Array], y: Array) -> int:
    return int(y.size * math.prod(xs[1].shape[1:]))


def _deconv(function: Deconv, xs: list[Array], y: Array) -> int:
    return int(xs[0].size * math.prod(xs[1].shape[1:]))


def _product(function: Linear | MatMul, xs: list[Array], y: Array) -> int:
    return int(y.size * xs[0].shape[-1])


def _einsum(function: Einsum, xs: list[Array], y: Array) -> int:
    """The cost of a single contraction, without intermediate results."""
    lengths = {letter: n for term, x in zip(function.terms, xs) for letter, n in zip(term, x.shape) if n != 1}
    return int(math.prod(lengths.values()) * (len(xs) - 1))


RULES: dict[type[Function], Callable[[Any, list[Array], Array], int]] = {
    Conv: _conv,
    Deconv: _deconv,
    Linear: _product,
    MatMul: _product,
    Einsum: _einsum,
}
"""The number of multiply-adds of an operation as a function of inputs and output."""

CALL = Function.__call__.__code__


@contextmanager
def observing() -> Iterator[Meter]:
    """Measure the cost of all operations of passus called inside a block, in this thread.

    The calls are observed through the interpreter's profiling hook, so operations outside of the block have no overhead. An
    active profiler does not see the block.

    >>> import passus.functions as F
    >>> with observing() as meter:
    ...     y = F.linear(np.ones((2, 3)), np.ones((3, 4)))
    >>> meter.multiply_adds, meter.activations
    (24, 64)
    """
    meter = Meter()

    def record(frame: FrameType, event: str, result: Any) -> None:
        # A call that raises returns None.
        if event == "return" and frame.f_code is CALL and result is not None:
            outputs = result if type(result) is tuple else (result,)
            meter.add(frame.f_locals["self"], frame.f_locals["inputs"], outputs)

    before = sys.getprofile()
    sys.setprofile(record)
    try:
        yield meter
    finally:
        sys.setprofile(before if callable(before) else None)  # That of cProfile cannot be restored.
