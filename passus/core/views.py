"""The access of a running rule to the data of Variables."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np

from passus.backend.trace import Traced

__all__ = ["data_view", "read_only"]

data_view: ContextVar[Callable[[Any], Any] | None] = ContextVar("passus view of data", default=None)
"""A function from a Variable x to the value of ``x.data``, while a rule runs that must not edit the array or compute with it.
None: the array itself."""


def read_only(x: Any) -> Any:
    """A read-only view of a NumPy array; other values are returned unchanged."""
    if type(x) is Traced:
        return x.recorder.alias(x, read_only(x.array))
    if type(x) is not np.ndarray:
        return x
    view = x.view()
    view.flags.writeable = False
    return view
