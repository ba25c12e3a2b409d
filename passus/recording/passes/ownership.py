"""Gradients own their arrays: a gradient that is a view, or that another result holds too, is copied."""

from __future__ import annotations

from dataclasses import replace

from passus.backend import copied
from passus.recording.program import Instruction, Program, Value

__all__ = ["with_own_gradients"]


def with_own_gradients(program: Program, shared: set[Value]) -> Program:
    """The program with a copy of each gradient in ``shared`` at its end."""
    instructions = list(program.instructions)
    number = 1 + max([value.number for value in _values(program)], default=0)
    writes = []
    for place, value in program.writes:
        if value is not None and value in shared:
            own = Value(number, value.shape, value.dtype, f"{value.name}'")
            number += 1
            instructions.append(Instruction(copied, (value,), {}, own))
            value = own
        writes.append((place, value))
    return replace(program, instructions=instructions, writes=writes)


def _values(program: Program) -> list[Value]:
    results = [value for i in program.instructions for value in i.results]
    return [*program.inputs, *[value for value, _ in program.state], *results]
