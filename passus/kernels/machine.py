"""The operations of the machine for small arrays, and how their arguments are laid out; see `native/machine.py`."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["BLOCK", "CODES", "OPERAND", "OPERATION"]

BLOCK = 1024
"""Numbers of a row that elementwise steps compute at a time."""

OPERAND = 24
"""Bytes of an operand of an elementwise step: an address, and two distances."""

OPERATION = 1 + 4 * OPERAND // 8
"""Integers of an elementwise step: a code and four operands."""


class CODES(IntEnum):
    """The steps of elementwise operations."""

    FILL = 0
    COPY = 1
    ADD = 2
    SUBTRACT = 3
    MULTIPLY = 4
    DIVIDE = 5
    MAXIMUM = 6
    MINIMUM = 7
    GREATER = 8
    GREATER_EQUAL = 9
    SELECT = 10
    NEGATIVE = 11
    ABSOLUTE = 12
    EXP = 13
    TANH = 14
    LOG = 15
    LOG1P = 16
    SQRT = 17
    RECIPROCAL_ROOT = 18
