"""Draw the pictures of the pages: ``python docs/steps/pictures.py``, or with numbers of pages; needs Graphviz.

A page asks for the graph of a Variable by a comment below the session that computes it. The comment names the Variable and
describes the picture:

    <!-- picture: y: The graph of y = (exp(x²))² with values and gradients -->

The comment is replaced by a link to a picture, which passus draws after running the sessions above it, with values and
gradients unless the graph is large.

A page asks for a chart by a program in a comment, which stays there, and the link. The program calls `chart` once, with the
functions of charts.py and the variables of the sessions above it, which run on mini as it stands after the step:

    <!-- chart
    chart(losses(history), x="step", y="loss", log=True)
    -->
    ![The loss falls to 0.01 in 300 steps](images/46-loss.svg)

A program that calls `mini_graph` instead draws the graph that mini has recorded. passus does not record products of constants,
so where the seed is a factor, its graphs are smaller.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import charts
from build import pages, write
from passus import Variable
from passus.display import numbers
from passus.random import seed
from passus.visualize import Drawing, draw
from passus.visualize.dot import DEFAULTS, FILLS

PAGES = Path(__file__).parent

REQUEST = re.compile(
    r"^<!-- picture: (?P<name>\w+): (?P<text>.*) -->$"
    r"|(?<!^-->\n)^!\[(?P<drawn_text>[^\]]*)\]\(images/\d\d-(?P<drawn_name>\w+)(?:-\d+)?\.svg\)$",
    flags=re.MULTILINE,
)
"""A graph to be drawn, or one that was drawn before."""

CHART = re.compile(
    r"^<!-- chart\n(?P<program>.*?)^-->\n!\[[^\]]+\]\(images/(?P<file>[\w-]+\.svg)\)$", flags=re.MULTILINE | re.DOTALL
)

ON_PASSUS = [
    (r"from mini\.testing import numerical_diff", "from passus.testing import numerical_grad as numerical_diff"),
    (r"from mini\.testing import check_gradient", "from passus.testing import check_grads as check_gradient"),
    (r"from mini\.convolution import out_size", "from passus.utils import get_conv_outsize as out_size"),
    (r"from mini\.convolution import", "from passus.functions import"),
    (r"from mini\.graphs import (.*)dot_graph", r"from passus.visualize import \1get_dot_graph as dot_graph"),
    (r"\bmini\b", "passus"),
]
"""How an import of mini becomes one of passus."""

LARGE = 70
"""Lines of a graph's text, about two for each node, from which on numbers are left out."""


FEW = 4
"""Elements of an array whose values are shown in a graph of mini."""


def on_passus(source: str) -> str:
    """A session with the imports of passus."""
    for pattern, replacement in ON_PASSUS:
        source = re.sub(pattern, replacement, source)
    return source


def illustrated(page: Path) -> str:
    """The text of a page whose requests for pictures are links to graphs, which are drawn."""
    text, namespace, start = page.read_text(), {"__name__": "__main__"}, 0
    parts: list[str] = []
    seed(0)  # Weights are the same each time.
    for number, request in enumerate(REQUEST.finditer(text)):
        run(on_passus(text[start : request.start()]), namespace)
        name = request["name"] or request["drawn_name"]
        description = request["text"] or request["drawn_text"]
        path = PAGES / "images" / f"{page.stem}-{name}{f'-{number}' if number else ''}.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(graph(namespace, name))
        parts += [text[start : request.start()], f"![{description}](images/{path.name})"]
        start = request.end()
    return "".join([*parts, text[start:]])


def run(text: str, namespace: dict[str, Any]) -> None:
    """Run the sessions in a text, whatever they print."""
    for block in re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        for example in doctest.DocTestParser().get_examples(block):
            with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
                exec(example.source, namespace)


def graph(namespace: Mapping[str, Any], name: str) -> str:
    """The graph of a page's Variable as SVG, with values and gradients unless it is large."""
    y = namespace[name]
    name_variables(namespace)
    small = draw(y).dot.count("\n") < LARGE
    drawing = draw(y, shapes=False, values=small, gradients=small)
    return drawing.svg() if small else Drawing(narrow(drawing.dot)).svg()


def narrow(dot: str) -> str:
    """The text of a graph with nodes that are no wider than their labels."""
    for shape, width in (("ellipse", 0.2), ("box", 0.3), ("plaintext", 0.1)):
        dot = dot.replace(f"shape={shape}", f"shape={shape}, width={width}, height=0.2")
    return dot


def name_variables(namespace: Mapping[str, Any]) -> None:
    """Give the Variables of a page that have no name the names under which the page knows them."""
    for name, value in namespace.items():
        if isinstance(value, Variable) and not value.name:
            value.name = name


def page_charts(page: Path) -> Iterator[tuple[str, str]]:
    """For each chart of a page the name of its file and the SVG, from sessions that run on mini."""
    text, start = page.read_text(), 0
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with mini(int(page.stem)):
        for request in CHART.finditer(text):
            run(text[start : request.start()], namespace)
            yield request["file"], drawn(request["program"], namespace)
            start = request.end()


@contextlib.contextmanager
def mini(step: int) -> Iterator[None]:
    """Within it, ``import mini`` finds the framework as it stands after a step."""
    with tempfile.TemporaryDirectory() as folder:
        write(step, Path(folder))
        sys.path.insert(0, folder)
        try:
            forget_mini()
            yield
        finally:
            sys.path.remove(folder)
            forget_mini()


def forget_mini() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "mini"]:
        del sys.modules[name]


def drawn(program: str, namespace: Mapping[str, Any]) -> str:
    """The chart or graph that a program draws. Its variables do not reach the sessions."""
    found: list[str] = []
    names = {name: getattr(charts, name) for name in charts.__all__}
    names["chart"] = lambda *marks, **options: found.append(charts.chart(*marks, **options))
    names["mini_graph"] = lambda y, **options: found.append(mini_graph(y, **options))
    exec(program, {**namespace, **names})
    return found[0]


def mini_graph(y: Any, gradients: bool = False) -> str:
    """The graph of a Variable of mini as SVG, with values, or with shapes of large arrays.

    ``gradients``: also with the gradients that are retained.
    """
    graphs: Any = importlib.import_module("mini.graphs")
    graphs.style = lambda node, verbose: mini_style(node, gradients)
    return Drawing(graphs.dot_graph(y).replace("{", "\n".join(["{", *DEFAULTS]), 1)).svg()


def mini_style(node: Any, gradients: bool) -> str:
    """The attributes of a node in the colors of passus."""
    if not hasattr(node, "data"):
        return f'label="{type(node).__name__}", shape=box, style=filled, fillcolor="{FILLS["function"]}"'
    gradient = f"gradient {numbers(node.grad.data)}" if gradients and node.grad is not None else ""
    content = numbers(node.data) if node.data.size <= FEW else str(node.data.shape)
    label = "\\n".join(filter(None, [node.name, content, gradient]))
    return f'label="{label}", shape=box, style="rounded,filled", fillcolor="{FILLS["variable"]}"'


def main(pages_only: list[str]) -> None:
    for page in pages():
        if pages_only and page.stem not in pages_only:
            continue
        if REQUEST.search(page.read_text()):
            page.write_text(illustrated(page))
        for name, svg in page_charts(page):
            (PAGES / "images" / name).write_text(svg)


if __name__ == "__main__":
    main(sys.argv[1:])
