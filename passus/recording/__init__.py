"""Recorded steps: `compile` turns one call of a step into a flat program of array operations."""

from passus.recording.compiled import RecordedFunction, compile
from passus.recording.program import Instruction, Program, Value

__all__ = ["Instruction", "Program", "RecordedFunction", "Value", "compile"]
