"""Calling a rule so that what it computes is recorded, for derivatives of the second order and above.

A rule is trusted to be differentiable again only if all that it computes from is a Variable. Whatever it may have read
as a plain array is found out, and then the first derivative is right and a second one raises `SecondOrderError`:
a missing term is never silently left out.
"""

from __future__ import annotations

import dis
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from passus.backend import Array
from passus.config import no_grad
from passus.core import custom
from passus.core.function import Function
from passus.core.variable import Variable, constant, rule_in_use
from passus.errors import SecondOrderError

__all__ = ["pull_recorded"]


def pull_recorded(function: Function, gys: list[Any]) -> Sequence[Any]:
    """Call a rule with Variables; one that cannot be recorded is called with arrays, and will not be differentiated."""
    name = type(function).__name__
    gys = [gy if gy is None or isinstance(gy, Variable) else constant(gy) for gy in gys]
    kept = dict(function.__dict__)
    token = rule_in_use.set(name)
    try:
        function.recording = True
        function.__dict__.update(_boxed_attributes(function))
        gxs = _as_sequence(function, function.backward(*gys))
        if not all(gx is None or isinstance(gx, Variable) for gx in gxs):
            raise SecondOrderError(f"{name}.backward returned an array where it was given a Variable")
        return gxs
    except Exception as error:
        reason = error
    finally:
        rule_in_use.reset(token)
        function.__dict__.clear()
        function.__dict__.update(kept)
    with no_grad():
        arrays = [gy if gy is None else gy._data for gy in gys]
        gxs = (
            custom.backward(function, arrays) if function.custom else _as_sequence(function, function.backward(*arrays))
        )
    known = [i for i, gx in enumerate(gxs) if gx is not None]
    found = [gxs[i]._data if isinstance(gxs[i], Variable) else np.array(gxs[i]) for i in known]
    ends = FirstOrderOnly(name, reason, found)(*function.operands, *[gy for gy in gys if gy is not None])
    boxed = dict(zip(known, ends if isinstance(ends, tuple) else (ends,)))
    return tuple(boxed.get(i) for i in range(len(gxs)))


def _as_sequence(function: Function, gxs: Any) -> Sequence[Any]:
    if gxs is None and function.custom:
        raise custom.no_gradient(function)
    return gxs if isinstance(gxs, (tuple, list)) else (gxs,)


class FirstOrderOnly(Function):
    """Stands behind gradients whose rule could not be recorded; differentiating them says why."""

    constants = ("gxs",)

    def __init__(self, rule: str, reason: Exception, gxs: list[Array]) -> None:
        self.rule, self.reason, self.gxs = rule, reason, gxs

    def forward(self, *xs: Array) -> Any:
        return tuple(self.gxs)

    def backward(self, *gys: Any) -> Any:
        raise SecondOrderError(
            f"{self.rule} has no second derivative: {self.reason}. Write {self.rule}.backward with operations on "
            "self.input (or self.saved(...)) and gy, not on their arrays"
        ) from self.reason


def _boxed_attributes(function: Function) -> dict[str, Any]:
    """Attributes that hold the array of an input or output, as the Variable of that array."""
    boxes = [*function.operands, *[output() for output in function.outputs]]
    known: dict[Any, Any] = {_memory(box): box for box in boxes if isinstance(box, np.ndarray)}
    known |= {_memory(box._data): box for box in boxes if isinstance(box, Variable)}
    suspects = (
        "fiu" if any(isinstance(x, Variable) and x.dtype.kind in "iu" and x.requires_grad for x in boxes) else "f"
    )
    boxed: dict[str, Any] = {}
    for name, value in function.__dict__.items():
        if name in ("operands", "_inputs", "outputs", "evidence") or name in function.constants:
            continue
        if _memory(value) in known:
            boxed[name] = known[_memory(value)]
        elif _holds_numbers(value, suspects) or (
            isinstance(value, float) and name in _assigned_by(type(function).forward)
        ):
            raise SecondOrderError(
                f"it keeps floating-point numbers in self.{name}, which may depend on its inputs; if they do not, say "
                f"so with the class attribute constants = ({name!r},)"
            )
    return boxed


def _memory(value: Any) -> Any:
    """What two views of the same numbers have in common; other values are known by their identity."""
    if not isinstance(value, np.ndarray):
        return id(value)
    return value.ctypes.data, value.shape, value.strides, value.dtype


def _holds_numbers(value: Any, kinds: str) -> bool:
    """Whether there is an array of one of these kinds in a value."""
    if isinstance(value, (list, tuple, dict)):
        return any(_holds_numbers(v, kinds) for v in (value.values() if isinstance(value, dict) else value))
    return getattr(getattr(value, "dtype", None), "kind", " ") in kinds and not isinstance(value, np.dtype)


@cache
def _assigned_by(method: Any) -> frozenset[str]:
    """The attributes that a method assigns to: a Python number among them may have been computed from the input."""
    code = getattr(method, "__code__", None)
    names = (i.argval for i in dis.get_instructions(code) if i.opname == "STORE_ATTR") if code else ()
    return frozenset(names)
