"""Expansion: calls of kernels become the array operations of their references, which the machine computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from passus.kernels.dispatch import Kernel
from passus.recording.program import Instruction, Program, Value, mapped, values_in
from passus.recording.recorder import Recorder, recorded

__all__ = ["expanded"]

MODULES = frozenset({"activations", "biases", "elementwise", "normalization", "rows"})
"""The modules of kernels whose references consist of elementwise operations, reductions and products."""


def expanded(program: Program) -> Program:
    """The program with the operations of references in place of kernels of `MODULES`."""
    instructions: list[Instruction] = []
    number = 1 + max([value.number for value in _values(program)], default=0)
    waiting = [*reversed(program.instructions)]
    while waiting:
        instruction = waiting.pop()
        kernel = instruction.function
        inside = None
        if isinstance(kernel, Kernel) and kernel.module in MODULES and not instruction.writes:
            inside = _inlined(instruction, kernel, number)
        if inside is None:
            instructions.append(instruction)
        else:
            number += sum(len(i.results) for i in inside)
            waiting += reversed(inside)  # References call other kernels.
    return replace(program, instructions=instructions)


def _values(program: Program) -> list[Value]:
    results = [value for i in program.instructions for value in i.results]
    return [*program.inputs, *[value for value, _ in program.state], *program.constants, *results]


def _inlined(instruction: Instruction, kernel: Kernel[..., Any], number: int) -> list[Instruction] | None:
    """The operations of the reference of a kernel; results are numbered from ``number`` on. None if a result is an argument."""
    recorder = Recorder()
    outside: dict[Value, Value] = {}

    def traced(x: Any) -> Any:
        if not isinstance(x, Value):
            return x
        array = recorder.input(np.ones(x.shape, x.dtype))
        outside[recorder.value(array)] = x
        return array

    args, options = mapped(instruction.args, traced), mapped(instruction.options, traced)
    with recorded(recorder):
        result = kernel.reference(*args, **options)
    for inside, value in zip(values_in(recorder.noted(result)), values_in(instruction.result)):
        if inside in outside:
            return None
        outside[inside] = value
    recorder.abort()

    def renamed(x: Any) -> Any:
        nonlocal number
        if isinstance(x, Value) and x not in outside:
            outside[x] = Value(number, x.shape, x.dtype)
            number += 1
        return outside[x] if isinstance(x, Value) else x

    return [
        replace(
            i,
            args=mapped(i.args, renamed),
            options=mapped(i.options, renamed),
            result=mapped(i.result, renamed),
            writes=mapped(i.writes, renamed),
            source=instruction.source,
            errstate=instruction.errstate or i.errstate,
        )
        for i in recorder.instructions
    ]
