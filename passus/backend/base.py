"""What passus asks of an array library, beyond the functions that all of them share with NumPy."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, TypeAlias

__all__ = ["Array", "Backend"]

Array: TypeAlias = Any
"""An array of any known library; they share NumPy's names but no common type."""


class Backend(Protocol):
    """One array library: where its functions are, and what it does in its own way."""

    name: ClassVar[str]
    xp: Any
    """The module that has NumPy's functions for these arrays."""

    def is_array(self, x: object) -> bool:
        """Whether ``x`` is an array of this library."""

    def asarray(self, x: Any) -> Array:
        """Turn an array of any library, or what NumPy can read, into an array of this one."""

    def to_numpy(self, x: Array) -> Array:
        """Copy an array of this library into main memory; a NumPy array is returned as it is."""

    def scatter_add(self, shape: tuple[int, ...], index: Any, values: Array) -> Array:
        """Zeros of ``shape`` to which ``values`` are added at ``index``; a repeated index sums."""

    def add_at(self, x: Array, index: Any, values: Any) -> Array:
        """``x`` with ``values`` added at ``index``, which names no element twice; ``x`` itself may be changed."""
