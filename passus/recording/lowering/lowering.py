"""The operations of a program, one instruction after the other."""

from __future__ import annotations

from typing import Any

from passus.backend import Array
from passus.kernels.machine import CODES
from passus.recording.layout import Memory
from passus.recording.lowering.assembler import FLOAT32, Assembler, is_small
from passus.recording.lowering.conditions import Conditions
from passus.recording.lowering.elementwise import emit_elementwise, lower_elementwise, masks_of
from passus.recording.lowering.labels import Labels
from passus.recording.lowering.products import lower_product
from passus.recording.lowering.reductions import lower_reduction
from passus.recording.lowering.updates import lower_update
from passus.recording.lowering.views import lower_view
from passus.recording.lowering.works import lower_work
from passus.recording.program import Instruction, Program, Value
from passus.recording.table import Table
from passus.recording.updates import MachineUpdate

__all__ = ["Lowering"]


class Lowering:
    """The operations of a program.

    ``arrays``: those of the inputs, the state, constants and gradients; the others are added. ``with_update``: whether the update of
    an optimizer at the end is an operation, too. ``is_alone``: whether one thread computes all of them.
    """

    def __init__(
        self,
        program: Program,
        arrays: dict[Value, Array],
        memory: Memory,
        native: Any,
        with_update: bool = True,
        is_alone: bool = False,
    ) -> None:
        self._program, self._with_update = program, with_update
        self._labels, self._conditions = Labels(program), Conditions(program)
        self._parts = self._labels.parts | self._conditions.parts
        """Instructions that have no operation of their own, by their ids: parts of conditions."""
        self._masks = masks_of(program, self._conditions)
        self._assembler = Assembler(arrays, memory, native, self._masks, is_alone)
        self.update: MachineUpdate | None = None
        """The update of an optimizer at the end of the program."""
        self.lowered: list[bool] = []
        """By number of an instruction, whether the machine computes it."""
        last = self._last_uses()
        for i, instruction in enumerate(program.instructions):
            self.lowered.append(self._lower(instruction))
            self._assembler.end_instruction()
            self._assembler.release(last.get(i, []))

    def finish(self) -> Table:
        """The operations, ready to run."""
        return self._assembler.finish()

    def copied(self, value: Value) -> Array | None:
        """Append a copy of an array, in memory that nothing else uses; None if the machine cannot copy it."""
        memory, source = self._assembler.memory, self._assembler.arrays[value]
        order = sorted(range(source.ndim), key=lambda i: -source.strides[i])
        if source.dtype != FLOAT32:
            return None
        copy = memory.lasting(tuple([source.shape[i] for i in order]))
        copy = copy.transpose([order.index(i) for i in range(source.ndim)])
        return copy if emit_elementwise(self._assembler, CODES.COPY, copy, [source]) else None

    def operations(self) -> Array:
        """The address of each operation, and where its arguments begin, in bytes."""
        return self._assembler.operations()

    @property
    def without_array(self) -> set[Value]:
        """Results that only other operations of the machine can read: masks, and parts of conditions."""
        return self._masks | {value for part in self._parts.values() for value in part.results}

    def _last_uses(self) -> dict[int, list[Value]]:
        """By number of an instruction, the Values that nothing reads after it."""
        last: dict[Value, int] = {}
        for i, instruction in enumerate(self._program.instructions):
            of_conditions = [*self._labels.read_by(instruction), *self._conditions.read_by(instruction)]
            for value in [*instruction.reads, *instruction.results, *of_conditions]:
                last[value] = i
        for value in self._program.results:
            last.pop(value, None)
        uses: dict[int, list[Value]] = {}
        for value, i in last.items():
            uses.setdefault(i, []).append(value)
        return uses

    def _lower(self, instruction: Instruction) -> bool:
        """Append the operations of an instruction. False if it is computed outside of the machine."""
        assembler = self._assembler
        if id(instruction) in self._parts:
            return True
        if not all(is_small(value) for value in [*instruction.reads, *instruction.results]):
            return False
        if not all(assembler.arrays[v].flags.writeable for v in instruction.writes if v in assembler.arrays):
            return False
        if (
            lower_view(instruction, assembler)
            or lower_elementwise(instruction, assembler, self._masks)
            or lower_product(instruction, assembler)
            or lower_reduction(instruction, assembler)
            or self._labels.lower(instruction, assembler)
            or self._conditions.lower(instruction, assembler, self._masks)
            or lower_work(instruction, self._program, assembler)
        ):
            return True
        if self._with_update:
            self.update = lower_update(instruction, self._program, assembler)
        if self.update is None:
            for value in instruction.results:
                assembler.target(value)
        return self.update is not None
