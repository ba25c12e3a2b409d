"""The optional last chapter of the engine: calling a rule so that its computation is recorded, for higher derivatives.

A rule can be differentiated again only if all its inputs are Variables. Reads of plain arrays are detected. The first
derivative is then still correct, and a second one raises `SecondOrderError`: a term is never silently missing.
"""

from __future__ import annotations

import dis
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from passus.backend import Array, copied, is_array
from passus.config import no_grad
from passus.core import custom
from passus.core.function import Function
from passus.core.variable import Variable, constant_variable
from passus.core.views import data_view
from passus.core.watched import Watched
from passus.errors import RecordingError, SecondOrderError

__all__ = ["recorded_backward"]


def recorded_backward(function: Function, gys: list[Any]) -> Sequence[Any]:
    """Call a rule with Variables. If it cannot be recorded, call it with arrays, and let a second derivative raise."""
    name = type(function).__name__
    gys = [gy if gy is None or isinstance(gy, Variable) else constant_variable(gy) for gy in gys]
    attributes = dict(function.__dict__)
    token = data_view.set(partial(_watched, name))
    try:
        function.recording = True
        function.__dict__.update(_boxed_attributes(function))
        gxs = _as_sequence(function, function.backward(*gys))
        if not all(gx is None or isinstance(gx, Variable) for gx in gxs):
            raise SecondOrderError(f"{name}.backward returned an array where it was given a Variable")
        return gxs
    except RecordingError:
        raise
    except Exception as error:
        reason = error
    finally:
        data_view.reset(token)
        function.__dict__.clear()
        function.__dict__.update(attributes)
    return _first_order_only(function, gys, reason)


def _first_order_only(function: Function, gys: list[Any], reason: Exception) -> Sequence[Any]:
    """The gradients of a rule that could not be recorded, as Variables that cannot be differentiated."""
    with no_grad():
        arrays = [gy if gy is None else gy._data for gy in gys]
        gxs = (
            custom.backward(function, arrays) if function.custom else _as_sequence(function, function.backward(*arrays))
        )
    present = [i for i, gx in enumerate(gxs) if gx is not None]
    data = [gxs[i]._data if isinstance(gxs[i], Variable) else _copied(gxs[i]) for i in present]
    end = FirstOrderOnly(type(function).__name__, reason, data)
    results = end(*function.operands, *[gy for gy in gys if gy is not None])
    boxed = dict(zip(present, results if isinstance(results, tuple) else (results,)))
    return tuple(boxed.get(i) for i in range(len(gxs)))


def _copied(gx: Any) -> Any:
    return copied(gx) if is_array(gx) else np.array(gx)


def _watched(rule: str, x: Variable) -> Any:
    """The data of a Variable as a rule sees them while it is recorded: numbers that it may compare, but not compute with."""
    return Watched(x._data, rule) if x._data is not None and x._data.dtype.kind == "f" else x.array()


def _as_sequence(function: Function, gxs: Any) -> Sequence[Any]:
    if gxs is None and function.custom:
        raise custom.no_gradient(type(function).__name__)
    return gxs if isinstance(gxs, (tuple, list)) else (gxs,)


class FirstOrderOnly(Function):
    """The creator of gradients whose rule could not be recorded. Differentiating them raises the reason."""

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
    """The Variables of inputs and outputs whose arrays are saved in attributes, by the names of these attributes.

    Raises `SecondOrderError` for other floating-point numbers in an attribute.
    """
    boxes = [*function.operands, *[output() for output in function.outputs]]
    known: dict[Any, Any] = {_memory(box): box for box in boxes if isinstance(box, np.ndarray)}
    known |= {_memory(box._data): box for box in boxes if isinstance(box, Variable)}
    suspects = (
        "fiu" if any(isinstance(x, Variable) and x.dtype.kind in "iu" and x.requires_grad for x in boxes) else "f"
    )
    boxed: dict[str, Any] = {}
    for name, value in function.__dict__.items():
        if name in ("operands", "_inputs", "outputs", "checksums", "xp") or name in function.constants:
            continue
        if _memory(value) in known:
            boxed[name] = known[_memory(value)]
        elif _holds_numbers(value, suspects) or (
            isinstance(value, float) and name in _assigned_by(type(function).forward)
        ):
            raise SecondOrderError(
                f"it saves floating-point numbers in self.{name}, which may depend on its inputs; if they do not, say "
                f"so with the class attribute constants = ({name!r},)"
            )
    return boxed


def _memory(value: Any) -> Any:
    """A key that two views of the same numbers share; for other values, their identity."""
    if not isinstance(value, np.ndarray):
        return id(value)
    return value.ctypes.data, value.shape, value.strides, value.dtype


def _holds_numbers(value: Any, kinds: str) -> bool:
    """Whether a value is an array of one of these kinds, or contains one."""
    if isinstance(value, (list, tuple, dict)):
        return any(_holds_numbers(v, kinds) for v in (value.values() if isinstance(value, dict) else value))
    return getattr(getattr(value, "dtype", None), "kind", " ") in kinds and not isinstance(value, np.dtype)


@cache
def _assigned_by(method: Any) -> frozenset[str]:
    """The attributes that a method assigns to. A Python number among them may depend on the input."""
    code = getattr(method, "__code__", None)
    names = (i.argval for i in dis.get_instructions(code) if i.opname == "STORE_ATTR") if code else ()
    return frozenset(names)
