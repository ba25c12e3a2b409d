"""Drawing the graph of a result, as text in the DOT language of Graphviz or as a picture.

Variables are orange ellipses and functions are blue boxes; arrows follow the forward pass.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np

from passus.core import Function, Variable
from passus.errors import ArgumentError, DependencyError, DTypeError
from passus.files import FilePath, checked_path, replacing

__all__ = ["get_dot_graph", "plot_dot_graph"]

PICTURES = ("gif", "jpg", "pdf", "png", "ps", "svg")
INLINE = ("gif", "jpg", "png")
"""The formats that a notebook can display."""


class _Constant(NamedTuple):
    """An array or number among the operands of a function; each use is a separate node."""

    value: Any


def get_dot_graph(output: Variable, verbose: bool = True, constants: bool = False) -> str:
    """The graph of ``output`` in the DOT language: a node for each Variable and for each call of a function.

    ``verbose``: show the shapes and dtypes of Variables. ``constants``: also draw operands that are arrays or numbers. Equal
    graphs give equal texts. The graph of a gradient requires ``backward(create_graph=True)``.

    Raises `DTypeError` if ``output`` is not a Variable.

    >>> x = Variable(np.array(2.0), name="x")
    >>> y = x * 3.0
    >>> print(get_dot_graph(y, verbose=False))
    digraph {
    n0 [label="", shape=ellipse, style=filled, fillcolor=orange]
    n1 -> n0
    n1 [label="Mul", shape=box, style=filled, fillcolor=lightblue]
    n2 -> n1
    n2 [label="x", shape=ellipse, style=filled, fillcolor=orange]
    }
    """
    if not isinstance(output, Variable):
        raise DTypeError(
            f"get_dot_graph: {type(output).__name__} is not supported; pass the Variable that a function returned"
        )
    lines = []
    nodes: list[Any] = [output]  # Extended during iteration; recursion would exceed Python's stack for deep graphs.
    numbers = {id(output): 0}
    for n, node in enumerate(nodes):
        lines.append(f"n{n} [label={_quoted(_label(node, verbose))}, {_style(node)}]")
        for source in _sources(node, constants):
            if id(source) not in numbers:
                numbers[id(source)] = len(nodes)
                nodes.append(source)
            lines.append(f"n{numbers[id(source)]} -> n{n}")
    return "\n".join(["digraph {", *lines, "}"])


def plot_dot_graph(
    output: Variable, verbose: bool = True, to_file: FilePath = "graph.png", constants: bool = False
) -> Any:
    """Draw the graph of ``output`` to a file; its suffix selects gif, jpg, pdf, png, ps or svg.

    Returns the path, or in a notebook the picture if it can be displayed. ``verbose`` and ``constants``: as in
    `get_dot_graph`.

    Raises `ArgumentError` for another suffix, `PathError` for a missing folder, `DependencyError` if Graphviz is not
    installed.

    >>> plot_dot_graph(Variable(np.array(1.0)), to_file="graph.txt")
    Traceback (most recent call last):
        ...
    passus.errors.ArgumentError: plot_dot_graph: cannot draw graph.txt; use one of the suffixes gif, jpg, pdf, png, ps, svg
    """
    path = checked_path(to_file)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in PICTURES:
        raise ArgumentError(f"plot_dot_graph: cannot draw {path}; use one of the suffixes {', '.join(PICTURES)}")
    picture = _drawn(get_dot_graph(output, verbose, constants), kind)
    with replacing(path) as file:
        file.write(picture)
    ipython = sys.modules.get("IPython")
    if kind in INLINE and ipython is not None and hasattr(ipython.get_ipython(), "kernel"):
        return ipython.display.Image(data=picture)
    return path


def _drawn(graph: str, kind: str) -> bytes:
    dot = shutil.which("dot")
    if dot is None:
        raise DependencyError(
            "plot_dot_graph: needs the program dot of Graphviz: apt-get install graphviz (Debian, Ubuntu), "
            "brew install graphviz (macOS). get_dot_graph gives the graph as text without it"
        )
    process = subprocess.run([dot, f"-T{kind}"], input=graph.encode(), capture_output=True, check=False)  # noqa: S603 - no shell, no argument of the user's
    if process.returncode != 0:
        raise ArgumentError(
            f"plot_dot_graph: dot could not draw {kind}: {process.stderr.decode(errors='replace').strip()}"
        )
    return process.stdout


def _sources(node: Any, constants: bool) -> list[Any]:
    """The predecessors of a node: the creator of a Variable, the inputs of a function."""
    if isinstance(node, Variable):
        return [] if node.creator is None else [node.creator]
    if isinstance(node, _Constant):
        return []
    inputs = [x if isinstance(x, Variable) else _Constant(x) for x in node.operands]
    return [x for x in inputs if constants or isinstance(x, Variable)]


def _label(node: Any, verbose: bool) -> str:
    if isinstance(node, Function):
        return type(node).__name__
    if isinstance(node, _Constant):
        return _kind_of(node.value) if np.ndim(node.value) else str(node.value)
    kind = _kind_of(node) if verbose and node._data is not None else ""
    return ": ".join(text for text in (node.name, kind) if text)


def _kind_of(x: Any) -> str:
    return f"{x.shape} {x.dtype}"


def _style(node: Any) -> str:
    if isinstance(node, _Constant):
        return "shape=plaintext"
    shape, color = ("box", "lightblue") if isinstance(node, Function) else ("ellipse", "orange")
    return f"shape={shape}, style=filled, fillcolor={color}"


def _quoted(label: str) -> str:
    """A quoted string of DOT that displays exactly this text."""
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in label)
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("&", "&amp;")):
        text = text.replace(character, escaped)
    return f'"{text}"'
