"""Views: they have no operation."""

from __future__ import annotations

import operator

import numpy as np

from passus.backend.trace import Attribute, Method
from passus.kernels.machine import CODES
from passus.recording.lowering.assembler import Assembler
from passus.recording.lowering.elementwise import emit_elementwise
from passus.recording.program import Instruction, Value, values_in

__all__ = ["is_view", "lower_view"]

METHODS = frozenset({"reshape", "transpose", "swapaxes", "ravel", "squeeze", "view"})
"""Methods that usually return views."""


def is_view(instruction: Instruction) -> bool:
    """Whether the result of an instruction may be a view of its first argument.

    >>> x, y = (Value(i, (2, 3), np.dtype(float)) for i in range(2))
    >>> is_view(Instruction(Attribute("T"), (x,), {}, y)), is_view(Instruction(np.exp, (x,), {}, y))
    (True, False)
    """
    function, args = instruction.function, instruction.args
    known = isinstance(function, Attribute) or (isinstance(function, Method) and function.name in METHODS)
    if not (known or function is operator.getitem) or instruction.options or not isinstance(args[0], Value):
        return False
    return isinstance(instruction.result, Value) and not any(True for _ in values_in(args[1:]))


def lower_view(instruction: Instruction, assembler: Assembler) -> bool:
    """Let the result be a view. False if it is none."""
    function, args = instruction.function, instruction.args
    if not is_view(instruction) or args[0] not in assembler.arrays:
        return False
    source = assembler.arrays[args[0]]
    view = function(source, *args[1:])
    if not isinstance(view, np.ndarray) or not view.size or not np.may_share_memory(view, source):
        return False
    if view.dtype != source.dtype:
        return False
    if instruction.result in assembler.arrays:  # A gradient has an array of its own.
        return emit_elementwise(assembler, CODES.COPY, assembler.arrays[instruction.result], [view])
    assembler.alias(instruction.result, view, args[0])
    return True
