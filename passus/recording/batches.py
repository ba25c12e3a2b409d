"""Programs for a part of a batch: where the rows of a batch do not depend on each other, a program computes any number of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from passus.backend.trace import Method
from passus.kernels.pooling import average_pooling, max_pooling
from passus.recording.lowering.elementwise import is_elementwise
from passus.recording.lowering.products import PRODUCTS
from passus.recording.passes.convolutions import PreparedConvolution
from passus.recording.program import Instruction, Program, Value, mapped, values_in

__all__ = ["rows_of", "with_rows"]

REDUCTIONS = (Method("sum"), Method("max"))


def rows_of(program: Program) -> int:
    """The number of rows of the batch; 0 if the inputs differ in it.

    >>> rows_of(Program([Value(0, (8, 3), np.dtype("f")), Value(1, (8,), np.dtype("f"))]))
    8
    """
    counts = {value.shape[0] if value.shape else 0 for value in program.inputs}
    return counts.pop() if len(counts) == 1 else 0


def with_rows(program: Program, count: int) -> Program | None:
    """The program for ``count`` rows of its batch. None if a row of a result may depend on other rows, or on nothing in the batch.

    >>> x, y = (Value(i, (8, 3), np.dtype("f")) for i in range(2))
    >>> print(with_rows(Program([x], [Instruction(np.exp, (x,), {}, y)], [y]), 2))
    program(x0: float32[2, 3])
        x1: float32[2, 3] = exp(x0)
        return [x1]
    """
    rows = rows_of(program)
    if not rows or program.state or program.writes:
        return None
    parts: dict[Value, Value] = {value: _part(value, count) for value in program.inputs}

    def renamed(x: Any) -> Any:
        return parts.get(x, x) if isinstance(x, Value) else x

    instructions = []
    for instruction in program.instructions:
        if not parts.keys().isdisjoint(instruction.reads):
            if not all(value.shape[:1] == (rows,) for value in instruction.results):
                return None
            changed = _with_rows(instruction, parts, rows, count)
            if changed is None:
                return None
            parts |= {value: parts.get(value) or _part(value, count) for value in instruction.results}
            names = changed.args, changed.options, changed.result, changed.writes
            args, options, result, writes = mapped(names, renamed)
            instruction = replace(changed, args=args, options=options, result=result, writes=writes)
        instructions.append(instruction)
    outputs = list(values_in(program.outputs))
    if not all(value in parts for value in outputs):
        return None
    return replace(
        program,
        inputs=[parts[value] for value in program.inputs],
        instructions=instructions,
        outputs=mapped(program.outputs, renamed),
    )


def _part(value: Value, count: int) -> Value:
    return Value(value.number, (count, *value.shape[1:]), value.dtype, value.name)


def _with_rows(instruction: Instruction, parts: dict[Value, Value], rows: int, count: int) -> Instruction | None:
    """The instruction for fewer rows, with its old Values; None if its rows are not independent."""
    function, args, options = instruction.function, instruction.args, instruction.options
    x, *others = args
    is_first = isinstance(x, Value) and x in parts
    if isinstance(function, PreparedConvolution):
        return replace(instruction, function=function.with_rows(count)) if all(v in parts for v in args) else None
    if not is_first and not is_elementwise(function):
        return None
    if function in (max_pooling, average_pooling):
        return instruction if not options else None
    if is_elementwise(function):
        ndim = len(instruction.result.shape)
        return instruction if not options and all(_is_aligned(v, parts, ndim) for v in args) else None
    if function in PRODUCTS:
        is_row_by_row = len(x.shape) == 2 and all(v not in parts for v in values_in(others))
        return instruction if is_row_by_row and not options else None
    if function == Method("reshape"):
        shape = instruction.result.shape
        if math.prod(shape) != math.prod(x.shape) or shape[0] != rows or options:
            return None
        return replace(instruction, args=(x, (count, *shape[1:])))
    if function in REDUCTIONS:
        axis = options.get("axis", others[0] if others else None)
        axes = (axis,) if isinstance(axis, int) else axis
        is_within_rows = isinstance(axes, tuple) and all(isinstance(i, int) and i % len(x.shape) for i in axes)
        return instruction if is_within_rows else None
    return None


def _is_aligned(x: Any, parts: dict[Value, Value], ndim: int) -> bool:
    """Whether an operand has the rows of the result in its first axis, or is the same for all rows."""
    shape = x.shape if isinstance(x, (Value, np.ndarray, np.generic)) else ()
    if isinstance(x, Value) and x in parts:
        return len(shape) == ndim
    return len(shape) < ndim or shape[0] == 1
