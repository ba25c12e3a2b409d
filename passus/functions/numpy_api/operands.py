"""What NumPy's functions take where passus' own want arrays: lists, dtypes, masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array
from passus.core import Result, Variable, astype
from passus.core.protocol import no_rule
from passus.functions.arrays.joining import stack
from passus.functions.arrays.selection import where

__all__ = ["array_in", "cast", "constant", "masked", "number_or_array", "operand", "refuse"]


def operand(x: Any) -> Any:
    """A Variable or an array as it is; an array of numbers and lists, or a Variable if there are Variables in them."""
    if isinstance(x, Variable) or type(x) is np.ndarray:
        return x
    if isinstance(x, (list, tuple)) and _holds_variables(x):
        return stack([operand(part) for part in x])
    return np.asarray(x)


def number_or_array(x: Any) -> Any:
    """A Python number as it is, for it takes the dtype of what is beside it; else an `operand`."""
    return x if isinstance(x, (int, float)) else operand(x)


def _holds_variables(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(_holds_variables(part) for part in x)
    return isinstance(x, Variable)


def array_in(x: Any) -> Array:
    """The array in an operand, for what needs no gradient: indices, conditions, places."""
    return np.asarray(x._data if isinstance(x, Variable) else x)


def cast(x: Any, dtype: Any) -> Result:
    """An operand, with another dtype unless that is None."""
    if dtype is None:
        return x if type(x) is Variable else operand(x)
    x = operand(x)
    return x if x.dtype == dtype else astype(x, dtype)


def masked(x: Any, mask: Any, filler: Any) -> Result:
    """An operand with ``filler`` where the mask does not hold; NumPy's name of the mask is ``where``."""
    if mask is True and type(x) is Variable:
        return x
    x = operand(x)
    return x if mask is True else where(np.asarray(array_in(mask), bool), x, filler)


def refuse(name: str, **options: Any) -> None:
    """Raise `DTypeError` for options, such as ``out``, that are given and have no rule."""
    for value in options.values():
        if value is not None:
            raise no_rule(name, sorted([option for option, value in options.items() if value is not None]))


def constant(name: str, option: str, value: Any) -> Any:
    """The array in an option with respect to which there is no derivative.

    Raises `DTypeError` for a Variable whose gradient would be lost.
    """
    if isinstance(value, Variable) and value.requires_grad:
        raise no_rule(name, [option])
    return array_in(value)
