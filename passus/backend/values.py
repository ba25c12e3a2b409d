"""Decisions by numbers, also where numbers cannot be read: while JAX traces a function, arrays have shapes only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from passus.backend.lookup import backend_of

__all__ = ["Check", "chosen", "collected_checks", "has_values", "invalid", "truth"]

Check = tuple[Any, type[Exception], str]
"""A condition, and the error to raise where it holds."""

_checks: ContextVar[list[Check] | None] = ContextVar("checks after the step", default=None)


def has_values(x: Any) -> bool:
    """Whether the numbers of an array can be read.

    >>> has_values(np.ones(2))
    True
    """
    return type(x) is np.ndarray or backend_of(x).has_values(x)


def truth(condition: Any, otherwise: bool) -> bool:
    """The truth value of a condition, or ``otherwise`` if it cannot be read; both must lead to the same result.

    >>> truth(np.array([1, 2]).any(), False)
    True
    """
    return bool(condition) if has_values(condition) else otherwise


def invalid(condition: Any, error: type[Exception], message: str) -> bool:
    """Whether a condition holds under which a call is invalid. The caller then raises an error with the numbers in it.

    If it cannot be read, the answer is False, and `collected_checks` returns the condition with this error.

    >>> invalid(np.array([1, 2]).max() > 3, ValueError, "too large")
    False
    """
    if has_values(condition):
        return bool(condition)
    checks = _checks.get()
    if checks is not None:
        checks.append((condition, error, message))
    return False


@contextmanager
def collected_checks() -> Iterator[list[Check]]:
    """Collect the conditions inside the block that cannot be read.

    >>> with collected_checks() as checks:
    ...     invalid(True, ValueError, "")
    True
    >>> checks
    []
    """
    checks: list[Check] = []
    token = _checks.set(checks)
    try:
        yield checks
    finally:
        _checks.reset(token)


def chosen(condition: Any, if_true: Callable[[], Any], if_false: Callable[[], Any]) -> Any:
    """The result of one of two functions. On a device it chooses by itself, and both must return the same shapes.

    >>> chosen(np.array(True), lambda: 1, lambda: 2)
    1
    """
    return backend_of(condition).chosen(condition, if_true, if_false)
