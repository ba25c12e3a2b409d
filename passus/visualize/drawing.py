"""Drawings of the graph of a result, with its shapes, values and gradients."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from passus.arguments import checked_flag
from passus.core import Function, Parameter, Variable
from passus.core.backward import all_gradients
from passus.display import numbers
from passus.errors import ArgumentError, DependencyError, DTypeError
from passus.files import FilePath, checked_path, replacing
from passus.layers import Layer
from passus.visualize.dot import dot_text
from passus.visualize.graph import Constant, Graph
from passus.visualize.graphviz import PICTURES, picture
from passus.visualize.paths import names_in, paths_of_functions

__all__ = ["Drawing", "draw"]


class Drawing:
    """A graph that displays itself in a notebook, and can be saved as a picture.

    >>> drawing = Drawing("digraph { x -> y }")
    >>> drawing
    Drawing(1 line of DOT)
    """

    def __init__(self, dot: str) -> None:
        self.dot = dot
        """The graph in the DOT language of Graphviz."""

    def svg(self) -> str:
        """The drawing as an ``<svg>`` element, for a page of HTML. Raises `DependencyError` without Graphviz."""
        text = picture(self.dot, "svg", "draw").decode()
        return re.sub(r"^.*?(?=<svg)", "", text, count=1, flags=re.DOTALL)

    def save(self, path: FilePath) -> None:
        """Write the drawing to a file; its suffix selects dot, gif, jpg, pdf, png, ps or svg.

        Raises `ArgumentError` for another suffix, `PathError` for a missing folder, `DependencyError` if Graphviz is not
        installed.
        """
        path = checked_path(path)
        kind = path.suffix.lower().removeprefix(".")
        if kind not in (*PICTURES, "dot"):
            raise ArgumentError(f"save: cannot draw {path}; use one of the suffixes dot, {', '.join(PICTURES)}")
        data = self.dot.encode() if kind == "dot" else picture(self.dot, kind, "save")
        with replacing(path) as file:
            file.write(data)

    def __repr__(self) -> str:
        lines = len(self.dot.splitlines())
        return f"Drawing({lines} {'line' if lines == 1 else 'lines'} of DOT)"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """The SVG for a notebook; without Graphviz the text of the graph, behind a comment that says how to get it."""
        try:
            return {"image/svg+xml": self.svg(), "text/plain": repr(self)}
        except DependencyError as error:
            return {"text/plain": f"// {error}\n{self.dot}"}


def draw(
    output: Variable,
    model: Layer | None = None,
    *,
    shapes: bool = True,
    values: bool = False,
    gradients: bool = False,
    constants: bool = True,
) -> Drawing:
    r"""A drawing of the graph of ``output``, which may be a gradient if it was computed with ``create_graph=True``.

    ``model``: its parameters are labelled with their paths, such as ``conv1.W``, and its layers are drawn as frames around
    their functions. ``shapes``: show shapes and dtypes. ``values``: show the elements of small arrays and the range of large
    ones. ``gradients``: show the gradient of the sum of ``output`` with respect to each Variable; it is computed for the
    drawing, and no ``grad`` changes. ``constants``: also draw operands that are arrays or numbers, such as the input of a
    model.

    Raises `DTypeError` if ``output`` is not a Variable or ``model`` not a layer, `GraphError` for gradients of a Variable
    without a graph.

    >>> x = Variable(np.array(2.0), name="x")
    >>> print(draw(x * 3.0, values=True, gradients=True).dot)  # doctest: +ELLIPSIS
    digraph {
    ...
    n0 [label="() float64\n6\ngradient 1", shape=box, style="rounded,filled", fillcolor="#ffe3bf"]
    n1 [label="Mul", shape=box, style=filled, fillcolor="#d6e9f8"]
    n2 [label="x: () float64\n2\ngradient 3", shape=box, style="rounded,filled", fillcolor="#ffe3bf"]
    n3 [label="3.0", shape=plaintext]
    n1 -> n0
    n2 -> n1
    n3 -> n1
    }
    """
    if not isinstance(output, Variable):
        raise DTypeError(f"draw: {type(output).__name__} is not supported; pass the Variable that a function returned")
    options = {"shapes": shapes, "values": values, "gradients": gradients, "constants": constants}
    for name, value in options.items():
        checked_flag("draw", name, value)
    labels = _Labels(names_in(model), shapes, values, all_gradients(output) if gradients else {})
    graph = Graph(output, constants)
    return Drawing(dot_text(graph, labels, _clusters(graph, model)))


class _Labels:
    """The texts of nodes."""

    def __init__(self, names: dict[int, str], shapes: bool, values: bool, gradients: dict[Variable, Any]) -> None:
        self.names, self.shapes, self.values, self.gradients = names, shapes, values, gradients

    def __call__(self, node: Any) -> str:
        if isinstance(node, Function):
            return type(node).__name__
        if isinstance(node, Constant) and not np.ndim(node.value):
            return str(node.value)
        array = node.value if isinstance(node, Constant) else node._data
        path = self.names.get(id(array if isinstance(node, Constant) else node))
        kind = (
            f"{array.shape} {array.dtype}" if array is not None and (self.shapes or isinstance(node, Constant)) else ""
        )
        # A path is long, so it has a line for itself.
        lines = [path, kind] if path else [": ".join(filter(None, [getattr(node, "name", None), kind]))]
        if self.values and array is not None:
            lines.append(numbers(array))
        if isinstance(node, Variable) and node in self.gradients:
            lines.append(f"gradient {numbers(self.gradients[node])}")
        return "\n".join(filter(None, lines))


def _clusters(graph: Graph, model: Layer | None) -> list[str]:
    """The path of the layer of each node: that of its function, or of the layer that holds a parameter."""
    paths = paths_of_functions(model, graph.functions)
    if model is None:
        return ["" for _ in graph.nodes]
    owners = {id(p): path.rpartition(".")[0] for path, p in model.named_params()}
    return [
        owners.get(id(node), "") if isinstance(node, Parameter) else paths.get(id(getattr(node, "creator", node)), "")
        for node in graph.nodes
    ]
