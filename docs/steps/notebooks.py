"""Write each step as a notebook and as a plain script: ``python docs/steps/notebooks.py FOLDER``.

The first cell writes the package as it stands after the step, so a notebook needs nothing but NumPy. A script has the same
cells, marked by ``# %%`` as editors and Jupytext read them. The pictures are copied to the folder.
"""

from __future__ import annotations

import doctest
import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from build import PAGES, framework, pages

FOR_NOTEBOOKS = [
    (r"<!--.*?-->\n", ""),
    (r"<details><summary>Answer</summary>", "**Answer**"),
    (r"</details>\n*", ""),
    (r"\[([^\]]*)\]\(\.\./[^)]*\)", r"\1"),
    (r"\((\d\d)\.md\)", r"(step\1.ipynb)"),
    (r" · \[All steps\]\(README\.md\)", ""),
]
"""How text of a page becomes text of a notebook: an answer has several cells, and its neighbours are notebooks, too."""


class Cell(NamedTuple):
    """A cell of a notebook: text, or code and the name of the error that it raises on purpose."""

    text: str
    is_code: bool = False
    error: str = ""


def cells(page: Path) -> Iterator[Cell]:
    """The cells of a page: its text, its changes as text, and each session as code, without what it prints."""
    title, _, text = page.read_text().partition("\n")
    yield Cell(f"{title}\n\nThe first cell writes the package `mini` as it stands after this step.")
    yield Cell(package_writer(int(page.stem)), is_code=True)
    for part in re.split(r"^(```python\n.*?^```$)", text, flags=re.MULTILINE | re.DOTALL):
        if part.startswith("```python\n"):
            yield from session(part.removeprefix("```python\n").removesuffix("```"))
        elif words := for_notebooks(part):
            yield Cell(words)


def for_notebooks(text: str) -> str:
    """Text of a page without what only works there."""
    for pattern, replacement in FOR_NOTEBOOKS:
        text = re.sub(pattern, replacement, text, flags=re.DOTALL)
    return text.strip()


def session(block: str) -> Iterator[Cell]:
    """The code of a session; an example that raises an error is a separate cell."""
    source = ""
    for example in doctest.DocTestParser().get_examples(block):
        if example.exc_msg is None:
            source += example.source
            continue
        if source:
            yield Cell(source.rstrip(), is_code=True)
        yield Cell(example.source.rstrip(), is_code=True, error=example.exc_msg.partition(":")[0].strip())
        source = ""
    if source:
        yield Cell(source.rstrip(), is_code=True)


def package_writer(step: int) -> str:
    """Code that writes the package after a step to the current folder, and lets it be imported anew."""
    lines = ["import sys", "from pathlib import Path", ""]
    for path, text in framework(step).items():
        lines += [
            f"Path({path!r}).parent.mkdir(exist_ok=True)",
            f"Path({path!r}).write_text({json.dumps(text)})",
        ]
    lines += [
        'sys.path.insert(0, "")',
        'for name in [name for name in sys.modules if name.partition(".")[0] == "mini"]:',
        "    del sys.modules[name]",
    ]
    return "\n".join(lines)


def notebook(page: Path) -> dict[str, Any]:
    """A page in the format of Jupyter."""
    return {
        "cells": [notebook_cell(f"{page.stem}-{number}", cell) for number, cell in enumerate(cells(page))],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def notebook_cell(name: str, cell: Cell) -> dict[str, Any]:
    common = {"id": name, "metadata": {"tags": ["raises-exception"]} if cell.error else {}, "source": cell.text}
    if not cell.is_code:
        return {"cell_type": "markdown", **common}
    return {"cell_type": "code", **common, "execution_count": None, "outputs": []}


def script(page: Path) -> str:
    """A page as a program in cells."""
    return "\n\n".join(map(script_cell, cells(page))) + "\n"


def script_cell(cell: Cell) -> str:
    if not cell.is_code:
        return "\n".join(["# %% [markdown]", *[f"# {line}".rstrip() for line in cell.text.splitlines()]])
    if not cell.error:
        return f"# %%\n{cell.text}"
    message = f'    print(f"{cell.error}: {{error}}")'
    return f"# %%\ntry:\n{textwrap.indent(cell.text, '    ')}\nexcept {cell.error} as error:\n{message}"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(PAGES / "images", folder / "images", dirs_exist_ok=True)
    for page in pages():
        (folder / f"step{page.stem}.ipynb").write_text(json.dumps(notebook(page), indent=1) + "\n")
        (folder / f"step{page.stem}.py").write_text(script(page))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
