"""Draw the graphs of the pages, with their numbers: ``python docs/steps/pictures.py``; needs Graphviz.

A page asks for a picture by a comment behind the session that computes a variable:

    <!-- graph: y -->

It is replaced by a link to a picture, which passus draws after running the page's sessions so far.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from pathlib import Path
from typing import Any

from build import pages

from passus import Variable
from passus.visualize import draw

PAGES = Path(__file__).parent

REQUEST = re.compile(r"^<!-- graph: (\w+) -->$|^!\[Graph of (\w+)\]\(images/[\w-]+\.svg\)$", flags=re.MULTILINE)

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
        name = request[1] or request[2]
        y = namespace[name]
        path = PAGES / "images" / f"{page.stem}-{name}{f'-{number}' if number else ''}.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(picture(y))
        parts += [text[start : request.start()], f"![Graph of {name}](images/{path.name})"]
        start = request.end()
    return "".join([*parts, text[start:]])


def run(text: str, namespace: dict[str, Any]) -> None:
    """Run the sessions in a text, whatever they print."""
    for block in re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        for example in doctest.DocTestParser().get_examples(on_passus(block)):
            with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
                exec(example.source, namespace)


def picture(y: Variable) -> str:
    """The graph of a variable as SVG, with values and gradients unless it is large."""
    small = draw(y).dot.count("\n") < LARGE
    return draw(y, shapes=False, values=small, gradients=small).svg()


def main() -> None:
    for page in pages():
        if REQUEST.search(page.read_text()):
            page.write_text(illustrated(page))


if __name__ == "__main__":
    main()
