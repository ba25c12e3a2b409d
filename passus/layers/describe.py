"""The text of a layer: an indented line for each sub-layer with its options, shapes and number of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from passus.core import Parameter
from passus.display import html_escaped
from passus.display.html import STYLE
from passus.layers.lazy import LazyParameter

if TYPE_CHECKING:
    from passus.layers.base import Layer

__all__ = ["described", "html_of_layer"]


INDENT = 14
"""Indentation of a level in pixels."""


def described(root: Layer) -> str:
    """The text of a layer and its sub-layers."""
    return "\n".join(["  " * depth + line for depth, line in _tree(root)])


def html_of_layer(root: Layer) -> str:
    """The tree of a layer for a notebook, in which sub-layers can be folded."""
    lines = _tree(root)
    texts: list[str] = []
    open_depths: list[int] = []
    for i, (depth, line) in enumerate(lines):
        while open_depths and open_depths[-1] >= depth:
            open_depths.pop()
            texts.append("</details>")
        if i + 1 < len(lines) and lines[i + 1][0] > depth:
            open_depths.append(depth)
            texts.append(f'<details open style="margin-left:{INDENT}px"><summary>{html_escaped(line)}</summary>')
        else:
            texts.append(f'<div style="margin-left:{2 * INDENT}px">{html_escaped(line)}</div>')
    return f'<div style="{STYLE};font-family:monospace">{"".join([*texts, *["</details>" for _ in open_depths]])}</div>'


def _tree(root: Layer) -> list[tuple[int, str]]:
    """The depth and the text of each layer, parents before children."""
    depths: dict[str, int] = {}
    lines = []
    for path, layer in root.named_layers():
        parent = _parent(path, depths)
        depths[path] = depths.get(parent, -1) + 1 if path else 0
        name = path.removeprefix(f"{parent}.")
        lines.append((depths[path], (f"{name}: " if name else "") + _line(layer)))
    return lines


def _parent(path: str, known: dict[str, int]) -> str:
    """The path of the layer that contains the layer at ``path``."""
    while path:
        path = path.rpartition(".")[0]
        if path in known:
            break
    return path


def _line(layer: Layer) -> str:
    own = [f"{name} {_shape(p)}" for name, p in vars(layer).items() if isinstance(p, Parameter)]
    parameters = list(layer.params())
    line = f"{type(layer).__name__}({_options(layer)})" + (f"  {', '.join(own)}" if own else "")
    if parameters and all(p._data is not None for p in parameters):
        line += f"  {sum(p.size for p in parameters):,} parameters"
    return line


def _options(layer: Layer) -> str:
    simple = {
        name: value
        for name, value in vars(layer).items()
        if isinstance(value, (bool, int, float, str)) and name[0] != "_"
    }
    return ", ".join(f"{name}={value!r}" for name, value in simple.items())


def _shape(parameter: Parameter) -> Any:
    if parameter._data is not None:
        return parameter.shape
    shape = parameter.spec.shape if isinstance(parameter, LazyParameter) else None
    return "?" if shape is None else str(shape).replace("None", "?")
