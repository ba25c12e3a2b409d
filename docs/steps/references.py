"""Keep the pages' references true: ``python docs/steps/references.py`` writes the line numbers of today into them.

A reference is a link whose title names what the lines define, a class, a function or ``Class.method``:

    [passus/core/variable.py, lines 34 to 120](../../passus/core/variable.py#L34-L120 "Variable")

In README.md, the tables of all steps get the titles of the pages and links to them; pages get the names of their stages from
there.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

PAGES = Path(__file__).parent
ROOT = PAGES.parents[1]

REFERENCE = re.compile(r'\[[^\]]*\]\(\.\./\.\./(?P<path>[\w/.]+\.py)(?:#[\w-]*)? "(?P<name>[\w.]+)"\)')

ROW = re.compile(r"^\| (?P<step>\d+) \| [^|]* \|", flags=re.MULTILINE)
"""The beginning of a row in the tables of all steps: the number and the subject."""


STAGE = re.compile(r"Stage (?P<number>\d): (?P<name>[^\n·]+?)(?=$| ·)", flags=re.MULTILINE)
"""The name of a stage, in a heading of README.md or at the top of a page."""


def current(text: str) -> str:
    """A page's text with the line numbers of today in its references, and with the name of its stage.

    Raises LookupError for a name that is not defined.
    """
    stages = {found["number"]: found[0] for found in STAGE.finditer((PAGES / "README.md").read_text())}
    text = STAGE.sub(lambda found: stages[found["number"]], text, count=1)
    return REFERENCE.sub(lambda found: reference(found["path"], found["name"]), text)


def reference(path: str, name: str) -> str:
    """The link to what a file of the project defines under a name."""
    first, last = lines_of((ROOT / path).read_text(), name)
    lines = f"line {first}" if first == last else f"lines {first} to {last}"
    return f'[{path}, {lines}](../../{path}#L{first}-L{last} "{name}")'


def lines_of(source: str, name: str) -> tuple[int, int]:
    """The first and the last line of a definition in source code."""
    body: list[ast.stmt] = ast.parse(source).body
    found: ast.stmt | None = None
    for part in name.split("."):
        found = next((node for node in body if part in names_of(node)), None)
        if found is None:
            raise LookupError(f"{name} is not defined there")
        body = getattr(found, "body", [])
    assert found is not None
    decorated = getattr(found, "decorator_list", [])
    return min([found.lineno, *[node.lineno for node in decorated]]), found.end_lineno or found.lineno


def names_of(node: ast.stmt) -> list[str]:
    """The names that a statement defines."""
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    target = getattr(node, "target", None)
    return [target.id] if isinstance(target, ast.Name) else [getattr(node, "name", "")]


def index(text: str) -> str:
    """The text of README.md with the titles of all pages that exist, as links."""

    def row(found: re.Match[str]) -> str:
        page = PAGES / f"{int(found['step']):02}.md"
        if not page.exists():
            return found[0]
        title = page.read_text().partition("\n")[0].partition(": ")[2]
        return f"| {found['step']} | [{title}]({page.name}) |"

    return ROW.sub(row, text)


if __name__ == "__main__":
    readme = PAGES / "README.md"
    readme.write_text(index(readme.read_text()))
    for page in sorted(PAGES.glob("[0-9][0-9].md")):
        page.write_text(current(page.read_text()))
