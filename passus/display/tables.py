"""Tables of text with aligned columns."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["text_table"]


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: int = 0) -> str:
    """A table with a header; the last ``right`` columns are aligned to the right.

    >>> print(text_table(["layer", "size"], [["l1", "12"], ["l2", "7"]], right=1))
    layer  size
    -----------
    l1       12
    l2        7
    """
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    left = len(widths) - right
    justified = [
        "  ".join([cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths))])
        for cells in lines
    ]
    return "\n".join([justified[0].rstrip(), "-" * len(justified[0]), *[line.rstrip() for line in justified[1:]]])
