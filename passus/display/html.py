"""HTML of tables for notebooks; every text is escaped.

Colors are explicit, dark on white, because a notebook may have a dark theme.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

__all__ = ["STYLE", "html_block", "html_escaped", "html_fields", "html_table"]

TINT = (31, 95, 168)
"""The color of a fraction of 1 at half strength, so that dark text is readable on it."""

STYLE = "background:#fff;color:#1a1a1a;font-size:13px"
CELL = "padding:2px 10px;border-bottom:1px solid #ddd;color:#1a1a1a;white-space:pre;font-family:monospace"


def html_escaped(text: object) -> str:
    """A text as HTML that displays exactly this text.

    >>> html_escaped('<b> & "c"')
    '&lt;b&gt; &amp; &quot;c&quot;'
    """
    escaped = str(text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#x27;")):
        escaped = escaped.replace(character, entity)
    return escaped


def html_table(
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    right: int = 0,
    title: str = "",
    shades: Sequence[Sequence[float]] = (),
) -> str:
    """A table; the last ``right`` columns are aligned to the right. An empty ``head`` gives none.

    ``shades``: fractions from 0 to 1 that tint the last cells of each row.

    >>> html_table(["x"], [["<1>"]]).count("&lt;1&gt;")
    1
    """
    caption = (
        f'<caption style="{STYLE};padding:2px 10px;text-align:left;font-weight:bold">{html_escaped(title)}</caption>'
        if title
        else ""
    )
    first = [_row("th", head, right)] if head else []
    tints = [*shades] or repeat(())
    body = "".join([*first, *[_row("td", row, right, tint) for row, tint in zip(rows, tints)]])
    return f'<table style="{STYLE};border-collapse:collapse;margin:0">{caption}{body}</table>'


def html_fields(title: str, fields: Mapping[str, object]) -> str:
    """A table of names and values.

    >>> html_fields("DataLoader", {"batch size": 3}).count("batch size")
    1
    """
    return html_table((), list(fields.items()), title=title)


def html_block(title: str, text: str = "") -> str:
    """A title in bold with preformatted text below it.

    >>> html_block("x", "1 < 2").count("1 &lt; 2")
    1
    """
    below = f'<pre style="{STYLE};margin:0">{html_escaped(text)}</pre>' if text else ""
    return f'<div style="{STYLE};padding:2px 10px"><b>{html_escaped(title)}</b>{below}</div>'


def _row(tag: str, cells: Sequence[object], right: int, shades: Sequence[float] = ()) -> str:
    left = len(cells) - right
    grounds = ["#fff"] * (len(cells) - len(shades)) + [_tint(shade) for shade in shades]
    texts = [
        f'<{tag} style="{CELL};background:{ground};text-align:{"left" if i < left else "right"}">{html_escaped(cell)}</{tag}>'
        for i, (cell, ground) in enumerate(zip(cells, grounds))
    ]
    return f"<tr>{''.join(texts)}</tr>"


def _tint(shade: float) -> str:
    """A color between white and half of `TINT`; white for NaN."""
    strength = 0.5 * shade if shade > 0 else 0.0
    return f"#{''.join([f'{round(255 - strength * (255 - c)):02x}' for c in TINT])}" if strength else "#fff"
