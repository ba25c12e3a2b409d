"""Detection of edits of single elements, in debug mode.

NumPy arrays have no version counter, so the engine detects ``x.data = ...`` but not ``x.data[0] = ...``. In debug mode
(``using_config("debug", True)``) a function call takes checksums of all arrays that its rule may read, and the backward
pass compares them.
"""

from __future__ import annotations

import traceback
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from passus.core.edits import Released
from passus.errors import GraphError

__all__ = ["Checksums", "checksums_of"]


class Checksums(NamedTuple):
    """Checksums of the arrays that a rule may read, taken in the forward pass."""

    by_name: dict[Any, int]
    """The checksum of each attribute by name, and of each output by index."""
    called_at: str
    """The stack of the call, as a traceback shows it."""

    def check(self, values: Mapping[Any, Any], name: str) -> None:
        """Raise `GraphError` if one of the arrays was edited since; ``name``: the name of the function."""
        now = _by_name(values)
        if any(now[key] != self.by_name[key] for key in self.by_name.keys() & now.keys()):
            raise GraphError(
                f"{name}.backward: an array that its forward pass used was edited in place since, so "
                f"the gradient would be wrong. The forward pass was called here:\n{self.called_at}"
            )


def checksums_of(values: Mapping[Any, Any]) -> Checksums:
    """Checksums of values by name."""
    return Checksums(_by_name(values), "".join(traceback.format_stack(limit=12)[:-2]))


def _by_name(values: Mapping[Any, Any]) -> dict[Any, int]:
    return {name: checksum for name, x in values.items() if (checksum := _checksum(x))}


def _checksum(x: Any) -> int:
    """The checksum of an array, of the data of a Variable, or of the arrays in a tuple or list; 0 for other values."""
    if isinstance(x, (tuple, list)):
        return sum(map(_checksum, x))
    data = getattr(x, "_data", x)
    if isinstance(data, Released):
        return 0
    return zlib.crc32(data.tobytes()) if hasattr(data, "tobytes") else 0
