"""Drawing the graph behind a result: as text in the language of Graphviz, or as a picture.

Variables are orange ellipses and functions are blue boxes; arrows go the way of the forward pass.
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
"""The pictures that a notebook shows from their bytes."""


class _Constant(NamedTuple):
    """An array or a number that a function was given: one node for each time."""

    value: Any


def get_dot_graph(output: Variable, verbose: bool = True, constants: bool = False) -> str:
    """The graph behind ``output`` in the DOT language: a node for each Variable and for each call of a function.

    With ``verbose``, Variables show their shapes and dtypes. With ``constants``, the arrays and numbers that functions
    were given are drawn too. Equal graphs give equal texts. The graph of a gradient needs
    ``backward(create_graph=True)``.

    Raises `DTypeError` if ``output`` is no Variable.

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
    nodes: list[Any] = [output]  # Grows while it is read: the graph may be deeper than Python's stack.
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
    """Draw the graph behind ``output`` into a file, whose ending chooses gif, jpg, pdf, png, ps or svg.

    Returns the path; in a notebook, the picture itself where one can be shown. ``verbose`` and ``constants`` are those
    of `get_dot_graph`.

    Raises `ArgumentError` for another ending, `PathError` for a folder that is not there, `DependencyError` if Graphviz
    is not installed.

    >>> plot_dot_graph(Variable(np.array(1.0)), to_file="graph.txt")
    Traceback (most recent call last):
        ...
    passus.errors.ArgumentError: plot_dot_graph: cannot draw graph.txt; let its name end in gif, jpg, pdf, png, ps, svg
    """
    path = checked_path(to_file)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in PICTURES:
        raise ArgumentError(f"plot_dot_graph: cannot draw {path}; let its name end in {', '.join(PICTURES)}")
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
    done = subprocess.run([dot, f"-T{kind}"], input=graph.encode(), capture_output=True, check=False)  # noqa: S603 - no shell, no argument of the user's
    if done.returncode != 0:
        raise ArgumentError(
            f"plot_dot_graph: dot could not draw {kind}: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout


def _sources(node: Any, constants: bool) -> list[Any]:
    """What a node was made from: a Variable from its creator, a function from its inputs."""
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
    described = _kind_of(node) if verbose and node._data is not None else ""
    return ": ".join(part for part in (node.name, described) if part)


def _kind_of(x: Any) -> str:
    return f"{x.shape} {x.dtype}"


def _style(node: Any) -> str:
    if isinstance(node, _Constant):
        return "shape=plaintext"
    shape, color = ("box", "lightblue") if isinstance(node, Function) else ("ellipse", "orange")
    return f"shape={shape}, style=filled, fillcolor={color}"


def _quoted(label: str) -> str:
    """A quoted string of DOT that shows exactly this text."""
    shown = "".join(c if c.isprintable() or c == "\n" else " " for c in label)
    for character, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("&", "&amp;")):
        shown = shown.replace(character, written)
    return f'"{shown}"'
