"""Cumulative products and differences along an axis."""

from __future__ import annotations

from numpy.lib.array_utils import normalize_axis_index

from passus.arguments import checked_count
from passus.core import HALF, Operand, Result, upcast_inputs
from passus.errors import ShapeError
from passus.functions.arrays.arithmetic import mul, sub
from passus.functions.arrays.indexing import get_item
from passus.functions.arrays.joining import concatenate
from passus.functions.arrays.shapes import ravel
from passus.functions.checks import array_of

__all__ = ["cumprod", "diff"]


@upcast_inputs(1, HALF)
def cumprod(x: Operand, axis: int | None = None) -> Result:
    """The cumulative product along an axis, ``y[i] = x[0] * ... * x[i]``; of flattened ``x`` if ``axis`` is None.

    The gradient is right at zeros, too. Raises `ShapeError` for an axis that ``x`` does not have.

    >>> import numpy as np
    >>> cumprod(np.array([1.0, 2.0, 3.0]))
    array([1., 2., 6.])
    """
    shape = array_of("cumprod", x).shape
    if axis is None or not shape:
        x, axis = ravel(x), axis or 0
    axis = _axis("cumprod", axis, array_of("cumprod", x).shape)
    before, n = (slice(None),) * axis, array_of("cumprod", x).shape[axis]
    # Each element is the product of the last `step` elements; two such products give one of 2 * step.
    step = 1
    while step < n:
        first = get_item(x, (*before, slice(step)))
        rest = mul(get_item(x, (*before, slice(step, None))), get_item(x, (*before, slice(n - step))))
        x, step = concatenate([first, rest], axis), 2 * step
    return x


def diff(x: Operand, n: int = 1, axis: int = -1) -> Result:
    """The differences of neighbours along an axis, ``x[i + 1] - x[i]``, taken ``n`` times.

    Raises `ShapeError` for an axis that ``x`` does not have, `ArgumentError` if ``n`` is negative.

    >>> import numpy as np
    >>> diff(np.array([1.0, 4.0, 9.0]))
    array([3., 5.])
    """
    axis = _axis("diff", axis, array_of("diff", x).shape)
    before = (slice(None),) * axis
    for _ in range(checked_count("diff", "n", n, 0)):
        x = sub(get_item(x, (*before, slice(1, None))), get_item(x, (*before, slice(None, -1))))
    return x


def _axis(name: str, axis: int, shape: tuple[int, ...]) -> int:
    """The non-negative number of an axis. Raises `ShapeError` if it does not exist."""
    try:
        return normalize_axis_index(axis, len(shape))
    except ValueError as error:
        raise ShapeError(f"{name}: axis {axis} is not one of x {shape}") from error
