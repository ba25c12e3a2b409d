"""Conversion of NumPy's arguments: lists, dtypes, masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array, backend_of
from passus.core import Result, Variable, astype
from passus.core.protocol import no_rule
from passus.core.variable import data_of
from passus.functions.arrays.joining import stack
from passus.functions.arrays.selection import where

__all__ = ["array_in", "cast", "masked", "number_or_array", "operand", "refuse", "without_gradient"]


def operand(x: Any) -> Any:
    """Convert numbers and lists to an array, or to a Variable if they contain one; return Variables and arrays."""
    if isinstance(x, Variable) or type(x) is np.ndarray:
        return x
    if isinstance(x, (list, tuple)) and _contains_variables(x):
        return stack([operand(element) for element in x])
    return backend_of(x).asarray(x)


def number_or_array(x: Any) -> Any:
    """Return a Python number, which takes the dtype of other operands; convert everything else to an `operand`."""
    return x if isinstance(x, (int, float)) else operand(x)


def _contains_variables(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(_contains_variables(element) for element in x)
    return isinstance(x, Variable)


def array_in(x: Any) -> Array:
    """The array of an operand that needs no gradient, such as indices and conditions."""
    data = data_of(x)
    return backend_of(data).asarray(data)


def cast(x: Any, dtype: Any) -> Result:
    """An operand, converted to ``dtype`` unless that is None."""
    if dtype is None:
        return x if type(x) is Variable else operand(x)
    x = operand(x)
    return x if x.dtype == dtype else astype(x, dtype)


def masked(x: Any, mask: Any, filler: Any) -> Result:
    """An operand with ``filler`` where the mask is False. NumPy calls the mask ``where``."""
    if mask is True and type(x) is Variable:
        return x
    x = operand(x)
    return x if mask is True else where(array_in(mask).astype(bool, copy=False), x, filler)


def refuse(name: str, **options: Any) -> None:
    """Raise `DTypeError` if options without a rule, such as ``out``, are given."""
    for value in options.values():
        if value is not None:
            raise no_rule(name, sorted([option for option, value in options.items() if value is not None]))


def without_gradient(name: str, option: str, value: Any) -> Any:
    """The array of an option that has no gradient.

    Raises `DTypeError` for a Variable that requires one.
    """
    if isinstance(value, Variable) and value.requires_grad:
        raise no_rule(name, [option])
    return array_in(value)
