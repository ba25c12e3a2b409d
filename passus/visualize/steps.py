"""The steps of a computation as a table, with the numbers of the forward and of the backward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.core import Variable
from passus.core.backward import all_gradients
from passus.display import html_table, kind_of_array, numbers, text_table
from passus.errors import DTypeError, GraphError, kind_of
from passus.layers import Layer
from passus.visualize.graph import Constant, Graph
from passus.visualize.paths import names_in

__all__ = ["Step", "Steps", "steps"]

HEAD = ("step", "array", "value", "gradient")

WIDTHS = (64, 44)
"""Number of characters of a step and of numbers from which on they are shortened."""


class Step(NamedTuple):
    """A row of the table: an input, or the result of a function."""

    name: str
    call: str
    """The function and its operands, such as ``Mul(x, v1)``; empty for an input."""
    data: Array | None
    """The value of the forward pass; None if it was released."""
    gradient: Array | None
    """The gradient of the sum of the result; None where none flows."""

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts of the row."""
        kind = "" if self.data is None else kind_of_array(self.data)
        shown = [_numbers(array) for array in (self.data, self.gradient)]
        return (f"{self.name} = {self.call}" if self.call else self.name, kind, *shown)


def _numbers(array: Array | None) -> str:
    """The elements on one line, or the range if the line would be long."""
    text = " ".join(numbers(array).split())
    return text if len(text) <= WIDTHS[1] else numbers(array, limit=0) or text


class Steps:
    """The steps of a computation, in the order in which they were computed. It is a sequence of `Step`.

    Printed, or displayed in a notebook, it is a table; of a long computation the first and last rows.
    """

    def __init__(self, rows: list[Step], limit: int) -> None:
        self.rows, self.limit = rows, limit

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> Step:
        return self.rows[index]

    def __repr__(self) -> str:
        return text_table(HEAD, [(_shortened(step), *rest) for step, *rest in self._shown()])

    def _repr_html_(self) -> str:
        return html_table(HEAD, self._shown())

    def _shown(self) -> list[tuple[str, ...]]:
        hidden = len(self.rows) - self.limit
        if hidden <= 0:
            return [step.cells for step in self.rows]
        first = self.limit // 2
        note = (f"... {hidden} more steps ...", "", "", "")
        last = self.rows[first + hidden :]
        return [*[step.cells for step in self.rows[:first]], note, *[step.cells for step in last]]


def steps(y: Variable, model: Layer | None = None, *, gradients: bool = True, limit: int = 60) -> Steps:
    """The steps that computed ``y``, with the value and the gradient of each: the forward and the backward pass.

    Inputs come first, then the results of functions in the order of their calls. A Variable is listed by its name, a
    parameter of ``model`` by its path, and a Variable without a name as v1, v2, ...; behind ``l1.W``, ``.b`` is ``l1.b``. The
    gradient is that of the sum of ``y``; it is computed for the table, and no ``grad`` changes. ``limit``: number of rows shown.

    Raises `DTypeError` if ``y`` is not a Variable, `GraphError` if it has no gradient (``gradients=False`` omits them).

    >>> x = Variable(np.array(2.0), name="x")
    >>> steps(x * x + 3.0)
    step               array      value  gradient
    ---------------------------------------------
    x                  float64[]  2      4
    v1 = Mul(x, x)     float64[]  4      1
    v2 = Add(v1, 3.0)  float64[]  7      1
    """
    if not isinstance(y, Variable):
        raise DTypeError(f"steps: {kind_of(y)} is not a Variable; pass the Variable that a function returned")
    limit = checked_count("steps", "limit", limit)
    if gradients and not y.requires_grad:
        raise GraphError(
            "steps: no gradient flows to this Variable, because it was computed under no_grad(), or from arrays or integers alone; "
            "write steps(y, gradients=False) for the values that its graph holds"
        )
    gys = all_gradients(y) if gradients else {}
    graph = Graph(y, constants=True)
    made = [(node.creator.serial, n, node) for n, node in enumerate(graph.nodes) if getattr(node, "creator", None)]
    outputs = [node for _, _, node in sorted(made)]
    inputs = _inputs(graph)
    names = _names([*inputs, *outputs], names_in(model))
    rows = [Step(names[id(_identity(x))], _call(x, names), _array(x), _gradient(x, gys)) for x in [*inputs, *outputs]]
    return Steps(rows, limit)


def _inputs(graph: Graph) -> list[Any]:
    """The leaves, in the order in which functions use them."""
    used: dict[int, tuple[int, int]] = {}
    for function in graph.nodes:
        for position, operand in enumerate(getattr(function, "operands", ())):
            use = function.serial, position
            used[id(operand)] = min(used.get(id(operand), use), use)
    leaves = [node for node in graph.nodes if _is_leaf(node)]
    return sorted(leaves, key=lambda node: used.get(id(_identity(node)), (0, 0)))


def _is_leaf(node: Any) -> bool:
    if isinstance(node, Constant):
        return bool(np.ndim(node.value))
    return isinstance(node, Variable) and node.creator is None


def _identity(node: Any) -> Any:
    return node.value if isinstance(node, Constant) else node


def _array(node: Any) -> Any:
    return node.value if isinstance(node, Constant) else node.data


def _gradient(node: Any, gradients: dict[Variable, Array]) -> Array | None:
    return gradients.get(node) if isinstance(node, Variable) else None


def _names(nodes: list[Any], known: dict[int, str]) -> dict[int, str]:
    """A distinct name for each node, by ``id``."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    counts = {"c": 0, "v": 0}
    for node in nodes:
        key = id(_identity(node))
        name = known.get(key) or getattr(node, "name", None)
        if name is None or name in taken:
            letter = "c" if isinstance(node, Constant) else "v"
            stem = f"{name} " if name else letter
            counts.setdefault(stem, 1)
            name = stem
            while name == stem or name in taken:
                counts[stem] += 1
                name = f"{stem}{counts[stem]}"
        taken.add(name)
        names[key] = name
    return names


def _call(node: Any, names: dict[int, str]) -> str:
    if isinstance(node, Constant) or node.creator is None:
        return ""
    function = node.creator
    operands = ", ".join(_operands(function.operands, names))
    index = next(i for i, output in enumerate(function.outputs) if output() is node)
    result = f"[{index}]" if len(function.outputs) > 1 else ""
    return f"{type(function).__name__}({operands}){result}"


def _operands(operands: Sequence[Any], names: dict[int, str]) -> Iterator[str]:
    """The names of operands, with that of a layer only once, and numbers."""
    last = ""
    for x in operands:
        name = names.get(id(x), "")
        layer, dot, own = name.rpartition(".")
        yield (dot + own if layer and layer == last else name) or str(x)
        last = layer


def _shortened(text: str) -> str:
    """A text without its middle if it is long."""
    half = (WIDTHS[0] - 3) // 2
    return text if len(text) <= WIDTHS[0] else f"{text[:half]}...{text[-half:]}"
