"""The text of a graph in the DOT language of Graphviz.

The background is white, text is dark, and fills are light: Variables are orange ellipses, parameters green ones, arrays
grey ones, functions blue boxes, and numbers have no fill. A label of several lines is in a rounded box, which needs less
space than an ellipse. A frame surrounds the functions and parameters of a layer. A parameter that is used once stands beside
its function: above it, it would be level with the results of the layer before, and the frames, which cannot overlap, would
stand side by side instead of one below the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from passus.core import Function, Parameter, Variable
from passus.visualize.graph import Graph, is_input

__all__ = ["dot_text"]

DEFAULTS = (
    'graph [bgcolor=white, fontname="Helvetica", fontsize=13, fontcolor="#1a1a1a", color="#999999", labeljust=l, ranksep=0.3, nodesep=0.2]',
    'node [fontname="Helvetica", fontsize=13, fontcolor="#1a1a1a", color="#666666", height=0.3, margin="0.12,0.05"]',
    'edge [color="#666666", arrowsize=0.7]',
)
"""The appearance of all graphs."""

FILLS = {"variable": "#ffe3bf", "parameter": "#d9f0d0", "function": "#d6e9f8", "input": "#f2f2f2"}


def dot_text(graph: Graph, label: Callable[[Any], str], clusters: Sequence[str]) -> str:
    """The text of a graph. ``label``: the text of a node. ``clusters``: the path of the layer of each node, or "".

    >>> import numpy as np
    >>> graph = Graph(Variable(np.array(1.0)), constants=False)
    >>> print(dot_text(graph, lambda node: "x", ["l1"]).splitlines()[-2])
    subgraph "cluster l1" { label="l1"; n0; }
    """
    texts = [label(node) for node in graph.nodes]
    nodes = [f"n{n} [label={_quoted(text)}, {_style(graph.nodes[n], text)}]" for n, text in enumerate(texts)]
    return "\n".join(["digraph {", *DEFAULTS, *nodes, *_edges(graph), *_frames(clusters), "}"])


def _edges(graph: Graph) -> list[str]:
    """The edges; ``minlen=0`` puts a parameter on the line of its function, a reversed edge to the right of it."""
    uses = Counter(a for a, _ in graph.edges)
    beside = Counter[int]()
    texts = []
    for a, b in graph.edges:
        if isinstance(graph.nodes[a], Parameter) and uses[a] == 1:
            beside[b] += 1
            texts.append(f"n{a} -> n{b} [minlen=0]" if beside[b] % 2 else f"n{b} -> n{a} [minlen=0, dir=back]")
        else:
            texts.append(f"n{a} -> n{b}")
    return texts


def _frames(clusters: Sequence[str]) -> list[str]:
    """A subgraph for each outermost layer, with those of its sub-layers inside."""
    members: dict[str, list[str]] = {}
    for n, path in enumerate(clusters):
        if path:
            members.setdefault(path, []).append(f"n{n};")
    for path in list(members):
        while "." in path:
            path = path.rpartition(".")[0]
            members.setdefault(path, [])
    return [_frame(path, members) for path in members if "." not in path]


def _frame(path: str, members: dict[str, list[str]]) -> str:
    inner = [_frame(child, members) for child in members if child.rpartition(".")[0] == path]
    name, label = _quoted(f"cluster {path}"), _quoted(path)
    return f"subgraph {name} {{ label={label}; {' '.join([*members[path], *inner])} }}"


def _style(node: Any, text: str) -> str:
    if isinstance(node, Function):
        return f'shape=box, style=filled, fillcolor="{FILLS["function"]}"'
    if not isinstance(node, Variable) and not is_input(node):
        return "shape=plaintext"
    kind = ("parameter" if isinstance(node, Parameter) else "variable") if isinstance(node, Variable) else "input"
    shape = 'shape=box, style="rounded,filled"' if "\n" in text else "shape=ellipse, style=filled"
    return f'{shape}, fillcolor="{FILLS[kind]}"'


def _quoted(label: str) -> str:
    """A quoted string of DOT that displays exactly this text."""
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in label)
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("&", "&amp;")):
        text = text.replace(character, escaped)
    return f'"{text}"'
