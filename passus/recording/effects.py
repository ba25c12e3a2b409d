"""What an operation does besides returning a result."""

from __future__ import annotations

from passus.recording.generators import Draw
from passus.recording.host import Host, Observer
from passus.recording.program import Instruction, expect, values_in

__all__ = ["has_effects"]


def has_effects(instruction: Instruction) -> bool:
    """Whether an operation writes into an array, draws random numbers, or ends a run."""
    function = instruction.function
    if instruction.writes or function is expect or isinstance(function, (Draw, Host, Observer)):
        return True
    return not any(True for _ in values_in(instruction.result))  # Otherwise nothing would come of it.
