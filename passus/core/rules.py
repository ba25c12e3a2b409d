"""Guarded calls of rules, and the conversion of their results to gradients of the inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array, is_array
from passus.core import custom, messages
from passus.core.basic import astype, sum_to
from passus.core.data import KINDS
from passus.core.edits import last_resized, use_shapes_of_released
from passus.core.function import Function
from passus.core.second_order import recorded_backward
from passus.core.variable import Variable
from passus.errors import DTypeError, GraphError, kind_of

__all__ = ["completed", "error_note", "fitted", "gradient_dtype", "guarded_backward"]

FLOAT64 = np.dtype(np.float64)


def guarded_backward(function: Function, gys: list[Any], create_graph: bool, released: list[Variable]) -> Any:
    """Call a rule that a user has written, or whose data may have been edited since the forward pass."""
    if function.serial < last_resized[0]:
        variables = [*function.operands, *[output() for output in function.outputs]]
        use_shapes_of_released(
            [x for x in variables if isinstance(x, Variable)], function.serial, type(function).__name__, released
        )
    if create_graph:
        return recorded_backward(function, gys)
    if function.checksums is not None:
        function.checksums.check(function._readable(), type(function).__name__)
    return custom.backward(function, gys) if function.custom else function.backward(*gys)


def error_note(function: Function, error: Exception) -> str:
    """A note for an error in a rule: the name of the function, and in debug mode the place of its call."""
    called = f"; the forward pass was called here:\n{function.checksums.called_at}" if function.checksums else ""
    advice = custom.advice(error) if function.custom else ""
    return f"in the backward pass of {function.public_name}{advice}{called}"


def completed(gxs: tuple[Any, ...], function: Function) -> tuple[Any, ...]:
    """The gradients, followed by None for the last inputs if these take none, such as the integer labels of a loss."""
    missing = function.operands[len(gxs) :]
    if len(gxs) > len(function.operands) or any(
        isinstance(x, Variable) and x.requires_grad and x.dtype.kind == "f" for x in missing
    ):
        raise GraphError(
            f"{type(function).__name__}.backward returned {len(gxs)} gradients for {len(function.operands)} inputs; "
            "return one for each, None where there is none"
        )
    return (*gxs, *[None for _ in missing])


def fitted(gx: Any, x: Variable, function: Function, gys: list[Any], create_graph: bool) -> Any:
    """A gradient with the shape and dtype of its input: summed over the axes along which the input was broadcast."""
    if not create_graph and type(gx) not in KINDS:
        gx = _unboxed(gx, function)
    data = x._data
    if gx.shape != data.shape:
        if all(gy is None or gx.shape != gy.shape for gy in gys) or not messages.broadcasts(data.shape, gx.shape):
            raise messages.shape_of_gradient(type(function).__name__, gx.shape, data.shape)
        gx = sum_to(gx, data.shape)
    if gx.dtype == data.dtype or (data.dtype.kind != "f" and gx.dtype.kind == "f"):
        return gx
    return astype(gx, gradient_dtype(data))


def _unboxed(gx: Any, function: Function) -> Array:
    """The array of a gradient. A rule may have computed with Variables although it received arrays."""
    gx = gx._data if isinstance(gx, Variable) else gx
    if not (isinstance(gx, np.generic) or is_array(gx)):
        raise DTypeError(
            f"{type(function).__name__}.backward returned {kind_of(gx)}; return an array for each input, or None "
            "where there is no gradient"
        )
    return gx


def gradient_dtype(data: Array) -> np.dtype[Any]:
    """The dtype of the data, and float64 for integers."""
    dtype: np.dtype[Any] = data.dtype
    return dtype if dtype.kind == "f" else FLOAT64
