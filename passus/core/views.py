"""How a rule that is running sees the data of Variables."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np

__all__ = ["data_view", "read_only"]

data_view: ContextVar[Callable[[Any], Any] | None] = ContextVar("passus view of data", default=None)
"""A function of a Variable x that returns what ``x.data`` is, while a rule runs that must not edit the array, or not
compute with it. None: the array itself."""


def read_only(x: Any) -> Any:
    """A view of a NumPy array that cannot be written to; all else as it is."""
    if type(x) is not np.ndarray:
        return x
    view = x.view()
    view.flags.writeable = False
    return view
