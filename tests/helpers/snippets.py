"""The fenced blocks of a document, and their execution."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
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


def is_script(source: str) -> bool:
    """Whether a program is written for a file, which other processes import."""
    return 'if __name__ == "__main__":' in source


def run_script(source: str, folder: Path, line: int) -> None:
    """Run a program from a file, with the line numbers of the document, in a process of its own."""
    script = folder / "script.py"
    script.write_text("\n" * line + source)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    done = subprocess.run([sys.executable, "-W", "error", str(script)], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def run_program(source: str, namespace: dict[str, Any], path: Path, line: int) -> None:
    """Run a program with the line numbers of the document in tracebacks."""
    exec(compile("\n" * line + source, str(path), "exec"), namespace)
