"""Arrays of JAX that can be written to, for code that computes in place, such as the rules of optimizers.

Arrays of JAX are immutable. A `Writable` holds one, and each write replaces it. What is computed from a `Writable` without
writing is an array of JAX.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from passus.backend.base import Array
from passus.backend.lookup import backend_of

__all__ = ["Writable", "unwrapped", "writable"]

BINARY = "add sub mul truediv floordiv mod pow matmul and or xor"
COMPARISONS = "lt le gt ge eq ne"
UNARY = "neg pos abs invert"


class Writable:
    """An array that is replaced where one of NumPy would be changed in place.

    ``xp``: the functions for its arrays. ``store``: called with the array after each write. Slices are copies: a write to one
    does not reach the whole.
    """

    __array_priority__ = 1000
    __hash__ = object.__hash__

    def __init__(self, array: Array, xp: Any, store: Callable[[Array], object] | None = None) -> None:
        self.array, self.xp, self._store = array, xp, store

    def scratch(self) -> Writable:
        """Another one of the same shape and dtype, for intermediate results."""
        return Writable(self.xp.zeros(self.array.shape, self.array.dtype), self.xp)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.array, name)

    def __len__(self) -> int:
        return len(self.array)

    def __bool__(self) -> bool:
        return bool(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __getitem__(self, index: Any) -> Array:
        return self.array[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        value = unwrapped(value)
        if index is ... or (isinstance(index, slice) and index == slice(None)):
            self.write(value)
        else:
            self.write(self.array.at[index].set(value))

    def write(self, value: Any) -> None:
        """Replace all numbers; the shape and dtype stay."""
        array = self.array
        self.array = self.xp.broadcast_to(self.xp.asarray(value), array.shape).astype(array.dtype)
        if self._store is not None:
            self._store(self.array)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        function = getattr(self.xp, ufunc.__name__)
        return self._written(out, (function if method == "__call__" else getattr(function, method)), inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        out = options.pop("out", None)
        return self._written(None if out is None else (out,), getattr(self.xp, function.__name__), args, options)

    def _written(self, out: Any, function: Any, args: Any, options: dict[str, Any]) -> Any:
        options.pop("casting", None)
        result = function(*unwrapped(args), **unwrapped(options))
        if out is None:
            return result
        out[0].write(result)
        return out[0]


def writable(array: Array, store: Callable[[Array], object] | None = None) -> Any:
    """An array of NumPy itself, and a `Writable` for one of JAX.

    >>> import numpy as np
    >>> writable(np.ones(1))
    array([1.])
    """
    backend = backend_of(array)
    return Writable(array, backend.xp, store) if backend.name == "jax" else array


def unwrapped(value: Any) -> Any:
    """A value with arrays in place of `Writable` ones, also in lists, tuples and dicts.

    >>> import numpy as np
    >>> unwrapped([Writable(np.ones(1), np), 2])
    [array([1.]), 2]
    """
    if isinstance(value, Writable):
        return value.array
    if isinstance(value, (list, tuple)):
        return type(value)([unwrapped(v) for v in value])
    if isinstance(value, dict):
        return {key: unwrapped(v) for key, v in value.items()}
    return value


def _define(name: str) -> None:
    function = getattr(operator, f"{name}_" if name in ("and", "or") else name)

    def forward(self: Writable, *others: Any) -> Any:
        return function(self.array, *unwrapped(others))

    def reflected(self: Writable, other: Any) -> Any:
        return function(unwrapped(other), self.array)

    def in_place(self: Writable, other: Any) -> Writable:
        self.write(function(self.array, unwrapped(other)))
        return self

    setattr(Writable, f"__{name}__", forward)
    if name in BINARY.split():
        setattr(Writable, f"__r{name}__", reflected)
        setattr(Writable, f"__i{name}__", in_place)


for _name in f"{BINARY} {COMPARISONS} {UNARY}".split():
    _define(_name)
