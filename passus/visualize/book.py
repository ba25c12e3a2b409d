"""The drawings of the book: `get_dot_graph` and `plot_dot_graph`."""

from __future__ import annotations

import sys
from typing import Any

from passus.core import Variable
from passus.display import in_notebook
from passus.errors import ArgumentError, DTypeError
from passus.files import FilePath, checked_path, replacing
from passus.visualize.drawing import draw
from passus.visualize.graphviz import PICTURES, picture

__all__ = ["get_dot_graph", "plot_dot_graph"]

INLINE = ("gif", "jpg", "png")
"""The formats that a notebook can display."""


def get_dot_graph(output: Variable, verbose: bool = True, constants: bool = False) -> str:
    """The graph of ``output`` in the DOT language: a node for each Variable and for each call of a function.

    ``verbose``: show the shapes and dtypes of Variables. ``constants``: also draw operands that are arrays or numbers. Equal
    graphs give equal texts. The graph of a gradient requires ``backward(create_graph=True)``. `draw` shows more.

    Raises `DTypeError` if ``output`` is not a Variable.

    >>> import numpy as np
    >>> x = Variable(np.array(2.0), name="x")
    >>> print(get_dot_graph(x * 3.0, verbose=False))  # doctest: +ELLIPSIS
    digraph {
    ...
    n0 [label="", shape=ellipse, style=filled, fillcolor="#ffe3bf"]
    n1 [label="Mul", shape=box, style=filled, fillcolor="#d6e9f8"]
    n2 [label="x", shape=ellipse, style=filled, fillcolor="#ffe3bf"]
    n1 -> n0
    n2 -> n1
    }
    """
    if not isinstance(output, Variable):
        raise DTypeError(
            f"get_dot_graph: {type(output).__name__} is not supported; pass the Variable that a function returned"
        )
    return draw(output, shapes=bool(verbose), constants=bool(constants)).dot


def plot_dot_graph(
    output: Variable, verbose: bool = True, to_file: FilePath = "graph.png", constants: bool = False
) -> Any:
    """Draw the graph of ``output`` to a file; its suffix selects gif, jpg, pdf, png, ps or svg.

    Returns the path, or in a notebook the picture if it can be displayed. ``verbose`` and ``constants``: as in
    `get_dot_graph`.

    Raises `ArgumentError` for another suffix, `PathError` for a missing folder, `DependencyError` if Graphviz is not
    installed.

    >>> import numpy as np
    >>> plot_dot_graph(Variable(np.array(1.0)), to_file="graph.txt")
    Traceback (most recent call last):
        ...
    passus.errors.ArgumentError: plot_dot_graph: cannot draw graph.txt; use one of the suffixes gif, jpg, pdf, png, ps, svg
    """
    path = checked_path(to_file)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in PICTURES:
        raise ArgumentError(f"plot_dot_graph: cannot draw {path}; use one of the suffixes {', '.join(PICTURES)}")
    data = picture(get_dot_graph(output, verbose, constants), kind, "plot_dot_graph")
    with replacing(path) as file:
        file.write(data)
    if kind in INLINE and in_notebook():
        return sys.modules["IPython"].display.Image(data=data)
    return path
