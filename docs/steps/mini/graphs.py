import shutil
import subprocess
from pathlib import Path

from mini.core import Function


def dot_graph(output, verbose=False):
    lines, nodes, numbers = [], [output], {id(output): 0}
    for n, node in enumerate(nodes):
        lines.append(f"n{n} [{style(node, verbose)}]")
        for source in sources(node):
            if id(source) not in numbers:
                numbers[id(source)] = len(nodes)
                nodes.append(source)
            lines.append(f"n{numbers[id(source)]} -> n{n}")
    return "\n".join(["digraph {", *lines, "}"])


def sources(node):
    if isinstance(node, Function):
        return node.inputs
    return [] if node.creator is None else [node.creator]


def style(node, verbose):
    if isinstance(node, Function):
        return f'label="{type(node).__name__}", shape=box, style=filled, fillcolor=lightblue'
    kind = f"{node.shape} {node.dtype}" if verbose and node.data is not None else None
    label = ": ".join(filter(None, [node.name, kind]))
    return f'label="{label}", shape=ellipse, style=filled, fillcolor=orange'


def draw(output, path, verbose=False):
    path = Path(path)
    text = path.with_suffix(".dot")
    text.write_text(dot_graph(output, verbose), encoding="utf-8")
    if shutil.which("dot") is None:
        return text
    subprocess.run(["dot", f"-T{path.suffix[1:]}", text, "-o", path], check=True)
    return path
