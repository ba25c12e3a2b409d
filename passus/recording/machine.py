"""A program of small arrays as a table of native operations: see `passus/kernels/native/machine.py`.

All arrays of the program have places in memory that stay the same from run to run. A program has one
instruction for each part that the machine can compute; the rest stays as it is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from passus import config
from passus.backend import Array
from passus.kernels.dispatch import native_module
from passus.recording.blocks import BlockRun, blocks_of, end_of_images
from passus.recording.host import Host
from passus.recording.layout import Memory
from passus.recording.lowering import Lowering, is_elementwise, is_small, is_view
from passus.recording.passes.convolutions import PreparedConvolution
from passus.recording.passes.expansion import Expansion
from passus.recording.places import DataPlace, GradPlace
from passus.recording.program import Instruction, OtherBranchError, Program, Value
from passus.recording.updates import MachineUpdate

__all__ = ["Machine", "on_machine"]

LEAST = 4
"""Least number of instructions for which a call of the machine pays."""

DIRECT = 1 << 16
"""Bytes of an array from which it is read and written where it is, because a copy takes longer than an exchange of addresses."""

PATIENCE = 100
"""Number of runs in a row in which nothing is in the way of an update on the machine, before it is planned again: a plan takes as
long as so many updates in Python.
"""

MOST_AXES = 3
"""Number of axes up to which large arrays are expected to be read and written where they are. Images of kernels have more, and their channels last."""

COPIED = 1 << 14
"""Numbers that are copied to the machine and back, for each of its instructions, up to which a call of it pays."""


def on_machine(program: Program, states: Sequence[Array]) -> Program:
    """The program with an instruction for each of its parts that the machine can compute. ``states``: the arrays of the state."""
    native = native_module("machine") if config.native.get() else None
    if native is None:
        return program
    arrays = dict(zip([value for value, _ in program.state], states))
    expansion, kept = Expansion(program), set[int]()
    while True:
        whole, origins = expansion.except_for(kept)
        parts = _parts(whole, _computable(whole, arrays, native), arrays)
        inside = {i for first, last in parts for i in range(first, last)}
        # What the machine does not compute stays a kernel, without which its neighbours may no longer be worth a call.
        outside = {origin for i, origin in enumerate(origins) if i not in inside and origin is not None}
        if not outside:
            break
        kept |= outside
    instructions: list[Instruction] = []
    end = 0
    for first, last in parts:
        instructions += whole.instructions[end:first] + _on_machine(whole, first, last, arrays, native)
        end = last
    used = any(isinstance(i.function, Machine) for i in instructions)
    return replace(whole, instructions=instructions + whole.instructions[end:]) if used else program


def _parts(program: Program, flags: list[bool], states: dict[Value, Array]) -> list[tuple[int, int]]:
    """The first and the last number of instructions that are worth a call of the machine; ``flags``: those that it can compute."""
    parts: list[tuple[int, int]] = []
    first = 0
    while first < len(flags):
        last = first + 1
        while last < len(flags) and flags[last] == flags[first]:
            last += 1
        if flags[first]:
            last = end_of_images(program.instructions, first, last)
            count = last - first
            if count == len(flags) or (
                count >= LEAST and _copied(_part(program, first, last, states)) <= COPIED * count
            ):
                parts.append((first, last))
        first = last
    return parts


def _copied(part: Program) -> int:
    """Number of elements of the arrays that are copied to the machine and back."""
    gradients = {value for place, value in part.writes if isinstance(place, GradPlace)}
    direct = {value for value in _direct(part) if len(value.shape) <= MOST_AXES}
    return sum(math.prod(v.shape) for v in [*part.inputs, *part.outputs] if v not in gradients | direct)


def _computable(program: Program, states: dict[Value, Array], native: Any) -> list[bool]:
    """By number of an instruction, whether the machine can compute it together with those around it."""
    memory = Memory()
    arrays = {value: np.asarray(x) for value, x in program.constants.items()} | states
    arrays |= {value: memory.array(value.shape, value.dtype) for value in program.inputs if is_small(value)}
    lowering = Lowering(program, arrays, memory, native)
    flags, without_array = lowering.lowered, lowering.without_array
    _leave_edited_arrays(program, flags)
    changed = True
    while changed:
        changed = False
        for i in range(len(flags)):
            if flags[i] and not _stays_inside(program, flags, i, without_array):
                flags[i], changed = False, True
        _leave_edited_arrays(program, flags)
    return flags


def _leave_edited_arrays(program: Program, flags: list[bool]) -> None:
    """Leave out all instructions that make an array, or views of it, into which an instruction outside of the machine writes.

    The machine returns copies of views.
    """
    roots: dict[Value, Value] = {}
    for instruction in program.instructions:
        if is_view(instruction):
            roots[instruction.result] = roots.get(instruction.args[0], instruction.args[0])
    edited: set[Value] = set()
    count = -1
    while count != len(edited):
        count = len(edited)
        for i, instruction in enumerate(program.instructions):
            if not flags[i]:
                edited.update(roots.get(value, value) for value in instruction.writes)
            elif any(roots.get(value, value) in edited for value in [*instruction.results, *instruction.writes]):
                flags[i] = False


def _stays_inside(program: Program, flags: list[bool], i: int, without_array: set[Value]) -> bool:
    """Whether an instruction depends on its part alone: it writes into arrays that were made there, and what is no array of its
    own, a view or one of ``without_array``, is used there only.
    """
    first, last = i, i
    while first > 0 and flags[first - 1]:
        first -= 1
    while last < len(flags) and flags[last]:
        last += 1
    instructions, instruction = program.instructions, program.instructions[i]
    made = {value for part in instructions[first:i] for value in part.results}
    state = {value for value, _ in program.state}
    if any(value not in made and value not in state for value in instruction.writes):
        return False
    is_own = not is_view(instruction) or instruction.args[0] in made
    if is_own and without_array.isdisjoint(instruction.results):
        return True
    outside = [value for part in (*instructions[:first], *instructions[last:]) for value in part.reads]
    return {*outside, *program.results}.isdisjoint(instruction.results)


def _part(program: Program, first: int, last: int, states: dict[Value, Array]) -> Program:
    """The instructions from ``first`` to ``last`` as a program; its outputs are read outside of it."""
    part = program.instructions[first:last]
    made = {value for i in part for value in i.results if value not in i.writes or value not in states}
    made -= set(states)
    read = [value for i in part for value in i.reads if value not in made and value not in program.constants]
    state = [(value, place) for value, place in program.state if value in read]
    inputs = [value for value in dict.fromkeys(read) if value not in states]
    later = {value for i in program.instructions[last:] for value in i.reads} | set(program.results)
    return Program(
        inputs,
        part,
        [value for value in dict.fromkeys(v for i in part for v in i.results) if value in later and value in made],
        state,
        [(place, value) for place, value in program.writes if value in made],
        {value: x for value, x in program.constants.items() if any(value in i.reads for i in part)},
        program.name,
    )


def _on_machine(program: Program, first: int, last: int, states: dict[Value, Array], native: Any) -> list[Instruction]:
    """An instruction that runs a part of a program on the machine; the part itself if the machine cannot compute all of it."""
    part = _part(program, first, last, states)
    machine = Machine(part, [states[value] for value, _ in part.state], native)
    if not machine.is_complete:
        return part.instructions
    return [Instruction(machine, (*part.inputs, *[value for value, _ in part.state]), {}, part.outputs)]


class Machine:
    """A part of a program on the machine. Each thread that calls it has memory of its own."""

    def __init__(self, program: Program, states: Sequence[Array], native: Any) -> None:
        self.program, self.native, self.__name__ = program, native, "machine"
        run: Any = _Run(self, states)
        self.blocks = blocks_of(program, run.nbytes) if run.is_complete else None
        if self.blocks is not None:
            in_blocks = BlockRun(self.blocks, native)
            if in_blocks.is_complete:
                run = in_blocks
            else:
                self.blocks = None
        self._free, self.is_complete, self.is_shared = [run], run.is_complete, run.is_shared

    def __call__(self, *arrays: Any) -> list[Any]:
        try:
            run = self._free.pop()
        except IndexError:  # Another thread runs it.
            run = self._new_run(arrays[len(self.program.inputs) :])
        try:
            results: list[Any] = run(arrays)
        except OtherBranchError:
            self._free.append(run)
            raise
        self._free.append(run)  # After other errors, a thread may still write into its memory.
        return results

    def _new_run(self, states: Sequence[Array]) -> Any:
        return _Run(self, states) if self.blocks is None else BlockRun(self.blocks, self.native)


class _Run:
    """The operations of one run at a time, and their memory."""

    def __init__(self, machine: Machine, states: Sequence[Array]) -> None:
        self.program, self.native = machine.program, machine.native
        self._plan(states)

    def _plan(self, states: Sequence[Array], with_update: bool = True, copies: bool = False) -> None:
        """Plan the operations. ``copies``: whether all inputs and results are copied."""
        program = self.program
        self._states = list(states)
        self._memory = memory = Memory()
        self._arrays: dict[Value, Array] = {value: np.asarray(x) for value, x in program.constants.items()}
        direct = set() if copies else _direct(program)
        self._arrays |= {
            value: memory.array(value.shape, value.dtype) for value in program.inputs if value not in direct
        }
        self._arrays |= {value: memory.external(value, np.empty(value.shape, value.dtype)) for value in direct}
        self._inputs = [(value, self._arrays[value], value in direct) for value in program.inputs]
        self._arrays |= {value: memory.external(value, x) for (value, _), x in zip(program.state, states)}
        self._gradients = self._new_gradients()
        self._results = [value for value in program.outputs if value in direct]
        lowering = Lowering(program, self._arrays, memory, self.native, with_update)
        self._written = self._written_before_updates()
        self._table, self._update = lowering.finish(), lowering.update
        self.is_complete = all(lowering.lowered) and not memory.is_ambiguous and not self._returns_views()
        """Whether the machine computes all instructions."""
        if direct and not self.is_complete:  # Operands of a result may have channels last.
            self._plan(states, with_update, copies=True)
            return
        self.is_shared = self._table.is_shared
        """Whether several threads compute them."""
        last = program.instructions[-1]
        self._host = last if isinstance(last.function, Host) and self._update is None else None
        """The update of an optimizer that the machine cannot compute now."""
        self._blocked: MachineUpdate | None = None
        """What the machine computed before something was in the way."""
        self._unblocked = 0
        """Number of runs since then in which nothing was, without one between them in which something was."""
        self._returns = [self._returned(value) for value in self.program.outputs]
        owned = [*[value for value, _ in self._gradients], *self._results]
        self._counts = {value: sys.getrefcount(self._arrays[value]) for value in owned}
        """References to each gradient or result that nobody else holds."""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays that were created for it."""
        return self._memory.nbytes

    def _new_gradients(self) -> list[tuple[Value, GradPlace]]:
        """The gradients that the program computes: their arrays belong to Variables."""
        gradients = []
        writes = [*self.program.writes, *self._written_before_updates()]
        for place, value in writes:
            if isinstance(place, GradPlace) and value is not None and value not in self._arrays:
                self._arrays[value] = self._memory.external(value, np.empty(value.shape, value.dtype))
                gradients.append((value, place))
        return gradients

    def _written_before_updates(self) -> list[tuple[Any, Any]]:
        """What an optimizer finds in its places."""
        calls = [i for i in self.program.instructions if isinstance(i.function, Host)]
        return [pair for i in calls for pair in zip(i.function.writes, i.args)]  # type: ignore[attr-defined]

    def _returns_views(self) -> bool:
        """Whether a result is a view of an array that may be exchanged: it would remain a view of the old one."""
        exchanged = [value for value, _ in (*self.program.state, *self._gradients)]
        exchanged += [*self._results, *[value for value, _, is_direct in self._inputs if is_direct]]
        returned = [self._arrays[value] for value in self.program.outputs if value not in exchanged]
        arrays = [self._arrays[value] for value in exchanged]
        return any(np.may_share_memory(x, y) for x in returned for y in arrays)

    def _returned(self, value: Value) -> Callable[[], Any]:
        """How a result leaves the machine."""
        array = self._arrays[value]
        places = [place for place, v in self.program.writes if v is value]
        if value in self._results or any(isinstance(place, GradPlace) for place in places):
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
        for value in self._results:
            if sys.getrefcount(self._arrays[value]) > self._counts[value]:
                self._renew(value)
        self._prepare_update(states)
        for (value, own, is_direct), x in zip(self._inputs, arrays):
            if not is_direct:
                own[...] = x
            elif _is_readable(x, value):
                self._memory.exchange(value, x)
            else:
                own[...] = x
                self._memory.exchange(value, own)
        if not self._table.run():
            raise OtherBranchError
        given = self._arrays | dict(zip(self.program.inputs, arrays))
        if self._update is not None:
            for place, value in self._written:
                place.set(None if value is None else given[value])
            self._update.finish()
        elif self._host is not None:
            self._host.function(*[None if value is None else given[value] for value in self._host.args])
        return [returned() for returned in self._returns]

    def _prepare_update(self, states: Sequence[Array]) -> None:
        """Let the machine update parameters if it can now, else the optimizer."""
        update = self._update
        if update is not None:
            if update.prepare(self.native):
                return
            if not update.is_blocked():
                self._plan(states)
                if self._update is None or self._update.prepare(self.native):
                    return
            self._plan(states, with_update=False)
            self._blocked = update
        elif self._blocked is not None:
            self._unblocked = 0 if self._blocked.is_blocked() else self._unblocked + 1
            if self._unblocked >= PATIENCE:
                self._plan(states)
                self._prepare_update(states)

    def _exchange(self, states: Sequence[Array]) -> None:
        """Use other arrays of the state."""
        if not all(state.flags.writeable for state in states):
            self._plan(states)
            return
        for i, ((value, _), new) in enumerate(zip(self.program.state, states)):
            if new is not self._states[i]:
                self._memory.exchange(value, new)
                self._arrays[value] = self._states[i] = new

    def _is_free(self, value: Value, place: GradPlace) -> bool:
        """Whether nobody but its Variable holds the gradient of the last run, so that its memory can be used again."""
        others = sys.getrefcount(self._arrays[value]) - self._counts[value]
        grad = place.owner._grad
        if grad is None or not others:
            return others == 0
        return others == 1 and grad._data is self._arrays[value] and sys.getrefcount(grad) == IN_GRAD

    def _renew(self, value: Value) -> None:
        """Compute a gradient or a result into a new array."""
        new = np.empty(value.shape, value.dtype)
        self._memory.exchange(value, new)
        self._arrays[value] = new


def _direct(program: Program) -> set[Value]:
    """The large inputs and results that are read and written where they are.

    An input may be a parameter or an array in which one is stored, so only where the program writes into no other array. Results
    are written where they are if each of their numbers is written by one step, in the order of NumPy.
    """
    if any(i.writes or isinstance(i.function, (Host, PreparedConvolution)) for i in program.instructions):
        return set()
    chains = {i.result for i in program.instructions if is_elementwise(i.function) and isinstance(i.result, Value)}
    kept = {value for place, value in program.writes if value is not None}
    results = [value for value in program.outputs if value in chains and value not in kept]
    return {value for value in (*program.inputs, *results) if value.nbytes >= DIRECT}


def _is_readable(x: Any, value: Value) -> bool:
    """Whether the machine can read an array where it is."""
    return type(x) is np.ndarray and x.dtype == value.dtype and x.flags.c_contiguous and x.flags.aligned


IN_GRAD = 3
"""References to a Variable that only ``grad`` of another one holds: the attribute, a local, and an argument."""
