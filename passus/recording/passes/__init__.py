"""Passes: each takes a program, and returns one that computes the same with less."""

from __future__ import annotations

from passus.recording.passes.common_subexpressions import without_common_subexpressions
from passus.recording.passes.dead_code import without_dead_code
from passus.recording.passes.ownership import with_own_gradients
from passus.recording.program import Program, Value

__all__ = ["simplified"]


def simplified(program: Program, shared: set[Value]) -> Program:
    """A program after all passes. ``shared``: gradients whose arrays have other owners."""
    program = without_common_subexpressions(without_dead_code(program))
    return with_own_gradients(program, shared)
