"""How a program prepares a function before it is timed: not at all, or by a compiler or recorder."""

from __future__ import annotations

from collections.abc import Callable

Prepare = Callable[[Callable], Callable]


def eagerly(function: Callable) -> Callable:
    return function
