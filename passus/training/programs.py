"""The functions of a batch that a `Trainer` runs as recorded programs."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from passus.errors import ArgumentError
from passus.recording import RecordedFunction, compile

__all__ = ["Compile", "Programs", "checked_compile"]

Compile: TypeAlias = bool | Literal["exact"]
"""Whether the steps of a training run as programs, and "exact": with the bits of the eager steps."""


class Programs:
    """Programs of functions of a batch, for as long as these compute with the same objects.

    ``exact``: see `passus.compile`. A function that cannot be recorded warns once, and runs eagerly; so do others from then on
    that have not been recorded yet, without further warnings.
    """

    def __init__(self, exact: bool) -> None:
        self.exact = exact
        self._parts: tuple[Any, ...] = ()
        self._functions: dict[str, Callable[[Any], Any]] = {}

    def run(self, function: Callable[[Any], Any], batch: Any, parts: tuple[Any, ...]) -> Any:
        """The result of a function, which computes with ``parts``: models and losses, which a program does not ask for."""
        if len(parts) != len(self._parts) or not all(map(operator.is_, parts, self._parts)):
            self._parts, self._functions = parts, {}
        name = function.__name__
        if name not in self._functions:
            is_eager = any(map(_is_eager, self._functions.values()))
            self._functions[name] = function if is_eager else compile(function, fallback=True, exact=self.exact)
        return self._functions[name](batch)


def _is_eager(function: Any) -> bool:
    """Whether a function could not be recorded."""
    return not isinstance(function, RecordedFunction) or function._eager is not None


def checked_compile(value: Any) -> Compile:
    """Return the option ``compile`` of a `Trainer`. Raises `ArgumentError` for any other value."""
    if value is True or value is False or value == "exact":
        checked: Compile = value
        return checked
    raise ArgumentError(f'Trainer: compile is {value!r}; give True, False, or "exact" for the bits of the eager steps')
