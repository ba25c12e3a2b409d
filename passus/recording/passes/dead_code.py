"""Dead code: operations whose results nothing reads."""

from __future__ import annotations

from dataclasses import replace

from passus.recording.effects import has_effects
from passus.recording.host import Host
from passus.recording.program import Instruction, Program, Value, values_in

__all__ = ["without_dead_code"]


def without_dead_code(program: Program) -> Program:
    """The program without operations that change nothing and whose results are not used, and without state that is not used.

    >>> import numpy as np
    >>> from passus.recording.compiled import record
    >>> def f(x):
    ...     unused = np.exp(x)
    ...     return x + 1
    >>> len(without_dead_code(record(f, [np.ones(2)])))
    1
    """
    used = set(program.results)
    kept: list[Instruction] = []
    for instruction in reversed(program.instructions):
        if has_effects(instruction) or any(value in used for value in values_in(instruction.result)):
            used.update(instruction.reads)
            kept.append(_narrowed(instruction, used) if isinstance(instruction.function, Host) else instruction)
    state = [(value, place) for value, place in program.state if value in used]
    return replace(program, instructions=kept[::-1], state=state)


def _narrowed(instruction: Instruction, used: set[Value]) -> Instruction:
    """A host call that reads only those places again whose arrays are used after it."""
    results = [value in used for value in instruction.result]
    call = instruction.function.narrowed(results)  # type: ignore[attr-defined]
    return replace(instruction, function=call, result=[v for v, is_used in zip(instruction.result, results) if is_used])
