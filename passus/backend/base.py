"""The interface of array libraries, beyond the functions that all of them share with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeAlias

__all__ = ["Array", "Backend"]

Array: TypeAlias = Any
"""An array of any known library; they share NumPy's names but no common type."""


class Backend(Protocol):
    """An array library: its namespace, and operations that differ between libraries."""

    name: ClassVar[str]
    xp: Any
    """The module with NumPy's functions for these arrays."""

    @property
    def intp(self) -> Any:
        """The dtype of indices."""

    def is_array(self, x: object) -> bool:
        """Whether ``x`` is an array of this library."""

    def asarray(self, x: Any) -> Array:
        """Convert an array of any library, or an array-like, to an array of this one."""

    def to_numpy(self, x: Array) -> Array:
        """Copy an array of this library to main memory; a NumPy array is returned unchanged."""

    def has_values(self, x: Array) -> bool:
        """Whether the numbers of an array can be read; False while JAX traces a function, when arrays have shapes only."""

    def wide(self, dtype: Any) -> Any:
        """The dtype in which many numbers of a dtype are added up."""

    def chosen(self, condition: Any, if_true: Callable[[], Any], if_false: Callable[[], Any]) -> Any:
        """The result of one of two functions, by a condition without axes."""

    def random_bits(self, rng: Any, shape: tuple[int, ...], like: Array | None = None) -> Array:
        """Random integers of 32 bits, np.uint32, which a generator determines; ``like``: in the memory order of this array."""

    def scatter_add(self, shape: tuple[int, ...], index: Any, values: Array) -> Array:
        """Zeros of ``shape`` with ``values`` added at ``index``; values of a repeated index are summed."""

    def maximum_at(self, x: Array, index: Array, values: Array) -> Array:
        """``x`` with the maxima of its elements and of ``values`` at ``index``, which may repeat; may modify ``x``."""

    def add_at(self, x: Array, index: Any, values: Any) -> Array:
        """``x`` with ``values`` added at ``index``, which must not repeat elements; may modify ``x``."""
