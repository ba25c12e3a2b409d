"""Expansion: calls of kernels become the array operations of their references, which the machine computes.

Outside of the machine, a kernel takes less time than these operations.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from passus.kernels.dispatch import Kernel
from passus.recording.passes.convolutions import PreparedConvolution
from passus.recording.program import Instruction, Program, Value, mapped, values_in
from passus.recording.recorder import Recorder, recorded

__all__ = ["Expansion"]

MODULES = frozenset({"activations", "biases", "elementwise", "normalization", "rows"})
"""The modules of kernels whose references consist of elementwise operations, reductions and products."""

ELEMENTWISE = frozenset({"activations", "elementwise"})
"""Those whose operations are elementwise, so that the machine computes them in one pass through memory."""

LARGEST = 1 << 15
"""Number of elements of arrays up to which a call of another kernel, which passes through memory fewer times, takes longer."""


class Expansion:
    """A program, and the operations of references for its kernels of `MODULES`."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._has_images = any(isinstance(i.function, PreparedConvolution) for i in program.instructions)
        """Whether images stay on the machine from the first to the last convolution."""
        self._number = 1 + max([value.number for value in _values(program)], default=0)
        self._operations = [self._operations_of(i) for i in program.instructions]

    def except_for(self, kept: set[int]) -> tuple[Program, list[int | None]]:
        """The program with operations in place of all kernels but those of the numbers ``kept``; and for each instruction the number of
        the kernel that it belongs to, None for the others.
        """
        instructions: list[Instruction] = []
        origins: list[int | None] = []
        for i, instruction in enumerate(self._program.instructions):
            operations = None if i in kept else self._operations[i]
            instructions += [instruction] if operations is None else operations
            origins += [None] if operations is None else [i] * len(operations)
        return replace(self._program, instructions=instructions), origins

    def _operations_of(self, call: Instruction) -> list[Instruction] | None:
        """The operations of a kernel, None for another instruction."""
        operations: list[Instruction] = []
        waiting = [call]
        while waiting:
            instruction = waiting.pop()
            kernel = instruction.function
            inside = None
            if isinstance(kernel, Kernel) and self._is_expanded(kernel, instruction):
                inside = _inlined(instruction, kernel, self._number)
            if inside is None:
                operations.append(instruction)
            else:
                self._number += sum(len(i.results) for i in inside)
                waiting += reversed(inside)  # References call other kernels.
        return None if any(i is call for i in operations) else operations

    def _is_expanded(self, kernel: Kernel[..., Any], call: Instruction) -> bool:
        if kernel.module not in MODULES or call.writes:
            return False
        return (
            self._has_images
            or kernel.module in ELEMENTWISE
            or all(math.prod(value.shape) <= LARGEST for value in [*call.reads, *call.results])
        )


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
