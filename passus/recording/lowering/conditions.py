"""Conditions that all elements of a mask hold, such as that a normalization is in range."""

from __future__ import annotations

from typing import NamedTuple

from passus.backend.trace import Method
from passus.recording.lowering.assembler import Assembler
from passus.recording.program import Instruction, Program, Value, expect, sole_use

__all__ = ["Conditions"]


class Condition(NamedTuple):
    """A condition ``mask.all()``, and the instruction that computes it."""

    mask: Value
    reduction: Instruction


class Conditions:
    """The conditions of a program that end a run unless all elements of a mask hold."""

    def __init__(self, program: Program) -> None:
        self._conditions = {id(i): found for i in program.instructions if (found := _condition(i, program)) is not None}
        self.parts = {id(found.reduction): found.reduction for found in self._conditions.values()}
        """Instructions that have no operation of their own."""

    def read_by(self, instruction: Instruction) -> list[Value]:
        """The masks that an instruction reads as a condition."""
        found = self._conditions.get(id(instruction))
        return [] if found is None else [found.mask]

    def lower(self, instruction: Instruction, assembler: Assembler, masks: set[Value]) -> bool:
        """Append a condition. ``masks``: the Values of `masks_of`."""
        found = self._conditions.get(id(instruction))
        if found is None or found.mask not in masks or found.mask not in assembler.arrays:
            return False
        mask = assembler.arrays[found.mask]
        if not mask.flags.c_contiguous:
            return False
        assembler.emit(assembler.native.check_mask, mask, mask.size)
        return True


def _condition(instruction: Instruction, program: Program) -> Condition | None:
    if instruction.function is not expect or instruction.args[1] is not True:
        return None
    reduction = sole_use(instruction.args[0], program)
    if reduction is None or reduction.function != Method("all") or reduction.options or len(reduction.args) > 1:
        return None
    mask = reduction.args[0]
    return Condition(mask, reduction) if isinstance(mask, Value) else None
