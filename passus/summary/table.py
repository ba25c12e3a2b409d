"""Formatting the rows of a summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from passus.display import text_table

__all__ = ["HEAD", "Row", "size", "table"]

HEAD = ("layer", "class", "output", "parameters", "frozen", "multiply-adds")
"""The columns; the last three are numbers."""


class Row(NamedTuple):
    """A call of a layer, including nested calls; a failed call has no numbers."""

    level: int
    """The nesting depth of the call."""
    path: str
    kind: str
    output: str
    numbers: tuple[int, int, int] | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts of the columns."""
        numbers = ("", "", "") if self.numbers is None else tuple([f"{n:,}" for n in self.numbers])
        return (self.path, self.kind, self.output, *numbers)


def table(rows: Sequence[Row]) -> str:
    """A table of the rows with a header.

    >>> print(table([Row(0, "l1", "Linear", "(2, 3)", (1015, 0, 24))]))
    layer  class   output  parameters  frozen  multiply-adds
    --------------------------------------------------------
    l1     Linear  (2, 3)       1,015       0             24
    """
    return text_table(HEAD, [row.cells for row in rows], right=3)


def size(n: int) -> str:
    """A number of bytes in a suitable decimal unit.

    >>> size(12), size(1_234_567)
    ('12 bytes', '1.2 MB')
    """
    if n < 1000:
        return f"{n} bytes"
    unit, factor = next((unit, factor) for unit, factor in UNITS.items() if n >= factor)
    return f"{n / factor:,.1f} {unit}"


UNITS = {"GB": 1e9, "MB": 1e6, "kB": 1e3}
