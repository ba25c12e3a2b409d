"""The package of the last step passes tests of passus, from the same table: values, gradients and second derivatives."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions
from tests.steps.programs import STEPS
from tests.table import Case, rows_by_name

sys.path.insert(0, str(STEPS))
MODULES = {name: importlib.import_module(f"mini.{name}") for name in ("core", "functions", "convolution")}
sys.path.remove(str(STEPS))
for name in [name for name in sys.modules if name.partition(".")[0] == "mini"]:  # Tests of pages import other states.
    del sys.modules[name]

FUNCTIONS = {
    name: function
    for module in MODULES.values()
    for name, function in vars(module).items()
    if inspect.isfunction(function) and not name.startswith("_")
}
ROWS = {name: row for name, row in rows_by_name().items() if name in FUNCTIONS}

EXEMPT = {
    "accuracy": "returns a number",
    "dropout": "draws other random numbers",
    "pow": "takes numbers as exponents only",
    "linear-plain, a vector": "takes matrices",
    "mean-empty": "divides by 0",
    "mean_squared_error-empty": "divides by 0",
    "softmax_cross_entropy-empty": "divides by 0",
    "conv2d-empty": "reshapes with -1",
    "softmax-empty, no classes": "has no maximum",
    "log_softmax-empty, no classes": "has no maximum",
    "matmul-plain, (": "takes matrices, no vectors",
    "matmul-empty, (0,) (0,)": "takes matrices, no vectors",
    "matmul-broadcast, (3,)": "takes matrices, no vectors",
    "conv2d-plain, without b": "takes square windows",
    "conv2d-plain, stride": "takes square windows",
    "conv2d-plain, pairs": "takes one number of pixels for all sides",
    "conv2d-plain, same": "takes numbers of pixels",
    "conv2d-plain, valid": "takes numbers of pixels",
    "pooling-empty": "has no maximum",
    "pooling-plain, same": "takes numbers of pixels",
    "pooling-plain, separate options per axis": "takes square windows",
    "pooling-plain, the whole image": "takes square windows",
    "softmax_cross_entropy-plain, images": "takes (N, C)",
    "softmax_cross_entropy-plain, probabilities": "takes labels",
}
"""By the beginning of an id, the reason why mini is not tested with it."""


def supports(name: str, case: Case) -> bool:
    """Whether mini's function has the options of a case."""
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    return len(case.args) <= len(parameters) and case.kwargs.keys() <= parameters.keys()


CASES = [
    pytest.param(name, case, id=f"{name}-{title}")
    for name, row in ROWS.items()
    for title, case in row.cases.items()
    if supports(name, case) and not any(f"{name}-{title}".startswith(exempt) for exempt in EXEMPT)
]


def derivatives(variable: Any, function: Any, case: Case) -> list[np.ndarray]:
    """The value, the gradients of a weighted sum, and the gradients of a sum of their squares."""
    xs = [variable(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in case.args]
    inputs = [x for x in xs if isinstance(x, variable)]
    y = function(*xs, **case.kwargs)
    (y * np.cos(np.arange(y.size)).reshape(y.shape)).sum().backward(create_graph=True)
    firsts = [x.grad for x in inputs]
    found = [
        y.data,
        *[np.broadcast_to(np.float64(0) if g is None else g.data, x.shape) for g, x in zip(firsts, inputs)],
    ]
    squares = [(g * g).sum() for g in firsts if g is not None]
    for x in inputs:
        x.cleargrad()
    if squares and sum(squares[1:], squares[0]).creator is not None:
        sum(squares[1:], squares[0]).backward()
    return found + [np.zeros(x.shape) if x.grad is None else x.grad.data for x in inputs]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_values_and_derivatives_of_two_orders(name: str, case: Case) -> None:
    row = ROWS[name]
    found = derivatives(MODULES["core"].Variable, FUNCTIONS[name], case)
    expected = derivatives(passus.Variable, getattr(passus.functions, name), case)
    np.testing.assert_allclose(found[0], row.reference(*case.args, **case.kwargs), rtol=1e-9, atol=1e-9)
    for f, e in zip(found, expected):
        np.testing.assert_allclose(f, e, rtol=1e-8, atol=1e-8)


def test_the_readme_states_the_part_of_the_table() -> None:
    stated = re.search(r"(\d+) cases of (\d+) functions", (STEPS / "README.md").read_text())
    assert stated is not None
    assert [int(number) for number in stated.groups()] == [len(CASES), len({param.values[0] for param in CASES})]
