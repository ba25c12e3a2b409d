"""Upcasting: float16 is too narrow for sums of many numbers, and integers for results that are fractions.

A function is called with arrays of a wider dtype, and its result is rounded once. Both conversions are recorded, so gradients
are also computed in the wider dtype and rounded once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from passus.core.basic import astype
from passus.core.data import HALF, INTEGERS
from passus.core.function import Function
from passus.core.variable import Result

__all__ = ["upcast", "upcast_inputs"]

P = ParamSpec("P")
R = TypeVar("R")

FLOAT16, FLOAT32 = np.dtype(np.float16), np.dtype(np.float32)


def upcast(function: Callable[..., Any], *inputs: Any, narrow: str = HALF + INTEGERS) -> Any:
    """``function(*inputs)``, computed with float16 as float32, and with integers in the dtype of the other inputs, or float64.

    The results are float16 again if all floating-point inputs were. ``narrow``: the codes of the dtypes to convert.

    >>> upcast(lambda x: x.sum() / len(x), np.full(4096, 20, np.float16))
    array(20., dtype=float16)
    """
    dtypes = [None if isinstance(x, np.generic) else getattr(x, "dtype", None) for x in inputs]
    if not any(dtype is not None and dtype.char in narrow for dtype in dtypes):
        return function(*inputs)
    floats = [dtype for dtype in dtypes if dtype is not None and dtype.kind == "f"]
    widest = (
        np.result_type(*[FLOAT32 if dtype == FLOAT16 else dtype for dtype in floats]) if floats else np.dtype(float)
    )
    y = function(*[_converted(x, dtype, widest, narrow) for x, dtype in zip(inputs, dtypes)])
    if not floats or any(dtype != FLOAT16 for dtype in floats):
        return y
    return tuple([_rounded(value) for value in y]) if isinstance(y, tuple) else _rounded(y)


def upcast_inputs(operands: int, narrow: str = HALF + INTEGERS) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator for functions that are composed of others: their first ``operands`` arguments are upcast as by `upcast`.

    >>> @upcast_inputs(1)
    ... def squares(x):
    ...     return (x * x).sum()
    >>> squares(np.full(2, 20, np.uint8))
    np.float64(800.0)
    """

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        names = list(inspect.signature(function).parameters)[:operands]

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            first = args[:operands]
            if len(first) < operands:
                first += tuple([kwargs[name] for name in names[len(first) :] if name in kwargs])
            for x in first:
                dtype = getattr(x, "dtype", None)
                if dtype is not None and dtype.char in narrow:
                    break
            else:
                return function(*args, **kwargs)
            bound = inspect.signature(function).bind(*args, **kwargs).arguments
            given = [name for name in names if name in bound]
            rest = {name: value for name, value in bound.items() if name not in given}
            return upcast(
                lambda *xs: function(**dict(zip(given, xs)), **rest),  # type: ignore[call-arg]
                *[bound[name] for name in given],
                narrow=narrow,
            )

        return call

    return decorated


def _converted(x: Any, dtype: Any, widest: Any, narrow: str) -> Any:
    if dtype is None or dtype.char not in narrow:
        return x
    return astype(x, FLOAT32 if dtype == FLOAT16 else widest)


def _rounded(y: Any) -> Any:
    return astype(y, FLOAT16) if y.dtype.kind == "f" else y


def _upcast_call(self: Function, inputs: tuple[Any, ...]) -> Result:
    # Numbers take the dtype of arrays, if there are any.
    if all(isinstance(x, (int, float, np.generic)) for x in inputs):
        inputs = tuple([np.asarray(x) for x in inputs])
    return upcast(partial(Function.__call__, self), *inputs, narrow=self.upcast_dtypes)


Function.upcast = _upcast_call  # type: ignore[method-assign]
