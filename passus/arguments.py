"""Checks of arguments, with uniform messages."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from passus.errors import ArgumentError, DTypeError, kind_of

__all__ = [
    "checked_callable",
    "checked_count",
    "checked_dtype",
    "checked_flag",
    "checked_fraction",
    "checked_integer",
    "checked_number",
    "checked_real",
    "shown",
]

Called = TypeVar("Called", bound=Callable[..., Any])

LONGEST = sys.maxsize
"""The greatest length of a Python sequence, and so the greatest count."""


def shown(value: Any) -> str:
    """The repr of a value for a message, on one line of limited length.

    >>> shown("a"), shown([0] * 1000)[:8], shown(10**5000)
    ("'a'", '[0, 0, 0', 'an int that is too large to show')
    """
    try:
        text = " ".join(repr(value).split())
    except Exception:  # Too many digits, too deep a nesting, or a __repr__ that fails.
        return f"{kind_of(value)} that is too large to show"
    return text if len(text) <= 80 else f"{text[:76]} ..."


def checked_real(where: str, name: str, value: Any) -> float:
    """``value`` as a float; infinity and NaN are allowed. Raises `DTypeError` if it is not a number.

    >>> checked_real("norm", "ord", math.inf)
    inf
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise DTypeError(f"{where}: {name} is {kind_of(value)} ({shown(value)}); give a number")
    try:
        return float(value)
    except OverflowError:
        raise ArgumentError(f"{where}: {name} is {shown(value)}, too large for a float") from None


def checked_number(
    where: str, name: str, value: Any, low: float = 0.0, high: float = math.inf, *, open_low: bool = False
) -> float:
    """``value`` as a float in ``low <= value < high`` (``low < value`` with ``open_low``).

    Raises `DTypeError` if it is not a number, `ArgumentError` if it is NaN, infinite or out of range.

    >>> checked_number("SGD", "lr", 1)
    1.0
    """
    number = checked_real(where, name, value)
    if not low <= number < high or (open_low and number == low):
        lower = f"{low:g} < {name}" if open_low else f"{low:g} <= {name}"
        upper = "and finite" if high == math.inf else f"and {name} < {high:g}"
        raise ArgumentError(f"{where}: {name} is {number!r}; it must be {lower} {upper}")
    return number


def checked_fraction(where: str, name: str, value: Any) -> float:
    """``value`` as a float in [0, 1]: a probability or a fraction.

    Raises `DTypeError` if it is not a number, `ArgumentError` if it is NaN or out of range.

    >>> checked_fraction("dropout", "dropout_ratio", 1)
    1.0
    """
    number = checked_real(where, name, value)
    if not 0 <= number <= 1:
        raise ArgumentError(f"{where}: {name} is {number!r}; it must lie between 0 and 1")
    return number


def checked_integer(where: str, name: str, value: Any) -> int:
    """``value`` as an int. Raises `DTypeError` if it is not an integer, `ArgumentError` if it exceeds 64 bits.

    >>> checked_integer("tril", "k", np.int8(-1))
    -1
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise DTypeError(f"{where}: {name} is {kind_of(value)} ({shown(value)}); give an integer")
    if not -LONGEST <= value <= LONGEST:
        raise ArgumentError(f"{where}: {name} is {shown(value)}; it must be at most {LONGEST}")
    return int(value)


def checked_count(where: str, name: str, value: Any, low: int = 1) -> int:
    """``value`` as an int of at least ``low``.

    Raises `DTypeError` if it is not an integer, `ArgumentError` if it is less than ``low``.

    >>> checked_count("cosine", "steps", 100)
    100
    """
    count = checked_integer(where, name, value)
    if count < low:
        raise ArgumentError(f"{where}: {name} is {count}; it must be at least {low}")
    return count


def checked_callable(where: str, name: str, value: Called) -> Called:
    """Return ``value``. Raises `DTypeError` if it is not callable.

    >>> checked_callable("MLP", "activation", abs)
    <built-in function abs>
    """
    if not callable(value):
        raise DTypeError(f"{where}: {name} is {kind_of(value)} ({shown(value)}); give a function")
    return value


def checked_flag(where: str, name: str, value: Any, hint: str = "") -> bool:
    """``value`` as a bool. Raises `DTypeError` for other types, because a string such as "no" would count as true.

    ``hint``: appended to the message for a number, for example about the order of the arguments.

    >>> checked_flag("DataLoader", "shuffle", np.bool_(True))
    True
    """
    if not isinstance(value, (bool, np.bool_)):
        more = hint if isinstance(value, (int, np.integer)) else ""
        raise DTypeError(f"{where}: {name} is {kind_of(value)} ({shown(value)}); give True or False{more}")
    return bool(value)


def checked_dtype(where: str, dtype: Any, kinds: str = "fiub") -> np.dtype[Any]:
    """``dtype`` as a NumPy dtype of one of these kinds. Raises `DTypeError` for other dtypes.

    >>> checked_dtype("Linear", "float32", kinds="f")
    dtype('float32')
    """
    try:
        known: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        raise DTypeError(f"{where}: {shown(dtype)} is not a dtype; give one of NumPy's, such as np.float32") from None
    if known.kind not in kinds:
        supported = "floating-point" if kinds == "f" else "real"
        raise DTypeError(f"{where}: {known} is not supported; give a {supported} dtype, such as np.float32")
    return known
