"""Errors inside a program: they name the operation, the layer, and the line that was recorded."""

from __future__ import annotations

from passus.recording.emitter import FILE
from passus.recording.program import Program

__all__ = ["locate"]


def locate(error: Exception, program: Program) -> None:
    """Add to an error which instruction of a program has raised it."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename != FILE:
        frame = frame.tb_next
    if frame is None:
        return
    instruction = program.instructions[frame.tb_lineno - 1]
    source = instruction.source
    layer = f" of {source.layer}" if source.layer else ""
    error.add_note(
        f"In the program of {program.name}, instruction {frame.tb_lineno}{layer}{', backward' if source.backward else ''}: {instruction}\n"
        f"Recorded at {source.line}"
    )
