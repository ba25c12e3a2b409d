"""Options of an optimizer: their types, and the checks when they are given."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

from passus.arguments import checked_number
from passus.core import Parameter
from passus.errors import ArgumentError, DTypeError, kind_of

__all__ = ["Options", "Rate", "Where", "checked_option"]

Rate: TypeAlias = float | Callable[[int], float]
"""A learning rate, or a schedule: a function from the number of updates so far to the rate of the next one."""

Options: TypeAlias = SimpleNamespace
"""The options of one update: those of the parameter's group, and ``step``, its number of updates with this one."""

Where: TypeAlias = str | Callable[[str, Parameter], bool]
"""Selects parameters: a path with everything below it, or a predicate of path and parameter."""

FRACTIONS = ("betas", "momentum", "rho")
"""Options that are factors of a moving average: less than 1."""


def checked_option(where: str, name: str, value: Any) -> Any:
    """Return a number of at least 0 (below 1 for a fraction), a pair of them for ``betas``, or a schedule for ``lr``.

    Raises `ArgumentError` or `DTypeError` for anything else.

    >>> checked_option("Adam", "betas", [0.9, 0.999])
    (0.9, 0.999)
    """
    if name == "lr" and callable(value):
        return value
    high = 1.0 if name in FRACTIONS else float("inf")
    if name != "betas":
        return checked_number(where, name, value, 0.0, high)
    if not hasattr(value, "__len__") or isinstance(value, str):
        raise DTypeError(f"{where}: betas is {kind_of(value)} ({value!r}); give two numbers")
    if len(value) != 2:
        raise ArgumentError(f"{where}: betas are two numbers, not {value!r}")
    return tuple(checked_number(where, name, beta, 0.0, high) for beta in value)
