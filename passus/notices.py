"""Warnings that are given once, and point at the line outside of passus that led to them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Hashable
from typing import Any

from passus.errors import PassusWarning

__all__ = ["notice", "notice_once"]


def notice(message: str) -> None:
    """Warn, with the place of the caller outside of passus.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     notice("slow")
    >>> caught[0].category.__name__
    'PassusWarning'
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("passus."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, PassusWarning, stacklevel=level)


_given: tuple[Any, set[Hashable]] = (None, set())
"""The filters that were in force, and what was said under them."""


def notice_once(key: Hashable, message: str) -> None:
    """Warn, unless it was done for this key before; other filters, as in a block that catches warnings, begin anew.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     for _ in range(3):
    ...         notice_once("example", "slow")
    >>> len(caught)
    1
    """
    global _given
    if _given[0] is not warnings.filters:
        _given = (warnings.filters, set())
    if key not in _given[1]:
        _given[1].add(key)
        notice(message)
