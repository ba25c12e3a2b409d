"""Lowering: from the instructions of a program to operations of the machine, one family of instructions per file."""

from passus.recording.lowering.assembler import Assembler, is_small
from passus.recording.lowering.elementwise import is_elementwise
from passus.recording.lowering.lowering import Lowering
from passus.recording.lowering.views import is_view

__all__ = ["Assembler", "Lowering", "is_elementwise", "is_small", "is_view"]
