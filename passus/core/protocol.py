"""NumPy's own functions on a Variable: ``np.exp(x)``, ``np.sum(x, axis=0)``, ``array @ x``.

NumPy calls a method of the Variable instead of its own code (NEP 13 and NEP 18). There are two tables: functions that have a
differentiable counterpart, and functions whose result has no gradient (comparisons, shapes, tests), which receive the
arrays. All other functions raise, so that a gradient is never lost silently.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from passus.backend import backend_of
from passus.backend.trace import leaves
from passus.config import enable_backprop
from passus.core import callers
from passus.core.data import array_from_scalar
from passus.core.messages import class_of_error
from passus.core.variable import Variable, data_of
from passus.errors import DTypeError, PassusError
from passus.foreign import UFUNCS

__all__ = ["alternatives", "differentiable", "no_rule", "ufunc_methods", "without_gradient"]

differentiable: dict[Any, Callable[..., Any]] = {}
"""NumPy's functions, with the functions of passus that replace them."""

ufunc_methods: dict[tuple[Any, str], Callable[..., Any]] = {}
"""Methods of ufuncs, such as ``np.add.reduce``, with the functions of passus that replace them."""

without_gradient: set[Any] = set()
"""NumPy's functions that receive the arrays, and return arrays."""

alternatives: dict[str, str] = {}
"""Replacements for functions without a rule, by name."""

IRRELEVANT = {"out": (None,), "where": (True,), "dtype": (None,), "like": (None,), "order": (None, "K", "C", "A")}
"""Options with the values that do not change the result; they are dropped."""

MEMORY = {"casting", "subok", "copy"}
"""Options for the memory of results, or for permitted casts; they do not change the values."""


def array_ufunc(self: Variable, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
    """Call a ufunc, such as ``np.add(array, x)``. With ``out=`` it edits an array, as in ``x.data -= gx``."""
    if method == "__call__":
        if out is not None and not any(isinstance(target, Variable) for target in out):
            _refuse_lost_gradient(ufunc, inputs)
            ufunc(*_unboxed(inputs), out=out, **options)
            return out[0] if len(out) == 1 else out
        if out is None and not options and ufunc in differentiable:
            return differentiable[ufunc](*inputs)
        if ufunc in without_gradient and out is None:
            return _of_arrays(ufunc, inputs, options)
    if out is None:
        options = _relevant(options)
        if ufunc in without_gradient:
            return _of_arrays(ufunc if method == "__call__" else getattr(ufunc, method), inputs, options)
        answer = _of_method(ufunc, method, inputs, options)
        if answer is not NotImplemented:
            return answer
    if not hasattr(np, ufunc.__name__):
        instead = UFUNCS.get(ufunc.__name__, "write it with functions of passus.functions")
        raise DTypeError(
            f"{ufunc.__name__} of another library is not differentiable; {instead}, or pass the "
            "array, x.data, if no gradient is needed"
        )
    name = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    given = sorted(options) + (["out"] if out is not None else [])
    raise no_rule(name, given if ufunc in differentiable and method == "__call__" else [])


def _of_method(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A call with options, or of a method such as ``np.add.reduce``; NotImplemented if there is no rule for it."""
    if (ufunc, method) in ufunc_methods:
        return _called(ufunc_methods[ufunc, method], f"np.{ufunc.__name__}.{method}", inputs, options)
    if ufunc not in differentiable or method not in ("__call__", "outer"):
        return NotImplemented
    dtype = options.pop("dtype", None)
    if dtype is not None:
        inputs = tuple([_cast(x, dtype) for x in inputs])
    if method == "outer" and len(inputs) == 2 and not options:
        x0, x1 = [x if isinstance(x, Variable) else np.asarray(x) for x in inputs]
        inputs = x0.reshape(x0.shape + (1,) * x1.ndim), x1
    if not options:
        return differentiable[ufunc](*inputs)
    if "where" in options:
        raise DTypeError(
            f"np.{ufunc.__name__} with where and without out has no differentiable rule for a Variable: its result would be "
            "undefined where the mask does not hold. Use F.where of passus.functions, F.where(mask, y, x), or x.data if no "
            "gradient is needed"
        )
    if ufunc.signature is not None:  # vecdot has an axis.
        return _called(differentiable[ufunc], f"np.{ufunc.__name__}", inputs, options)
    return NotImplemented


def array_function(self: Variable, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call any other function of NumPy, such as ``np.concatenate([x, array])``."""
    if func in without_gradient:
        return _of_arrays(func, args, kwargs)
    if func in differentiable:
        return _called(differentiable[func], _named(func), args, _relevant(kwargs))
    raise no_rule(_named(func), [])


def _of_arrays(function: Any, args: Any, options: dict[str, Any]) -> Any:
    """The result of a function of NumPy, or of the function of the same name in the library of the arrays."""
    args, options = _unboxed(args), _unboxed(options)
    backend = backend_of(*leaves((*args, *options.values())))
    return array_from_scalar(
        (getattr(backend.xp, function.__name__) if backend.name == "jax" else function)(*args, **options)
    )


def _refuse_lost_gradient(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> None:
    """Raise `DTypeError` if a graph is recorded: a result that is written into an array has no gradient."""
    lost = enable_backprop.get() and any(isinstance(x, Variable) and x.requires_grad for x in inputs)
    if lost and not callers.updates_data(sys._getframe(2)):
        raise DTypeError(
            f"np.{ufunc.__name__} into an array (s += x, or out=s) would lose the gradient of x. Compute a new result "
            "(s = s + x); where no gradient is needed, as in a parameter update, use x.data or no_grad()"
        )


def _relevant(options: dict[str, Any]) -> dict[str, Any]:
    """The options that may change a value."""
    if not options:
        return options
    return {
        name: value
        for name, value in options.items()
        if name not in MEMORY
        and not (name in IRRELEVANT and (value is None or isinstance(value, (bool, str))) and value in IRRELEVANT[name])
    }


def _called(function: Callable[..., Any], name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call a function of passus. Its errors become those of `passus.errors`; an unknown argument counts as a function without a rule."""
    try:
        return function(*args, **options)
    except PassusError:
        raise
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        unknown = "unexpected keyword" in str(error) or "positional argument" in str(error)
        if unknown and isinstance(error, TypeError):
            raise no_rule(name, sorted(options)) from error
        raise class_of_error(error)(_described(error, name, args)) from error


def _described(error: Exception, name: str, args: tuple[Any, ...]) -> str:
    """The message of an error, with the arguments of the function."""
    given = ", ".join([f"{x.dtype}{list(x.shape)}" if hasattr(x, "shape") else _short(x) for x in args])
    return f"{name}({given}): {error}"


def _short(x: Any) -> str:
    shown = repr(x)
    return shown if len(shown) <= 40 else f"{type(x).__name__} ..."


def _cast(x: Any, dtype: Any) -> Any:
    """An operand with another dtype. NumPy casts numbers itself."""
    return x.astype(dtype) if isinstance(x, (Variable, np.ndarray)) and x.dtype != dtype else x


def no_rule(name: str, options: list[str]) -> DTypeError:
    """The error for a function of NumPy without a rule, or for options that it does not have."""
    given = f" with {', '.join(options)}" if options else ""
    instead = alternatives.get(name.rpartition(".")[2])
    advice = f"Use {instead}, with F for passus.functions," if instead else "Use the functions of passus.functions,"
    return DTypeError(
        f"{name}{given} has no differentiable rule for a Variable. {advice} or give it "
        "the array, x.data, if no gradient is needed"
    )


def _named(func: Any) -> str:
    """A function of NumPy as users write it: np.linalg.svd."""
    return f"{func.__module__}.{func.__name__}".replace("numpy", "np", 1)


def _unboxed(value: Any) -> Any:
    if isinstance(value, Variable):
        return data_of(value)
    if isinstance(value, (list, tuple)):
        return type(value)([_unboxed(v) for v in value])
    if isinstance(value, dict):
        return {name: _unboxed(v) for name, v in value.items()}
    return value


Variable.__array_ufunc__ = array_ufunc  # type: ignore[assignment, method-assign]
Variable.__array_function__ = array_function  # type: ignore[assignment, method-assign]
