"""Draw the pictures of the pages: ``python docs/steps/pictures.py``; needs Graphviz.

A page asks for a picture by a comment below the session that computes a value. The comment names the value and describes the
picture:

    <!-- picture: y: The graph of y = (exp(x²))² with values and gradients -->

The comment is replaced by a link to a picture, which passus draws after running the sessions above it. The value decides what is
drawn:

- a Variable: its graph, with values and gradients unless it is large;
- a dictionary of curves, ``{"loss": [(0, 1.5), (1, 0.7)]}``: a line chart;
- an array with two axes: a map of squares, white for the lowest number and blue for the highest. The first row is at the top.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from build import pages

from passus import Variable
from passus.display.charts import line_chart
from passus.visualize import draw

PAGES = Path(__file__).parent

REQUEST = re.compile(
    r"^<!-- picture: (?P<name>\w+): (?P<text>.*) -->$"
    r"|^!\[(?P<drawn_text>[^\]]*)\]\(images/\d\d-(?P<drawn_name>\w+)(?:-\d+)?\.svg\)$",
    flags=re.MULTILINE,
)
"""A picture to be drawn, or one that was drawn before."""

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

SIDE = 300
"""The longer side of a map in pixels."""

SHADES = 12
"""Steps from white to blue in a map, a multiple of the numbers of classes less one up to 5."""

WHITE, BLUE = np.array([255, 255, 255]), np.array([31, 95, 168])


def on_passus(source: str) -> str:
    """A session with the imports of passus."""
    for pattern, replacement in ON_PASSUS:
        source = re.sub(pattern, replacement, source)
    return source


def illustrated(page: Path) -> str:
    """The text of a page whose requests for pictures are links to pictures, which are drawn."""
    text, namespace, start = page.read_text(), {"__name__": "__main__"}, 0
    parts: list[str] = []
    for number, request in enumerate(REQUEST.finditer(text)):
        run(text[start : request.start()], namespace)
        name = request["name"] or request["drawn_name"]
        description = request["text"] or request["drawn_text"]
        path = PAGES / "images" / f"{page.stem}-{name}{f'-{number}' if number else ''}.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(picture(namespace, name, description))
        parts += [text[start : request.start()], f"![{description}](images/{path.name})"]
        start = request.end()
    return "".join([*parts, text[start:]])


def run(text: str, namespace: dict[str, Any]) -> None:
    """Run the sessions in a text, whatever they print."""
    for block in re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        for example in doctest.DocTestParser().get_examples(on_passus(block)):
            with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
                exec(example.source, namespace)


def picture(namespace: Mapping[str, Any], name: str, description: str) -> str:
    """What a page's name stands for, as SVG."""
    value = namespace[name]
    if isinstance(value, Variable):
        name_variables(namespace)
        return graph(value)
    return line_chart(description, value) if isinstance(value, Mapping) else map_of_squares(np.asarray(value))


def name_variables(namespace: Mapping[str, Any]) -> None:
    """Give the Variables of a page that have no name the names under which the page knows them."""
    for name, value in namespace.items():
        if isinstance(value, Variable) and not value.name:
            value.name = name


def graph(y: Variable) -> str:
    """The graph of a variable, with values and gradients unless it is large."""
    small = draw(y).dot.count("\n") < LARGE
    return draw(y, shapes=False, values=small, gradients=small).svg()


def map_of_squares(numbers: np.ndarray) -> str:
    """A square for each number; neighbours of one shade in a row share a rectangle."""
    low, high = numbers.min(), numbers.max()
    shares = np.round((numbers - low) / (high - low or 1) * SHADES) / SHADES
    side = SIDE / max(numbers.shape)
    rectangles: list[str] = []
    for top, row in enumerate(shares):
        left = 0
        for share, squares in groupby(row):
            width, color = (
                len(list(squares)),
                "#{:02x}{:02x}{:02x}".format(*(WHITE + share * (BLUE - WHITE)).astype(int)),
            )
            rectangles.append(f'<rect x="{left}" y="{top}" width="{width}" height="1" fill="{color}"/>')
            left += width
    rows, columns = numbers.shape
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{columns * side:.0f}" height="{rows * side:.0f}" '
        f'viewBox="0 0 {columns} {rows}" shape-rendering="crispEdges">{"".join(rectangles)}'
        f'<rect width="{columns}" height="{rows}" fill="none" stroke="#666666" stroke-width="{2 / side:.3f}"/></svg>'
    )


def main() -> None:
    for page in pages():
        if REQUEST.search(page.read_text()):
            page.write_text(illustrated(page))


if __name__ == "__main__":
    main()
