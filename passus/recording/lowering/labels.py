"""Labels: checks of their range, and elements or rows of a matrix at them."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from passus.backend import Array
from passus.backend.lookup import _numpy
from passus.backend.trace import Method
from passus.recording.lowering.assembler import INT64, Assembler
from passus.recording.program import Instruction, Program, Value, expect, sole_use

__all__ = ["Labels"]

ENDS = -(1 << 62), 1 << 62
"""The limits of labels that were not checked."""


class Check(NamedTuple):
    """A condition that all labels are at least ``low`` and less than ``high``, and the instructions that compute it."""

    labels: Value
    low: int
    high: int
    parts: tuple[Instruction, ...]


class Labels:
    """The labels of a program, and what is known of their range."""

    def __init__(self, program: Program) -> None:
        self._ranges: dict[Value, tuple[int, int]] = {}
        self._checks = {id(i): check for i in program.instructions if (check := _check(i, program)) is not None}
        self.parts = {id(part): part for check in self._checks.values() for part in check.parts}
        """Instructions that have no operation of their own."""

    def read_by(self, instruction: Instruction) -> list[Value]:
        """The labels that the check of an instruction reads."""
        check = self._checks.get(id(instruction))
        return [] if check is None else [check.labels]

    def lower(self, instruction: Instruction, assembler: Assembler) -> bool:
        """Append a check, the rows of a matrix at labels, the elements of rows at their labels, or a sum with a number there."""
        check = self._checks.get(id(instruction))
        if check is not None:
            return self._emit_check(check, assembler)
        function, args, native = instruction.function, instruction.args, assembler.native
        if function is operator.getitem and isinstance(args[1], Value):
            return self._emit_rows(instruction, assembler)
        is_read = function is operator.getitem and isinstance(args[1], tuple)
        is_sum = getattr(function, "__func__", None) is type(_numpy).add_at and len(args) == 3
        if not (is_read or is_sum):
            return False
        x, labels = assembler.operand(args[0]), self._columns(args[1], args[0], assembler)
        if x is None or labels is None or not x.flags.c_contiguous:
            return False
        if is_read:
            assembler.emit(native.take_labels, assembler.target(instruction.result), x, labels, *x.shape)
            return True
        number = assembler.operand(args[2])
        if number is None or number.ndim:
            return False
        assembler.emit(native.add_at_labels, x, labels, *x.shape, number)
        return True

    def _emit_check(self, check: Check, assembler: Assembler) -> bool:
        labels = assembler.arrays[check.labels]
        if not labels.flags.c_contiguous:
            return False
        low, high = self._ranges.get(check.labels, ENDS)
        self._ranges[check.labels] = max(low, check.low), min(high, check.high)
        assembler.emit(assembler.native.check_labels, labels, labels.size, check.low, check.high)
        return True

    def _emit_rows(self, instruction: Instruction, assembler: Assembler) -> bool:
        """Append the rows of a matrix at labels, if they were checked to be rows of it."""
        (source, labels), result = instruction.args, instruction.result
        x, found = assembler.operand(source), assembler.arrays.get(labels)
        if x is None or x.ndim != 2 or x.strides[1] != x.itemsize or found is None:
            return False
        low, high = self._ranges.get(labels, ENDS)
        if low < 0 or high > len(x) or found.dtype != INT64 or not found.flags.c_contiguous or not found.size:
            return False
        assembler.emit(
            assembler.native.take_rows, assembler.target(result), x, found, found.size, x.shape[1], x.strides[0]
        )
        return True

    def _columns(self, index: Any, x: Any, assembler: Assembler) -> Array | None:
        """The labels of an index ``(arange(n), labels)`` of a matrix of n rows, if they were checked to be columns of it.

        NumPy checks each index, and reads negative ones from the end; the machine does neither.
        """
        if not isinstance(index, tuple) or len(index) != 2 or not isinstance(x, Value) or len(x.shape) != 2:
            return None
        rows, labels = index
        if not isinstance(rows, np.ndarray) or not isinstance(labels, Value) or labels not in assembler.arrays:
            return None
        low, high = self._ranges.get(labels, ENDS)
        found = assembler.arrays[labels]
        if low < 0 or high > x.shape[1] or found.dtype != INT64 or not found.flags.c_contiguous:
            return None
        is_each_row = rows.shape == found.shape == x.shape[:1] and bool((rows == np.arange(len(rows))).all())
        return found if is_each_row else None


def _check(instruction: Instruction, program: Program) -> Check | None:
    """The check of labels whose end is this condition: ``labels.min() < low`` or ``labels.max() >= high`` does not hold."""
    if instruction.function is not expect or instruction.args[1] is not False:
        return None
    compared = sole_use(instruction.args[0], program)
    if compared is None or compared.function not in (operator.lt, operator.ge):
        return None
    bounded, limit = compared.args
    least = sole_use(bounded, program)
    name = "min" if compared.function is operator.lt else "max"
    if least is None or least.function != Method(name) or least.options or len(least.args) > 1:
        return None
    if not isinstance(limit, (int, np.integer)) or least.args[0].dtype != INT64:
        return None
    low, high = (int(limit), ENDS[1]) if name == "min" else (ENDS[0], int(limit))
    return Check(least.args[0], low, high, (compared, least))
