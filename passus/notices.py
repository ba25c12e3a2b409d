"""Warnings that are emitted once, and point at the calling line outside of passus."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Hashable
from typing import Any

from passus.errors import PassusWarning

__all__ = ["notice", "notice_once"]


def notice(message: str) -> None:
    """Warn, with the location of the caller outside of passus.

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


_emitted: tuple[Any, set[Hashable]] = (None, set())
"""The active warning filters, and the keys of warnings emitted under them."""


def notice_once(key: Hashable, message: str) -> None:
    """Warn once per key; changing the warning filters, as ``catch_warnings`` does, resets the keys.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     for _ in range(3):
    ...         notice_once("example", "slow")
    >>> len(caught)
    1
    """
    global _emitted
    if _emitted[0] is not warnings.filters:
        _emitted = (warnings.filters, set())
    if key not in _emitted[1]:
        _emitted[1].add(key)
        notice(message)
