"""Parameters whose shapes are inferred from the first input."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from passus.arguments import checked_callable, checked_dtype
from passus.attributes import ABSENT, snapshot, value_before_restore
from passus.backend import Device, to_device
from passus.backend.trace import initializing
from passus.core import Parameter
from passus.errors import ArgumentError, ShapeError
from passus.functions.checks import array_of
from passus.initializers import Initializer
from passus.layers.undo import on_failure
from passus.random import RNG, get_rng, load_rng_state, rng_state
from passus.tree import Spec

__all__ = ["LazyParameter", "length", "resolve_from"]


class LazyParameter(Parameter):
    """A parameter that is initialized once its shape is known.

    ``shape``: None for a length that is inferred from the first input. ``initializer``: a function (shape, dtype, rng)
    such as those of `passus.initializers`. A shape without None is initialized at once.

    >>> from passus.initializers import zeros
    >>> W = LazyParameter((None, 3), zeros)
    >>> W.resolve(2)
    >>> W.shape
    (2, 3)
    """

    device: Device = "cpu"
    """Where the values will be, see `passus.backend.to_device`."""

    def __init__(
        self,
        shape: tuple[int | None, ...],
        initializer: Initializer,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
        name: str | None = None,
    ) -> None:
        super().__init__(None, name)
        self.spec = Spec(shape, checked_dtype(name or "parameter", dtype, kinds="f"))
        self.initializer = checked_callable(name or "parameter", "initializer", initializer)
        # The layer has made a generator of a seed already if several of its parameters share it.
        self.rng = None if rng is None else get_rng(rng)
        if None not in shape:
            self.resolve()

    def __deepcopy__(self, memo: dict[int, Any]) -> LazyParameter:
        new: LazyParameter = super().__deepcopy__(memo)  # type: ignore[assignment]
        new.rng = copy.deepcopy(self.rng, memo)  # Otherwise draws of the copy would advance this generator.
        return new

    def resolve(self, *lengths: int) -> None:
        """Initialize the parameter; ``lengths`` replace None in the shape, in order.

        If the current call of a layer fails, the values are discarded and the generator is restored. Raises
        `ArgumentError` for another number of lengths, `DTypeError` or `ShapeError` unless the initializer returns an
        array of this shape.
        """
        initializing()
        shape = self._completed(lengths)
        before = rng_state(self.rng)
        on_failure(lambda: self._unresolve(before))
        values = array_of(f"{self._label()}, its initializer", self.initializer(shape, self.spec.dtype, self.rng))
        if values.shape != shape:
            raise ShapeError(f"{self._label()}: the initializer returned an array of {values.shape}, not of {shape}")
        snapshot(self, "_data")
        repeated = value_before_restore(self, "_data")
        if repeated is ABSENT:
            self.data = to_device(
                values.astype(self.spec.dtype), self.device
            )  # A copy: the initializer may have kept a reference.
        else:
            self._data = repeated  # A checkpoint repeats the first call; only the generator had to advance.

    def _completed(self, lengths: tuple[int, ...]) -> tuple[int, ...]:
        shape = self.spec.shape or ()
        if len(lengths) != shape.count(None):
            raise ArgumentError(
                f"{self._label()}: {shape} lacks {shape.count(None)} lengths, and {len(lengths)} were given"
            )
        known = iter(lengths)
        return tuple([next(known) if n is None else n for n in shape])

    def _unresolve(self, rng_before: dict[str, Any]) -> None:
        self.data = None
        load_rng_state(rng_before, self.rng)


def length(operation: str, x: Any, axis: int) -> int:
    """The length of one axis of an input, from which a layer infers the shape of its parameters.

    Raises `DTypeError` if the input is no array, `ShapeError` if it has no such axis.
    """
    shape = array_of(operation, x).shape
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"{operation}: x {shape} has no axis {axis} for the features; give a batch of shape (N, ...)")
    return int(shape[axis])


def resolve_from(operation: str, x: Any, axis: int, *parameters: LazyParameter) -> None:
    """Initialize parameters that lack one length with the length of an axis of an input.

    Raises `DTypeError` if the input is no array, `ShapeError` if it has no such axis.
    """
    size = length(operation, x, axis)
    for parameter in parameters:
        if parameter._data is None:  # Not loaded before.
            parameter.resolve(size)
