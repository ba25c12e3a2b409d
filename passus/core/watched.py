"""The value of ``x.data`` in a rule that is recorded for a second derivative.

A mask (``x.data > 0``), an index (``x.data.argmax()``) or a shape is constant for small changes of x, so a rule may use it. A rule
that computes with the numbers themselves would leave a term out of the second derivative. `Watched` allows the former and
raises `SecondOrderError` for the latter.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from passus.backend import Array
from passus.backend.lookup import tracing
from passus.errors import SecondOrderError

__all__ = ["Watched"]

CONSTANT_ALMOST_EVERYWHERE: frozenset[Any] = frozenset(
    {
        *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal),
        *(np.isnan, np.isfinite, np.isinf, np.signbit, np.logical_and, np.logical_or, np.logical_xor, np.logical_not),
        *(np.sign, np.floor, np.ceil, np.trunc, np.rint, np.heaviside),
        *(np.any, np.all, np.nonzero, np.flatnonzero, np.argwhere, np.count_nonzero, np.isclose),
        *(np.searchsorted, np.round),
        *(np.argmax, np.argmin, np.argsort, np.argpartition),
        *(np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.full_like, np.empty_like, np.result_type),
    }
)
"""NumPy's functions whose derivative is zero wherever it exists."""

ARRANGING = ("copy", "reshape", "ravel", "flatten", "transpose", "swapaxes", "squeeze", "repeat", "take")
"""Methods whose result contains the same numbers and is watched, too."""

COUNTING = ("argmax", "argmin", "argsort", "argpartition", "nonzero", "any", "all")
"""Methods that return indices or truth values."""


class Watched:
    """The array of a Variable; only functions of it that are constant almost everywhere are allowed."""

    __slots__ = ("_array", "_rule")

    def __init__(self, array: Array, rule: str) -> None:
        self._array, self._rule = array, rule

    def read_error(self) -> SecondOrderError:
        """The error for a rule that computes with the numbers."""
        return SecondOrderError(
            f"{self._rule}.backward reads the numbers of a Variable (.data, float(x), np.asarray(x)), so the second "
            "derivative would miss what depends on them. Compute with the Variables themselves (self.input, gy)"
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        shape: tuple[int, ...] = self._array.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self._array.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        dtype: np.dtype[Any] = self._array.dtype
        return dtype

    @property
    def T(self) -> Watched:
        """The transposed array."""
        return Watched(self._array.T, self._rule)

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: Any) -> Watched:
        return Watched(self._array[_plain(index)], self._rule)

    def astype(self, dtype: Any, **options: Any) -> Any:
        """Truth values and integers are constant almost everywhere; other numbers are watched."""
        array = self._array.astype(dtype, **options)
        return Watched(array, self._rule) if array.dtype.kind == "f" else array

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if ufunc not in CONSTANT_ALMOST_EVERYWHERE or method != "__call__":
            raise self.read_error()
        return ufunc(*map(_plain, inputs), **options)

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if func not in CONSTANT_ALMOST_EVERYWHERE:
            raise self.read_error()
        return func(*map(_plain, args), **{name: _plain(value) for name, value in options.items()})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.read_error()


def _plain(x: Any) -> Any:
    return x._array if isinstance(x, Watched) else getattr(x, "_data", x)


def _compared(compare: Callable[[Any, Any], Any]) -> Callable[[Watched, Any], Array]:
    return lambda self, other: tracing.asarray(compare(self._array, _plain(other)))


def _arranged(name: str) -> Callable[..., Watched]:
    return lambda self, *args, **options: Watched(getattr(self._array, name)(*args, **options), self._rule)


def _counted(name: str) -> Callable[..., Any]:
    return lambda self, *args, **options: getattr(self._array, name)(*args, **options)


def _refused(self: Watched, *args: Any, **options: Any) -> Any:
    raise self.read_error()


ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
NUMBERS = ("array", "float", "int", "index", "bool", "iter", "neg", "abs", "round", "format")

for _name in ("lt", "le", "eq", "ne", "gt", "ge"):
    setattr(Watched, f"__{_name}__", _compared(getattr(operator, _name)))
for _name in ARRANGING:
    setattr(Watched, _name, _arranged(_name))
for _name in COUNTING:
    setattr(Watched, _name, _counted(_name))
for _name in (*ARITHMETIC, *[f"r{name}" for name in ARITHMETIC], *[f"i{name}" for name in ARITHMETIC], *NUMBERS):
    setattr(Watched, f"__{_name}__", _refused)
