"""HTML of tables for notebooks; every text is escaped.

Colors are explicit, dark on white, because a notebook may have a dark theme.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

__all__ = ["STYLE", "html_block", "html_escaped", "html_fields", "html_table"]

STYLE = "background:#fff;color:#1a1a1a;font-size:13px"
CELL = (
    "padding:2px 10px;border-bottom:1px solid #ddd;background:#fff;color:#1a1a1a;white-space:pre;font-family:monospace"
)


def html_escaped(text: object) -> str:
    """A text as HTML that displays exactly this text.

    >>> html_escaped('<b> & "c"')
    '&lt;b&gt; &amp; &quot;c&quot;'
    """
    escaped = str(text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#x27;")):
        escaped = escaped.replace(character, entity)
    return escaped


def html_table(head: Sequence[object], rows: Iterable[Sequence[object]], right: int = 0, title: str = "") -> str:
    """A table; the last ``right`` columns are aligned to the right. An empty ``head`` gives none.

    >>> html_table(["x"], [["<1>"]]).count("&lt;1&gt;")
    1
    """
    caption = (
        f'<caption style="{STYLE};text-align:left;font-weight:bold">{html_escaped(title)}</caption>' if title else ""
    )
    first = [_row("th", head, right)] if head else []
    body = "".join([*first, *[_row("td", row, right) for row in rows]])
    return f'<table style="{STYLE};border-collapse:collapse">{caption}{body}</table>'


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
    below = f'<pre style="{STYLE};margin:2px 0">{html_escaped(text)}</pre>' if text else ""
    return f'<div style="{STYLE}"><b>{html_escaped(title)}</b>{below}</div>'


def _row(tag: str, cells: Sequence[object], right: int) -> str:
    left = len(cells) - right
    texts = [
        f'<{tag} style="{CELL};text-align:{"left" if i < left else "right"}">{html_escaped(cell)}</{tag}>'
        for i, cell in enumerate(cells)
    ]
    return f"<tr>{''.join(texts)}</tr>"
