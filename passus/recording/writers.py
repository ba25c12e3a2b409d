"""Functions that write into their arguments, whether or not the elements change in one call."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from passus.backend.trace import IN_PLACE, Method
from passus.recording.generators import Draw

__all__ = ["is_repeatable", "written_by"]

FIRST = frozenset({operator.setitem, *IN_PLACE})
"""Operators that write into their first argument."""

OF_NUMPY = frozenset({np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask})

METHODS = frozenset({"fill", "partition", "put", "resize", "setfield", "sort"})
"""Methods that write into their array."""


def written_by(function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> list[Any]:
    """The arrays into which a call writes, as far as that is known of the function."""
    out = options.get("out")
    targets = list(out) if isinstance(out, tuple) else [out]
    if args and _writes_into_first(function):
        targets.append(args[0])
    targets += [args[i] for i in getattr(function, "writes", ())]
    return [x for x in targets if x is not None]


def is_repeatable(function: Callable[..., Any]) -> bool:
    """Whether a call that writes into its arguments may be repeated, so that conditions may follow it; see `trace.writing`."""
    return hasattr(function, "writes")


def _writes_into_first(function: Any) -> bool:
    if isinstance(function, Method):
        return function.name in METHODS
    if isinstance(function, Draw):
        return function.method == "shuffle"
    if isinstance(getattr(function, "__self__", None), np.ufunc):
        return bool(function.__name__ == "at")
    try:
        return function in FIRST or function in OF_NUMPY
    except TypeError:  # It has no hash.
        return False
