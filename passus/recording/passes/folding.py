"""Constant folding: operations on constants are computed once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from passus.recording.effects import has_effects
from passus.recording.program import Instruction, Program, Value, mapped, values_in

__all__ = ["folded"]


def folded(program: Program, constants: dict[Value, Any]) -> Program:
    """The program with some of its state as constants, and with the results of all operations that depend on constants only.

    >>> from passus.recording.compiled import record
    >>> program = record(lambda x, w: x * np.exp(w + 1), [np.ones(2), np.ones(2)])
    >>> x, w = program.inputs
    >>> len(folded(replace(program, inputs=[x]), {w: np.zeros(2)}))
    1
    """
    known = {**program.constants, **constants}
    written = {value for i in program.instructions for value in i.writes}
    kept: list[Instruction] = []
    for instruction in program.instructions:
        if _is_constant(instruction, known, written):
            _compute(instruction, known)
        else:
            kept.append(instruction)
    state = [(value, place) for value, place in program.state if value not in known]
    used = {value for i in kept for value in [*i.reads, *i.results]} | set(program.results)
    return replace(
        program, instructions=kept, state=state, constants={value: x for value, x in known.items() if value in used}
    )


def _is_constant(instruction: Instruction, known: dict[Value, Any], written: set[Value]) -> bool:
    reads = instruction.reads
    if not reads or has_effects(instruction) or not all(value in known for value in reads):
        return False
    return written.isdisjoint(reads) and written.isdisjoint(instruction.results)


def _compute(instruction: Instruction, known: dict[Value, Any]) -> None:
    def read(x: Any) -> Any:
        return known[x] if isinstance(x, Value) else x

    errstate: Any = instruction.errstate or {}
    with np.errstate(**errstate):
        result = instruction.function(*mapped(instruction.args, read), **mapped(instruction.options, read))
    for value, x in zip(values_in(instruction.result), _arrays_in(result)):
        known[value] = x


def _arrays_in(tree: Any) -> list[Any]:
    if isinstance(tree, (list, tuple)):
        return [x for v in tree for x in _arrays_in(v)]
    return [tree] if isinstance(tree, (np.ndarray, np.generic, bool)) else []
