"""Parameters whose shape is known only when the first input arrives."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from passus.arguments import checked_callable, checked_dtype
from passus.attributes import ABSENT, note, repeated_value
from passus.core import Parameter
from passus.errors import ArgumentError, ShapeError
from passus.functions.checks import array_of
from passus.initializers import Initializer
from passus.layers.undo import if_this_call_fails
from passus.random import RNG, get_rng, load_rng_state, rng_state
from passus.tree import Spec

__all__ = ["LazyParameter", "length", "resolve_from"]


class LazyParameter(Parameter):
    """A parameter that draws its first values when all its lengths are known.

    ``shape``: None stands for a length that is inferred from the first input. ``initializer``: a function (shape, dtype, rng)
    from `passus.initializers`. Without None in the shape, the values are drawn at once.

    >>> from passus.initializers import zeros
    >>> W = LazyParameter((None, 3), zeros)
    >>> W.resolve(2)
    >>> W.shape
    (2, 3)
    """

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
        # A seed gives one generator here, so that two parameters of one layer may share it.
        self.rng = None if rng is None else get_rng(rng)
        if None not in shape:
            self.resolve()

    def __deepcopy__(self, memo: dict[int, Any]) -> LazyParameter:
        new: LazyParameter = super().__deepcopy__(memo)  # type: ignore[assignment]
        new.rng = copy.deepcopy(self.rng, memo)  # Else the copy's draws would change ours.
        return new

    def resolve(self, *lengths: int) -> None:
        """Draw the values; ``lengths`` are those that were not known, in order.

        If the call of a layer that this is part of fails, the values are given up and the generator is wound back.
        Raises `ArgumentError` for too few or too many lengths, `DTypeError` or `ShapeError` for an initializer that
        returns no array of this shape.
        """
        shape = self._completed(lengths)
        before = rng_state(self.rng)
        if_this_call_fails(lambda: self._unresolve(before))
        values = array_of(f"{self._label()}, its initializer", self.initializer(shape, self.spec.dtype, self.rng))
        if values.shape != shape:
            raise ShapeError(f"{self._label()}: the initializer returned an array of {values.shape}, not of {shape}")
        note(self, "_data")
        known = repeated_value(self, "_data")
        if known is ABSENT:
            self.data = values.astype(self.spec.dtype)  # A copy: the array may be one that somebody else holds.
        else:
            self._data = known  # A checkpoint repeats the first call: only the random numbers had to be drawn again.

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
    """The length of one axis of an input, which tells a layer the shape of its parameters.

    Raises `DTypeError` if the input is no array, `ShapeError` if it has no such axis.
    """
    shape = array_of(operation, x).shape
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"{operation}: x {shape} has no axis {axis} for the features; give a batch of shape (N, ...)")
    return int(shape[axis])


def resolve_from(operation: str, x: Any, axis: int, *parameters: LazyParameter) -> None:
    """Let parameters that lack one length draw their values, now that an axis of an input tells it.

    Raises `DTypeError` if the input is no array, `ShapeError` if it has no such axis.
    """
    size = length(operation, x, axis)
    for parameter in parameters:
        if parameter._data is None:  # Not one that was loaded.
            parameter.resolve(size)
