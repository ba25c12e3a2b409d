"""Checks of arguments that are numbers, with one message for all of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from passus.errors import ArgumentError, DTypeError

__all__ = ["checked_count", "checked_number"]


def checked_number(
    where: str, name: str, value: Any, low: float = 0.0, high: float = math.inf, *, open_low: bool = False
) -> float:
    """``value`` as a float, if ``low <= value < high`` (``low < value`` with ``open_low``).

    Raises `DTypeError` for what is no number, `ArgumentError` for NaN, infinity and what is out of range.

    >>> checked_number("SGD", "lr", 1)
    1.0
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise DTypeError(f"{where}: {name} is a {type(value).__name__} ({value!r}); give a number")
    number = float(value)
    if not low <= number < high or (open_low and number == low):
        least = f"{low:g} < {name}" if open_low else f"{low:g} <= {name}"
        most = "and finite" if high == math.inf else f"and {name} < {high:g}"
        raise ArgumentError(f"{where}: {name} is {number!r}; it must be {least} {most}")
    return number


def checked_count(where: str, name: str, value: Any, low: int = 1) -> int:
    """``value`` as an int, if it is a whole number of at least ``low``.

    Raises `DTypeError` for what is no integer, `ArgumentError` for what is less than ``low``.

    >>> checked_count("cosine", "steps", 100)
    100
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise DTypeError(f"{where}: {name} is a {type(value).__name__} ({value!r}); give an integer")
    if value < low:
        raise ArgumentError(f"{where}: {name} is {value}; it must be at least {low}")
    return int(value)
