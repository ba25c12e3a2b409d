"""The fenced blocks of a document, and their execution."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any


def blocks(path: Path, language: str) -> list[tuple[int, str]]:
    """The fenced blocks in a language, each with the number of its first line."""
    text = path.read_text()
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, block.start(1)), block[1]) for block in found]


def run_session(source: str, namespace: dict[str, Any], path: Path, line: int) -> None:
    """Run ``>>>`` lines, and fail with a report of all mismatched outputs."""
    report: list[str] = []
    session = doctest.DocTestParser().get_doctest(source, namespace, f"{path.name}:{line}", str(path), line)
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(session, out=report.append, clear_globs=False)
    namespace.update(session.globs)
    assert results.failed == 0, "".join(report)


def run_program(source: str, namespace: dict[str, Any], path: Path, line: int) -> None:
    """Run a program with the line numbers of the document in tracebacks."""
    exec(compile("\n" * line + source, str(path), "exec"), namespace)
