"""The interface of array libraries, beyond the functions that all of them share with NumPy."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, TypeAlias

__all__ = ["Array", "Backend"]

Array: TypeAlias = Any
"""An array of any known library; they share NumPy's names but no common type."""


class Backend(Protocol):
    """An array library: its namespace, and operations that differ between libraries."""

    name: ClassVar[str]
    xp: Any
    """The module with NumPy's functions for these arrays."""

    def is_array(self, x: object) -> bool:
        """Whether ``x`` is an array of this library."""

    def asarray(self, x: Any) -> Array:
        """Convert an array of any library, or an array-like, to an array of this one."""

    def to_numpy(self, x: Array) -> Array:
        """Copy an array of this library to main memory; a NumPy array is returned unchanged."""

    def scatter_add(self, shape: tuple[int, ...], index: Any, values: Array) -> Array:
        """Zeros of ``shape`` with ``values`` added at ``index``; values of a repeated index are summed."""

    def add_at(self, x: Array, index: Any, values: Any) -> Array:
        """``x`` with ``values`` added at ``index``, which must not repeat elements; may modify ``x``."""
