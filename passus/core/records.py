"""The record of a call, for instances of functions that are called again, copied or pickled.

A user may keep an instance and call it many times. Each graph needs the record of its own call.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from passus.core.references import NOT_CALLED

if TYPE_CHECKING:
    from passus.core.function import Function

__all__ = ["move_record", "without_record"]

RECORD = frozenset(
    {"operands", "outputs", "serial", "output_types", "checksums", "recording", "xp", "_inputs", "_generation"}
)
"""The attributes of a function that belong to a call."""


def move_record(function: Function) -> None:
    """Before another call: move the record to a copy of the instance, which replaces the instance in the older graph."""
    older = copy.copy(function)
    older.__dict__.update(function.__dict__)
    for output in function.outputs:
        y = output()
        if y is not None:
            y.creator = older
    function.inputs, function.outputs, function.serial, function.checksums = NOT_CALLED, NOT_CALLED, 0, None


def without_record(state: Any) -> Any:
    """The result of ``object.__getstate__`` for a function, without its record."""
    attributes, *slots = state if isinstance(state, tuple) else (state,)  # A pair, if a user's class has slots.
    attributes = {name: value for name, value in (attributes or {}).items() if name not in RECORD}
    return (attributes, *slots) if slots else attributes
