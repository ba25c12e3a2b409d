"""The nodes and edges of a graph, from its result back to its inputs."""

from __future__ import annotations

from typing import Any

from passus.core import Function, Variable

__all__ = ["Constant", "Graph", "is_input"]


class Constant:
    """An array or number among the operands of functions. An array is one node; each use of a number is a separate one."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Graph:
    """The nodes of the graph of ``output``, itself first, and the edges between them.

    ``nodes``: Variables, functions and constants. ``edges``: pairs of numbers of nodes in the direction of the forward pass.

    >>> import numpy as np
    >>> x = Variable(np.array(2.0), name="x")
    >>> graph = Graph(x * 3.0, constants=False)
    >>> graph.nodes[1:], graph.edges
    ([Mul(x: float64[], 3.0), variable(2.0)], [(1, 0), (2, 1)])
    """

    def __init__(self, output: Variable, constants: bool) -> None:
        self.nodes: list[Any] = [output]  # Extended during iteration; recursion would exceed Python's stack.
        self.edges: list[tuple[int, int]] = []
        numbers = {id(output): 0}
        for n, node in enumerate(self.nodes):
            for source in _sources(node, constants):
                key = id(source.value) if is_input(source) else id(source)
                if key not in numbers:
                    numbers[key] = len(self.nodes)
                    self.nodes.append(source)
                self.edges.append((numbers[key], n))

    @property
    def functions(self) -> list[Function]:
        """The functions, the youngest first."""
        return sorted([n for n in self.nodes if isinstance(n, Function)], key=lambda f: f.serial, reverse=True)


def is_input(node: Any) -> bool:
    """Whether a node is an array that was passed to a function."""
    return isinstance(node, Constant) and hasattr(node.value, "shape")


def _sources(node: Any, constants: bool) -> list[Any]:
    """The predecessors of a node: the creator of a Variable, the inputs of a function."""
    if isinstance(node, Variable):
        return [] if node.creator is None else [node.creator]
    if isinstance(node, Constant):
        return []
    inputs = [x if isinstance(x, Variable) else Constant(x) for x in node.operands]
    return [x for x in inputs if isinstance(x, Variable) or (constants and x.value is not None)]
