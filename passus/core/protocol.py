"""NumPy's own functions on a Variable: ``np.exp(x)``, ``np.sum(x, axis=0)``, ``array @ x``.

NumPy asks the Variable what to do (NEP 13 and NEP 18). Two tables answer: functions that have a differentiable
counterpart, and functions whose answer has no gradient (comparisons, shapes, tests), which are given the arrays. All
others raise: a gradient is never lost silently.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from passus.config import enable_backprop
from passus.core import callers
from passus.core.variable import Variable
from passus.errors import DTypeError
from passus.foreign import UFUNCS

__all__ = ["differentiable", "without_gradient"]

differentiable: dict[Any, Callable[..., Any]] = {}
"""NumPy's function: ours."""

without_gradient: set[Any] = set()
"""NumPy's functions that are given the arrays, and whose results are arrays."""


def array_ufunc(self: Variable, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
    """Answer for a ufunc, such as ``np.add(array, x)``; with ``out=`` it is an edit of an array, as in ``x.data -= gx``."""
    if method == "__call__":
        if out is not None and not any(isinstance(target, Variable) for target in out):
            _refuse_lost_gradient(ufunc, inputs)
            ufunc(*_unboxed(inputs), out=out, **options)
            return out[0] if len(out) == 1 else out
        if out is None and not options and ufunc in differentiable:
            return differentiable[ufunc](*inputs)
        if ufunc in without_gradient and out is None:
            return _as_arrays(ufunc(*_unboxed(inputs), **options))
    if not hasattr(np, ufunc.__name__):
        instead = UFUNCS.get(ufunc.__name__, "write it with functions of passus.functions")
        raise DTypeError(
            f"{ufunc.__name__} of another library has no differentiable rule for a Variable; {instead}, or give it the "
            "array, x.data, if no gradient is needed"
        )
    name = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    given = sorted(options) + (["out"] if out is not None else [])
    raise _no_rule(name, given if ufunc in differentiable and method == "__call__" else [])


def array_function(self: Variable, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer for any other function of NumPy, such as ``np.concatenate([x, array])``."""
    if func in without_gradient:
        return _as_arrays(func(*_unboxed(args), **{name: _unboxed(value) for name, value in kwargs.items()}))
    if func in differentiable:
        try:
            return differentiable[func](*args, **kwargs)
        except TypeError as error:
            if "unexpected keyword" not in str(error) and "positional argument" not in str(error):
                raise
            raise _no_rule(_named(func), sorted(kwargs)) from error
    raise _no_rule(_named(func), [])


def _refuse_lost_gradient(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> None:
    """While recording, a result that is written into an array would lose the gradient that flows through it."""
    lost = enable_backprop.get() and any(isinstance(x, Variable) and x.requires_grad for x in inputs)
    if lost and not callers.updates_data(sys._getframe(2)):
        raise DTypeError(
            f"np.{ufunc.__name__} into an array (s += x, or out=s): the gradient of x would be lost. Compute a new result "
            "(s = s + x); where no gradient is needed, as in the update of a parameter, take x.data, or use no_grad()"
        )


def _no_rule(name: str, options: list[str]) -> DTypeError:
    given = f" with {', '.join(options)}" if options else ""
    return DTypeError(
        f"{name}{given} has no differentiable rule for a Variable. Use the functions of passus.functions, or give it "
        "the array, x.data, if no gradient is needed"
    )


def _named(func: Any) -> str:
    """A function of NumPy as users write it: np.linalg.svd."""
    return f"{func.__module__}.{func.__name__}".replace("numpy", "np", 1)


def _unboxed(value: Any) -> Any:
    if isinstance(value, Variable):
        return value._data
    if isinstance(value, (list, tuple)):
        return type(value)([_unboxed(v) for v in value])
    return value


def _as_arrays(result: Any) -> Any:
    return np.asarray(result) if isinstance(result, np.generic) else result


Variable.__array_ufunc__ = array_ufunc  # type: ignore[method-assign]
Variable.__array_function__ = array_function  # type: ignore[method-assign]
