"""The update of an optimizer at the end of a program."""

from __future__ import annotations

from passus.recording.lowering.assembler import Assembler
from passus.recording.lowering.elementwise import PIECE
from passus.recording.places import DataPlace
from passus.recording.program import Instruction, Program
from passus.recording.updates import MachineUpdate

__all__ = ["lower_update"]


def lower_update(instruction: Instruction, program: Program, assembler: Assembler) -> MachineUpdate | None:
    """Append the update of an optimizer, if the machine has its rule and nothing is computed after it."""
    if instruction is not program.instructions[-1] or instruction.results:
        return None
    update = MachineUpdate.of(instruction.function, instruction.args, assembler.native, assembler.memory)
    if update is None:
        return None
    arrays, places = assembler.arrays, instruction.function.writes  # type: ignore[attr-defined]  # It is a Host.
    gradients = {id(place.owner): arrays[value] for place, value in zip(places, instruction.args) if value in arrays}
    data = {id(place.owner): arrays[value] for value, place in program.state if type(place) is DataPlace}
    if any(id(p) not in gradients or id(p) not in data for _, p in update.params):
        return None
    rule = assembler.native.UPDATES[update.optimizer.rule.__name__]
    for (_, p), slots, numbers in zip(update.params, update.slots, update.numbers):
        first, read = assembler.begin(), [data[id(p)], gradients[id(p)], *[slot for _, slot in slots]]
        for start, stop in assembler.pieces(p._data.size, PIECE):
            assembler.emit(rule, stop - start, numbers, *[(x, 4 * start) for x in read])
        assembler.in_parallel(first)
    return update
