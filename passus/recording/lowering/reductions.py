"""Sums and maxima."""

from __future__ import annotations

from typing import Any

from passus.backend.trace import Method
from passus.recording.lowering.assembler import FLOAT32, Assembler
from passus.recording.program import Instruction, Value

__all__ = ["lower_reduction"]


def lower_reduction(instruction: Instruction, assembler: Assembler) -> bool:
    """Append a sum over rows, columns or all elements, or the maximum of rows or of all elements."""
    function, args, result = instruction.function, instruction.args, instruction.result
    if not isinstance(function, Method) or function.name not in ("sum", "max") or not isinstance(result, Value):
        return False
    x = assembler.operand(args[0])
    if x is None or result.dtype != FLOAT32 or not x.size:
        return False
    axes = _axes(args[1:], dict(instruction.options), x.ndim)
    if axes is None:
        return False
    if axes == tuple(range(x.ndim)) and x.flags.c_contiguous:
        x, axes = x.reshape(1, x.size), (1,)
    if x.ndim != 2 or axes not in ((0,), (1,)) or (x.strides[1] != 4 and x.shape[1] > 1):
        return False
    native = assembler.native
    if axes == (1,):
        operation = native.sum_of_rows if function.name == "sum" else native.maximum_of_rows
    elif function.name == "sum":
        operation = native.sum_of_columns
    else:
        return False
    assembler.emit(operation, assembler.target(result), x, *x.shape, x.strides[0])
    return True


def _axes(args: tuple[Any, ...], options: dict[str, Any], ndim: int) -> tuple[int, ...] | None:
    """The axes of a reduction, from 0 on; None for options that the machine does not have."""
    axis, keepdims = options.pop("axis", args[0] if args else None), options.pop("keepdims", False)
    if options or len(args) > 1 or not isinstance(keepdims, bool):
        return None
    axes = tuple(range(ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    if not isinstance(axes, tuple) or not all(isinstance(i, int) for i in axes):
        return None
    return tuple(sorted(i % ndim for i in axes))
