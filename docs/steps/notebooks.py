"""Write each step as a notebook and as a plain script: ``python docs/steps/notebooks.py FOLDER``.

The first cell writes the package as it stands after the step, so a notebook needs nothing but NumPy. A script has the same
cells, marked by ``# %%`` as editors and Jupytext read them. The pictures are copied to the folder. A notebook that you ran or
changed is not replaced, unless you say ``--force``.
"""

from __future__ import annotations

import argparse
import ast
import doctest
import inspect
import json
import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from build import PAGES, changed_by_hand, digest, framework, pages, place, versions

FOR_NOTEBOOKS = [
    (r"<!--.*?-->\n", ""),
    (r"<details><summary>Answer</summary>", "**Answer**"),
    (r"</details>\n*", ""),
    (r"\[([^\]]*)\]\(\.\./[^)]*\)", r"\1"),
    (r"\((\d\d)\.md\)", r"(step\1.ipynb)"),
    (r" · \[All steps\]\(README\.md\)", ""),
]
"""How text of a page becomes text of a notebook: an answer has several cells, and its neighbours are notebooks, too."""


FIRST_WORDS = (
    "The first cell writes the package `mini` as it stands after this step, in place of any other step. It stops if "
    "files of your own would be lost."
)


class Cell(NamedTuple):
    """A cell of a notebook: text, or code.

    Code may raise an error on purpose, given by its name, or end with an expression whose value is shown.
    """

    text: str
    is_code: bool = False
    error: str = ""
    shown: str = ""


def cells(page: Path) -> Iterator[Cell]:
    """The cells of a page: its text, its changes as text, and each session as code, without what it prints."""
    title, _, text = page.read_text().partition("\n")
    yield Cell(f"{title}\n\n{FIRST_WORDS}")
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
    """The code of a session. A cell ends with a value that the page prints; an example that raises an error has its own."""
    source = ""
    for example in doctest.DocTestParser().get_examples(block):
        code = example.source.rstrip()
        if example.exc_msg is not None:
            if source:
                yield Cell(source.rstrip(), is_code=True)
            yield Cell(code, is_code=True, error=example.exc_msg.partition(":")[0].strip())
        elif is_shown(example):
            yield Cell(source + code, is_code=True, shown=code)
        else:
            source += example.source
            continue
        source = ""
    if source:
        yield Cell(source.rstrip(), is_code=True)


def is_shown(example: doctest.Example) -> bool:
    """Whether the page prints something below an expression that is not a call of print."""
    statement = ast.parse(example.source).body[-1]
    if not example.want or not isinstance(statement, ast.Expr):
        return False
    return not (isinstance(statement.value, ast.Call) and ast.unparse(statement.value.func) == "print")


def package_writer(step: int) -> str:
    """Code that writes the package after a step to the current folder, and lets it be imported anew."""
    return "\n".join([
        "import hashlib",
        "import importlib",
        "import sys",
        "from pathlib import Path",
        "",
        f"FILES = {literal(framework(step))}",
        f"VERSIONS = {literal(versions())}",
        "",
        *[f"\n{inspect.getsource(function)}" for function in (digest, changed_by_hand, place)],
        "",
        "if own := changed_by_hand(VERSIONS, Path()):",
        """    raise FileExistsError(f"your own {', '.join(own)} would be lost; run this in another folder")""",
        "place(FILES, VERSIONS, Path())",
        "importlib.invalidate_caches()",
        'sys.path.insert(0, "")',
        'for name in [name for name in sys.modules if name.partition(".")[0] == "mini"]:',
        "    del sys.modules[name]",
    ])  # fmt: skip


def literal(values: dict[str, Any]) -> str:
    """A dictionary as code, one line for each key."""
    return "\n".join(["{", *[f"    {key!r}: {json.dumps(value)}," for key, value in values.items()], "}"])


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
    if cell.shown:
        print_value = f"sys.displayhook({in_parentheses(cell.shown)})  # Prints it as Python's prompt does."
        return f"# %%\n{cell.text.removesuffix(cell.shown)}{print_value}"
    if not cell.error:
        return f"# %%\n{cell.text}"
    message = f'    print(f"{cell.error}: {{error}}")'
    return f"# %%\ntry:\n{textwrap.indent(cell.text, '    ')}\nexcept {cell.error} as error:\n{message}"


def in_parentheses(expression: str) -> str:
    """An expression as a single argument."""
    return f"({expression})" if isinstance(ast.parse(expression, mode="eval").body, ast.Tuple) else expression


def write(folder: Path, *, force: bool = False) -> None:
    """Write all notebooks and scripts to a folder.

    Raises `FileExistsError`, and writes nothing, if one of them is there and differs; with ``force`` it is lost.
    """
    texts = {folder / f"step{page.stem}.ipynb": json.dumps(notebook(page), indent=1) + "\n" for page in pages()}
    texts |= {folder / f"step{page.stem}.py": script(page) for page in pages()}
    own = [path.name for path, text in texts.items() if path.exists() and path.read_bytes() != text.encode()]
    if own and not force:
        raise FileExistsError(f"your own {', '.join(own)} would be lost; use another folder, or --force")
    shutil.copytree(PAGES / "images", folder / "images", dirs_exist_ok=True)
    for path, text in texts.items():
        path.write_bytes(text.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description="Write each step as a notebook and as a script.")
    parser.add_argument("folder", type=Path, help="folder for the notebooks")
    parser.add_argument("--force", action="store_true", help="replace notebooks that you ran or changed, too")
    arguments = parser.parse_args()
    try:
        write(arguments.folder, force=arguments.force)
    except FileExistsError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
