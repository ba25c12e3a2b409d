"""The base of models."""

from __future__ import annotations

from typing import Any

from passus.layers import Layer
from passus.summary import summary
from passus.visualize import plot_dot_graph

__all__ = ["Model"]


class Model(Layer):
    """A complete network: its graph can be drawn, and its layers listed in a table.

    >>> import numpy as np
    >>> from passus.layers import Linear
    >>> class Line(Model):
    ...     def __init__(self):
    ...         self.l1 = Linear(1)
    ...     def forward(self, x):
    ...         return self.l1(x)
    >>> Line()(np.ones((3, 2), np.float32)).shape
    (3, 1)
    """

    def plot(self, *inputs: Any, to_file: str = "model.png") -> Any:
        """Draw the graph of ``model(*inputs)`` to a file; in a notebook, also display it.

        Raises `DependencyError` if Graphviz is not installed.
        """
        return plot_dot_graph(self(*inputs), verbose=True, to_file=to_file)

    def summary(self, *inputs: Any, depth: int | None = None) -> str:
        """A table of the layers that ``model(*inputs)`` calls, down to a depth; see `passus.summary.summary`."""
        return summary(self, *inputs, depth=depth)
