"""Text of reports, and their values for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["columns", "jsonable", "printable"]

MAX_RULE = 79
"""Length of the longest line below a header: a longer one would break in a terminal of 80 columns."""


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 0) -> str:
    """Rows in columns below a header; the last ``numbers`` columns are aligned to the right.

    >>> print(columns(("name", "bytes"), [("W", "1,200"), ("b", "12")], numbers=1))
    name  bytes
    -----------
    W     1,200
    b        12
    """
    lines = [tuple(head), *[tuple(row) for row in rows]]
    widths = [max(map(len, cells)) for cells in zip(*lines)]
    texts = [len(head) - numbers > i for i in range(len(head))]
    justified = [
        "  ".join([cell.ljust(width) if text else cell.rjust(width) for cell, width, text in zip(line, widths, texts)])
        for line in lines
    ]
    rule = "-" * min(MAX_RULE, len(justified[0]))
    return "\n".join([justified[0].rstrip(), rule, *map(str.rstrip, justified[1:])])


def printable(text: object) -> str:
    r"""A text from a file without characters that a terminal interprets.

    >>> print(printable("red \x1b[31m"))
    red \x1b[31m
    """
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)])


def jsonable(value: Any) -> Any:
    """A value with the types of JSON, which has neither NaN nor infinity: they become strings, as in Protocol Buffers.

    >>> jsonable({"losses": (0.5, float("nan"), -float("inf")), 3: None})
    {'losses': [0.5, 'NaN', '-Infinity'], '3': None}
    """
    if isinstance(value, Mapping):
        return {str(name): jsonable(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, (str, int, float, type(None))) else str(value)
