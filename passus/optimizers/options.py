"""The numbers of an optimizer: checked when they are given, and different for groups of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeAlias

from passus.arguments import checked_number
from passus.core import Parameter
from passus.errors import ArgumentError, DTypeError, kind_of

__all__ = ["Group", "Options", "Rate", "Where", "checked_option"]

Rate: TypeAlias = float | Callable[[int], float]
"""A learning rate, or a schedule: a function from the number of updates done to the rate of the next one."""

Options: TypeAlias = SimpleNamespace
"""The numbers of one update: those of the parameter's group, and ``step``, which counts its updates from 1."""

Where: TypeAlias = str | Callable[[str, Parameter], bool]
"""Which parameters: a path and all below it, or a function of path and parameter."""

FRACTIONS = ("betas", "momentum", "rho")
"""The options that say how much of the past is kept: less than 1."""


def checked_option(where: str, name: str, value: Any) -> Any:
    """A number that is at least 0 (and below 1 for a fraction), a pair of them for ``betas``, or a schedule for ``lr``.

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


@dataclass
class Group:
    """Parameters with options of their own."""

    where: Where
    options: dict[str, Any]

    def holds(self, path: str, p: Parameter) -> bool:
        """Whether a parameter belongs to this group."""
        if callable(self.where):
            return bool(self.where(path, p))
        return path == self.where or path.startswith(f"{self.where}.")
