"""The formulas of `kernels/formulas.py` as kernels read them: on vectors, and chosen by name.

A kernel closes over the name alone, which is the same in each process, so it is found again on the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import overload

from passus.kernels import elementwise, formulas
from passus.kernels.formulas import FORMULAS
from passus.kernels.native import elementary, simd
from passus.kernels.native.vectors import Mask, Vector

__all__ = ["OPTIONS", "gradient", "readable", "value"]

OPTIONS = {"error_model": "numpy", "forceinline": True, "no_cfunc_wrapper": True}


def readable(function: Callable[..., Any], formula: Callable[..., Any] | None = None) -> None:
    """Let kernels call a plain function of Python, in which they read its own formula or another one."""
    overload(function, jit_options=OPTIONS, strict=False)(lambda *args: formula or function)


def _clipped(x: Any, low: float, high: float) -> Any:
    return simd.clip(x, low, high)


for formula in vars(formulas).values():
    if getattr(formula, "__module__", None) == formulas.__name__ and hasattr(formula, "__code__"):
        readable(formula, _clipped if formula is formulas.clipped else formula)


@overload(elementwise.masked, jit_options=OPTIONS, strict=False)  # type: ignore[untyped-decorator]
def _masked(x: Any, mask: Any) -> Any:
    return (lambda x, mask: simd.where(mask, x, 0.0)) if isinstance(x, Vector) else None


@overload(elementwise.where, jit_options=OPTIONS, strict=False)  # type: ignore[untyped-decorator]
def _where(mask: Any, x: Any, y: Any) -> Any:
    return (lambda mask, x, y: simd.where(mask, x, y)) if isinstance(mask, Mask) else None


@overload(elementwise.exp_below_zero, jit_options=OPTIONS, strict=False)  # type: ignore[untyped-decorator]
def _exp_below_zero(x: Any) -> Any:
    return (lambda x: elementary.exp_below_zero(x)) if isinstance(x, Vector) else None


def value(name: str, x: Any, option: Any) -> Any:
    """The value of a formula, whose name must be a constant, at a vector; an option that it does not have is not read."""
    raise NotImplementedError


def gradient(name: str, g: Any, x: Any, y: Any, option: Any) -> Any:
    """The gradient by a formula, from the output gradient g, the input and the value; x may be None if it is not read."""
    raise NotImplementedError


@overload(value, jit_options=OPTIONS, strict=False, prefer_literal=True)  # type: ignore[untyped-decorator]
def _value(name: Any, x: Any, option: Any) -> Any:
    if not isinstance(name, types.StringLiteral):
        return None
    formula = FORMULAS[name.literal_value]
    function = formula.value
    if formula.options:
        return lambda name, x, option: function(elementary, x, option)
    return lambda name, x, option: function(elementary, x)


@overload(gradient, jit_options=OPTIONS, strict=False, prefer_literal=True)  # type: ignore[untyped-decorator]
def _gradient(name: Any, g: Any, x: Any, y: Any, option: Any) -> Any:
    if not isinstance(name, types.StringLiteral):
        return None
    formula = FORMULAS[name.literal_value]
    function = formula.gradient
    if formula.options:
        return lambda name, g, x, y, option: function(elementary, g, x, y, option)
    return lambda name, g, x, y, option: function(elementary, g, x, y)
