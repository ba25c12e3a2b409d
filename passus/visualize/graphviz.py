"""Pictures of graphs, drawn by the program dot of Graphviz."""

from __future__ import annotations

import shutil
import subprocess

from passus.errors import ArgumentError, DependencyError

__all__ = ["PICTURES", "picture"]

PICTURES = ("gif", "jpg", "pdf", "png", "ps", "svg")


def picture(graph: str, kind: str, name: str) -> bytes:
    """The picture of a graph in the DOT language; ``name``: the function, for messages.

    Raises `DependencyError` if Graphviz is not installed, `ArgumentError` if it fails.
    """
    dot = shutil.which("dot")
    if dot is None:
        raise DependencyError(
            f"{name}: needs the program dot of Graphviz: apt-get install graphviz (Debian, Ubuntu), brew install graphviz "
            "(macOS), winget install graphviz (Windows). draw(y).dot and get_dot_graph(y) are the graph as text without it"
        )
    process = subprocess.run([dot, f"-T{kind}"], input=graph.encode(), capture_output=True, check=False)  # noqa: S603 - no shell, no argument of the user's
    if process.returncode != 0:
        raise ArgumentError(f"{name}: dot could not draw {kind}: {process.stderr.decode(errors='replace').strip()}")
    return process.stdout
