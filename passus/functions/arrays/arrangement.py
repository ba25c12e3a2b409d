"""Functions that move or repeat elements: flip, roll, tile, repeat, pad, and triangles of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from passus.arguments import checked_integer, shown
from passus.backend import Array
from passus.core import HALF, Operand, Result, Unary, upcast_inputs
from passus.errors import ArgumentError, ShapeError
from passus.functions.arrays.indexing import get_item
from passus.functions.arrays.shapes import ravel
from passus.functions.checks import PAD_MODES, array_of, integers_of
from passus.kernels.sums import total

__all__ = [
    "Flip",
    "Pad",
    "Repeat",
    "Roll",
    "Tile",
    "Tril",
    "Triu",
    "flip",
    "pad",
    "repeat",
    "roll",
    "tile",
    "tril",
    "triu",
]


class Flip(Unary):
    def __init__(self, axis: int | tuple[int, ...] | None) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        return self.xp.flip(x, self.axis)

    def backward(self, gy: Any) -> Any:
        return self.xp.flip(gy, self.axis)


def flip(x: Operand, axis: int | tuple[int, ...] | None = None) -> Result:
    """Reverse the order of the elements along axes, or along all of them.

    Raises `ShapeError` for an axis that ``x`` does not have, or for a repeated axis.

    >>> import numpy as np
    >>> flip(np.array([1.0, 2.0, 3.0]))
    array([3., 2., 1.])
    """
    return Flip(axis)(x)


class Roll(Unary):
    def __init__(self, shift: int | Sequence[int], axis: int | tuple[int, ...] | None) -> None:
        self.shift, self.axis = shift, axis

    def forward(self, x: Array) -> Array:
        return self.xp.roll(x, self.shift, self.axis)

    def backward(self, gy: Any) -> Any:
        return self.xp.roll(gy, np.negative(self.shift).tolist(), self.axis)


def roll(x: Operand, shift: int | Sequence[int], axis: int | tuple[int, ...] | None = None) -> Result:
    """Shift the elements along axes; elements that leave at one end re-enter at the other. Without axes, x is
    flattened.

    Raises `ShapeError` for an axis that ``x`` does not have, or for shifts that do not fit the axes;
    `DTypeError` for shifts that are no integers.

    >>> import numpy as np
    >>> roll(np.array([1.0, 2.0, 3.0]), 1)
    array([3., 1., 2.])
    """
    return Roll(integers_of("roll", "shift", shift).tolist(), axis)(x)


class Tile(Unary):
    def __init__(self, reps: tuple[int, ...]) -> None:
        self.reps = reps

    def forward(self, x: Array) -> Array:
        return self.xp.tile(x, self.reps)

    def backward(self, gy: Any) -> Any:
        shape = self.operands[0].shape
        reps = (1,) * (gy.ndim - len(self.reps)) + self.reps
        lengths = (1,) * (gy.ndim - len(shape)) + shape
        split = gy.reshape([n for pair in zip(reps, lengths) for n in pair])
        return total(split, tuple(range(0, 2 * gy.ndim, 2))).reshape(shape)


def tile(x: Operand, reps: int | Sequence[int]) -> Result:
    """Repeat an array ``reps`` times along each axis; missing axes are prepended.

    Raises `ArgumentError` for a negative number of copies, `DTypeError` for one that is no integer.

    >>> import numpy as np
    >>> tile(np.array([1.0, 2.0]), (2, 2))
    array([[1., 2., 1., 2.],
           [1., 2., 1., 2.]])
    """
    counts = np.atleast_1d(_counts("tile", "reps", reps))
    return Tile(tuple(counts.tolist()))(x)


def _counts(name: str, argument: str, values: Any) -> Array:
    """Integers of at least 0."""
    counts = integers_of(name, argument, values)
    if (counts < 0).any():
        raise ArgumentError(f"{name}: {argument} is {shown(values)}; it must not be negative")
    return counts


class Repeat(Unary):
    def __init__(self, repeats: int, axis: int) -> None:
        self.repeats, self.axis = repeats, axis

    def forward(self, x: Array) -> Array:
        return self.xp.repeat(x, self.repeats, self.axis)

    def backward(self, gy: Any) -> Any:
        shape = self.operands[0].shape
        axis = self.axis % len(shape)
        return total(gy.reshape(*shape[: axis + 1], self.repeats, *shape[axis + 1 :]), axis + 1)


def repeat(x: Operand, repeats: int | Sequence[int], axis: int | None = None) -> Result:
    """Repeat each element along an axis; ``repeats`` is one number, or one per element. Without an axis, x is
    flattened.

    Raises `ShapeError` for an axis that ``x`` does not have, or a missing number of repeats; `ArgumentError` for a
    negative one.

    >>> import numpy as np
    >>> repeat(np.array([1.0, 2.0]), 2)
    array([1., 1., 2., 2.])
    """
    if axis is None:
        return repeat(ravel(x), repeats, 0)
    counts = _counts("repeat", "repeats", repeats)
    axis = checked_integer("repeat", "axis", axis)
    if not counts.ndim:
        return Repeat(int(counts), axis)(x)
    shape = array_of("repeat", x).shape
    if not -len(shape) <= axis < len(shape) or counts.shape != (shape[axis],):
        raise ShapeError(
            f"repeat: repeats {shown(repeats)} must be one number for each element of x {shape} along axis {axis}"
        )
    before = (slice(None),) * (axis % len(shape))
    return get_item(x, (*before, np.repeat(np.arange(shape[axis]), counts)))


class Pad(Unary):
    def __init__(self, widths: tuple[tuple[int, int], ...], value: float) -> None:
        self.widths, self.value = widths, value

    def forward(self, x: Array) -> Array:
        return self.xp.pad(x, self.widths, constant_values=self.value)

    def backward(self, gy: Any) -> Any:
        return gy[tuple([slice(before, n - after) for (before, after), n in zip(self.widths, gy.shape)])]


@upcast_inputs(1, HALF)
def pad(x: Operand, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Result:
    """Pad an array with ``constant_values``, or with its own elements in other modes.

    ``pad_width``: ``((before, after), ...)`` for each axis, ``(before, after)`` for all axes, or one number. ``mode``:
    ``"constant"``, ``"edge"`` (repeat the outermost element), ``"reflect"`` (mirror at the outermost element),
    ``"symmetric"`` (mirror at the edge of the outermost element), ``"wrap"`` (continue from the other end); and as in
    `conv2d` ``"zeros"``, ``"replicate"`` for ``"edge"``, ``"circular"`` for ``"wrap"``.

    Raises `ArgumentError` for an unknown mode, a negative width, or ``"zeros"`` with another value; `ShapeError` if the
    widths do not fit the axes, or if an empty axis is padded with its own elements; `DTypeError` for widths that are no
    integers.

    >>> import numpy as np
    >>> pad(np.array([1.0, 2.0, 3.0]), (2, 1), mode="reflect")
    array([3., 2., 1., 2., 3., 2.])
    """
    shape = array_of("pad", x).shape
    widths = _widths(pad_width, shape)
    if mode == "zeros" and constant_values != 0:
        raise ArgumentError(f"pad: with mode 'zeros', constant_values is 0, not {constant_values}; use mode 'constant'")
    mode = PAD_MODES[mode] if mode in tuple(PAD_MODES) else mode
    if mode == "constant":
        return Pad(widths, constant_values)(x)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise ArgumentError(
            f"pad: mode must be constant, edge, reflect, symmetric or wrap, or one of conv2d: {', '.join(PAD_MODES)}; not "
            f"{mode!r}"
        )
    for axis, (n, width) in enumerate(zip(shape, widths)):
        if any(width):
            if n == 0:
                raise ShapeError(f"pad: axis {axis} of x {shape} is empty, it has no elements for mode {mode!r}")
            x = get_item(x, (slice(None),) * axis + (np.pad(np.arange(n), width, mode=mode),))  # type: ignore[call-overload]
    return x


def _widths(pad_width: Any, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """The (before, after) widths of each axis."""
    if not shape:
        raise ShapeError("pad: x () has no axes to pad; use F.reshape(x, (1,)) first")
    given = integers_of("pad", "pad_width", pad_width)
    if (given < 0).any():
        raise ArgumentError(f"pad: pad_width {pad_width} must not be negative; cut with x[1:-1] instead")
    try:
        pairs = np.broadcast_to(given, (len(shape), 2)).tolist()
    except ValueError as error:
        raise ShapeError(f"pad: pad_width {pad_width} does not fit the axes of x {shape}") from error
    return tuple([(before, after) for before, after in pairs])


class Tril(Unary):
    def __init__(self, k: int) -> None:
        self.k = k

    def forward(self, x: Array) -> Array:
        _check_matrix("tril", x)
        return self.xp.tril(x, self.k)

    def backward(self, gy: Any) -> Any:
        return self.xp.tril(gy, self.k)


def tril(x: Operand, k: int = 0) -> Result:
    """The lower triangle of matrices (..., M, N), with zeros above the diagonal ``k`` (0 is the main diagonal, 1 the
    one above it).

    Raises `ShapeError` for fewer than two axes.

    >>> import numpy as np
    >>> tril(np.ones((2, 2)))
    array([[1., 0.],
           [1., 1.]])
    """
    return Tril(checked_integer("tril", "k", k))(x)


class Triu(Unary):
    def __init__(self, k: int) -> None:
        self.k = k

    def forward(self, x: Array) -> Array:
        _check_matrix("triu", x)
        return self.xp.triu(x, self.k)

    def backward(self, gy: Any) -> Any:
        return self.xp.triu(gy, self.k)


def triu(x: Operand, k: int = 0) -> Result:
    """The upper triangle of matrices (..., M, N), with zeros below the diagonal ``k`` (0 is the main diagonal, 1 the
    one above it).

    Raises `ShapeError` for fewer than two axes.

    >>> import numpy as np
    >>> triu(np.ones((2, 2)))
    array([[1., 1.],
           [0., 1.]])
    """
    return Triu(checked_integer("triu", "k", k))(x)


def _check_matrix(name: str, x: Array) -> None:
    if x.ndim < 2:
        raise ShapeError(f"{name}: x {x.shape} must have two axes or more")
