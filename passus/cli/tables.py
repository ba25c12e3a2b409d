"""Text of reports."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["columns", "printable"]


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
    return "\n".join(
        [justified[0].rstrip(), "-" * sum([*widths, 2 * len(widths) - 2]), *map(str.rstrip, justified[1:])]
    )


def printable(text: object) -> str:
    r"""A text from a file without characters that a terminal interprets.

    >>> print(printable("red \x1b[31m"))
    red \x1b[31m
    """
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)])
