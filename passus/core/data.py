"""The data of Variables: arrays of real numbers. Other types raise errors with a replacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from passus.backend import Array, is_array
from passus.backend.trace import Traced
from passus.core.array_like import ArrayLike
from passus.core.watched import Watched
from passus.errors import DTypeError, kind_of

__all__ = [
    "HALF",
    "INTEGERS",
    "KINDS",
    "SCALARS",
    "array_from_scalar",
    "array_of_number",
    "checked",
    "is_scalar",
    "output_array",
]

SCALARS: dict[type, str] = {np.dtype(code).type: np.dtype(code).kind for code in "?bhilqBHILQefdg"}
"""The types that NumPy returns for results without axes, with the kind of their numbers."""

KINDS: dict[type, str] = {np.ndarray: "", **SCALARS}
"""The types that NumPy computes with and returns, with the kind of their numbers where the type determines it."""


HALF = "e"
"""The code of float16."""

INTEGERS = "?bhilqBHILQ"
"""The codes of booleans and integers."""


def checked(data: Any, where: str) -> Array:
    """``data`` itself if it is an array of real numbers. Raises `DTypeError` otherwise; ``where`` begins the message."""
    if type(data) is np.ndarray and data.dtype.kind in "fiub":
        return data
    if isinstance(data, Watched):
        raise data.read_error()
    if not is_array(data):
        raise DTypeError(f"{where}: {'None' if data is None else type(data).__name__} is not supported{_advice(data)}")
    if data.dtype.kind not in "fiub":
        raise DTypeError(
            f"{where}: an array of {data.dtype} is not supported; passus computes with real numbers "
            f"(floating point, integers, booleans). {_conversion(data)}"
        )
    if hasattr(data, "mask"):
        raise DTypeError(f"{where}: a masked array is not supported, its mask would be lost; use array.filled(value)")
    # Memory maps become plain arrays, and so does np.matrix, whose * is a matrix product.
    return np.asarray(data) if isinstance(data, np.ndarray) else data


def is_scalar(x: Any) -> bool:
    """Whether ``x`` is a NumPy scalar, also while a step is recorded.

    >>> is_scalar(np.float32(1.0)), is_scalar(np.array(1.0)), is_scalar(1.0)
    (True, False, False)
    """
    return isinstance(x.array if type(x) is Traced else x, np.generic)


def array_from_scalar(x: Any) -> Any:
    """An array without axes for a NumPy scalar; other values are returned unchanged."""
    if not is_scalar(x):
        return x
    return x.recorder.record(np.asarray, (x,), {}) if type(x) is Traced else np.asarray(x)


def array_of_number(x: Any, inputs: Sequence[Any]) -> Array:
    """A number among the inputs of a function as an array, with the dtype that NumPy would choose: float32 stays float32."""
    scalar = x.array if type(x) is Traced else x
    number = scalar.item() if isinstance(scalar, np.generic) and len(inputs) > 1 else scalar
    dtypes = [a.dtype for a in inputs if hasattr(a, "dtype") and not is_scalar(a)]
    dtype = np.result_type(*dtypes, number) if dtypes else None
    if type(x) is Traced:
        return x.recorder.record(np.asarray, (x,), {"dtype": dtype})
    return np.asarray(number, dtype=dtype)


def output_array(y: Any, xs: Sequence[Any], name: str) -> Array:
    """The result ``y`` of the ``forward`` of the class ``name``: an array, or a number if all inputs ``xs`` are numbers.

    Raises `DTypeError` for anything else.
    """
    if type(y) in KINDS or (not isinstance(y, ArrayLike) and is_array(y)):
        return y
    if xs and all(isinstance(x, (int, float)) for x in xs):
        return np.asarray(y)
    raise DTypeError(f"{name}.forward returned {kind_of(y)}; it must return an array")


def _conversion(data: Any) -> str:
    """How to make an array of real numbers from one of another kind."""
    if data.dtype.kind in "USO":
        return "Names of classes become integers by np.unique(names, return_inverse=True)[1]"
    return "Convert it first, for example with array.astype(np.float32)"


def _advice(data: Any) -> str:
    if isinstance(data, ArrayLike):
        return "; it is a Variable already, pass it on as it is, or box its array: Variable(x.data)"
    if isinstance(data, memoryview):
        return (
            "; it is the .data of an array. Functions of arrays return arrays, and only a Variable has its array in .data: "
            "leave .data out"
        )
    if isinstance(data, (list, tuple)) and any(isinstance(x, ArrayLike) for x in data):
        return "; it holds Variables: take one of them, as in xs[0], or join them with F.stack(xs)"
    if isinstance(data, np.generic):
        return (
            f"; write np.array({data}), or as_array(...) around what was computed: from arrays without axes NumPy computes "
            "numbers, so it is Variable(as_array(x.data - eps))"
        )
    if isinstance(data, (int, float, list, tuple)):
        shown = repr(data) if len(repr(data)) <= 40 else "..."
        return f"; write np.array({shown}{'.0' if isinstance(data, int) and not isinstance(data, bool) else ''})"
    if hasattr(data, "to_numpy"):  # A table of pandas, polars or Arrow.
        return "; pass its array, x.to_numpy()"
    return "; pass a NumPy array"
