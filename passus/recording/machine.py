"""A program of small arrays as a table of native operations: see `passus/kernels/native/machine.py`.

All arrays of the program have places in memory that stay the same from run to run. What the machine cannot compute runs in
Python between two parts of the table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from passus import config
from passus.backend import Array
from passus.kernels.dispatch import native_module
from passus.recording.host import Host
from passus.recording.layout import Memory
from passus.recording.lowering import Lowering, is_small, is_view
from passus.recording.passes.expansion import expanded
from passus.recording.places import DataPlace, GradPlace
from passus.recording.program import Instruction, OtherBranchError, Program, Value

__all__ = ["Machine", "on_machine"]

LEAST = 0.5
"""Least share of the instructions that the machine must be able to compute."""


def on_machine(program: Program, states: Sequence[Array]) -> Program:
    """The program with one instruction, which runs the machine; the program itself if its arrays are large, or of other types.

    ``states``: the arrays of the state.
    """
    if not config.native.get() or not is_small(program):
        return program
    native = native_module("machine")
    if native is None:
        return program
    machine = Machine(expanded(program), states, native)
    if not machine.is_worth_it:
        return program
    arguments = (*program.inputs, *[value for value, _ in program.state])
    instruction = Instruction(machine, arguments, {}, machine.results)
    return replace(program, instructions=[instruction, *machine.views])


def _views_of_arguments(program: Program) -> list[Instruction]:
    """The instructions of results that are views of arguments or of the state, as those of the step are."""
    known = {*program.inputs, *[value for value, _ in program.state]}
    views = []
    for instruction in program.instructions:
        if is_view(instruction) and instruction.args[0] in known:
            known.add(instruction.result)
            views.append(instruction)
    return views


class Machine:
    """A program on the machine. Each thread that calls it has memory of its own."""

    def __init__(self, program: Program, states: Sequence[Array], native: Any) -> None:
        self.program, self.native, self.__name__ = program, native, program.name
        views, known = _views_of_arguments(program), {*program.inputs, *[value for value, _ in program.state]}
        outside = known | {i.result for i in views}
        self.results = [value for value in dict.fromkeys(program.results) if value not in outside]
        needed = set(program.results)
        self.views: list[Instruction] = []
        """Instructions that compute results outside of the machine."""
        for instruction in reversed(views):
            if instruction.result in needed:
                needed.add(instruction.args[0])
                self.views.insert(0, instruction)
        first = _Run(self, states)
        self._free = [first]
        self.is_worth_it = first.native_share >= LEAST

    def __call__(self, *arrays: Any) -> list[Any]:
        try:
            run = self._free.pop()
        except IndexError:  # Another thread runs it.
            run = _Run(self, arrays[len(self.program.inputs) :])
        try:
            return run(arrays)
        finally:
            self._free.append(run)


class _Run:
    """The memory of one run at a time, and the steps: parts of the table, and instructions in Python."""

    def __init__(self, machine: Machine, states: Sequence[Array]) -> None:
        self.program, self.native, self.results = machine.program, machine.native, machine.results
        self._plan(states)

    def _plan(self, states: Sequence[Array], with_update: bool = True) -> None:
        program = self.program
        self._states = list(states)
        self._memory = memory = Memory()
        self._arrays: dict[Value, Array] = {value: np.asarray(x) for value, x in program.constants.items()}
        self._arrays |= {value: memory.array(value.shape, value.dtype) for value in program.inputs}
        self._inputs = [self._arrays[value] for value in program.inputs]
        self._arrays |= {value: memory.external(x) for (value, _), x in zip(program.state, states)}
        self._gradients = self._new_gradients()
        lowering = Lowering(program, self._arrays, memory, self.native, with_update)
        self.native_share = lowering.native_share
        self._table, self._steps, self._update = lowering.finish(), lowering.steps, lowering.update
        self._has_python = lowering.has_python
        self._returns = [self._returned(value) for value in self.results]
        self._counts = {value: sys.getrefcount(self._arrays[value]) for value, _ in self._gradients}
        """References to each gradient that nobody else holds."""

    def _new_gradients(self) -> list[tuple[Value, GradPlace]]:
        """The gradients that the program computes: their arrays belong to Variables."""
        gradients = []
        calls = [i for i in self.program.instructions if isinstance(i.function, Host)]
        writes = [*self.program.writes, *[pair for i in calls for pair in zip(i.function.writes, i.args)]]  # type: ignore[attr-defined]
        for place, value in writes:
            if isinstance(place, GradPlace) and value is not None and value not in self._arrays:
                self._arrays[value] = self._memory.external(np.empty(value.shape, value.dtype))
                gradients.append((value, place))
        return gradients

    def _returned(self, value: Value) -> Callable[[], Any]:
        """How a result leaves the machine."""
        array = self._arrays[value]
        places = [place for place, v in self.program.writes if v is value]
        if any(isinstance(place, GradPlace) for place in places):
            return lambda: self._arrays[value]
        if array.ndim or any(isinstance(place, DataPlace) for place in places):
            return lambda: array.copy()
        return lambda: array[()]

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        count = len(self._inputs)
        states = arrays[count:]
        for known, state in zip(self._states, states):
            if state is not known:
                self._exchange(states)
                break
        for value, place in self._gradients:
            if not self._is_free(value, place):
                self._renew(value)
        if self._update is not None and not self._update.prepare(self.native):
            self._plan(states)
            if self._update is not None and not self._update.prepare(self.native):
                self._plan(states, with_update=False)
        for target, x in zip(self._inputs, arrays):
            target[...] = x
        run = self.native.run
        for address, number, step in self._steps:
            if step is not None:
                step()
            elif run(address, number) != number:
                raise OtherBranchError
        if self._update is not None:
            for value, place in self._gradients:
                place.set(self._arrays[value])
            self._update.finish()
        return [returned() for returned in self._returns]

    def _exchange(self, states: Sequence[Array]) -> None:
        """Use other arrays of the state."""
        if self._has_python:
            self._plan(states)
            return
        for i, ((value, _), new) in enumerate(zip(self.program.state, states)):
            if new is not self._states[i]:
                self._memory.exchange(self._arrays[value], new)
                self._arrays[value] = self._states[i] = new

    def _is_free(self, value: Value, place: GradPlace) -> bool:
        """Whether nobody but its Variable holds the gradient of the last run, so that its memory can be used again."""
        others = sys.getrefcount(self._arrays[value]) - self._counts[value]
        grad = place.owner._grad
        if grad is None or not others:
            return others == 0
        return others == 1 and grad._data is self._arrays[value] and sys.getrefcount(grad) == IN_GRAD

    def _renew(self, value: Value) -> None:
        """Compute a gradient into a new array."""
        if self._has_python:
            self._plan(self._states)
            return
        new = np.empty(value.shape, value.dtype)
        self._memory.exchange(self._arrays[value], new)
        self._arrays[value] = new


IN_GRAD = 3
"""References to a Variable that only ``grad`` of another one holds: the attribute, a local, and an argument."""
