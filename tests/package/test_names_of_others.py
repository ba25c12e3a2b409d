"""The tables of names of other libraries: each name of passus in them exists, with the arguments that are shown."""

from __future__ import annotations

import ast
import inspect
import re
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
import passus.layers as L

DOCUMENT = Path(__file__).parents[2] / "docs" / "coming-from-others.md"
ROOTS: dict[str, Any] = {
    "F": F,
    "L": L,
    "np": np,
    "passus": passus,
    "x": passus.Variable(np.ones(2)),
    "model": passus.models.MLP((3,)),
    "optimizer": passus.optimizers.SGD(),
}


def right_hand_column() -> list[str]:
    """The code in the last column of the tables."""
    rows = re.findall(r"^\| .* \| (.*) \|$", DOCUMENT.read_text(), flags=re.MULTILINE)
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row)]


def resolve(node: ast.expr) -> Any:
    """The object that a chain of names stands for."""
    if isinstance(node, ast.Name):
        return ROOTS[node.id]
    assert isinstance(node, ast.Attribute), ast.dump(node)
    return getattr(resolve(node.value), node.attr)


def check(code: str) -> int:
    """Resolve each chain of names that begins with a root, and bind the arguments of calls; returns their number."""
    checked = 0
    for node in ast.walk(ast.parse(code, mode="eval")):
        if isinstance(node, ast.Attribute) and root(node) in ROOTS:
            resolve(node)
            checked += 1
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and root(node.func) in ROOTS:
            keywords = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            inspect.signature(resolve(node.func)).bind(*node.args, **keywords)
    return checked


def root(node: ast.expr) -> str:
    """The first name of a chain; an empty string if it begins with something else, such as a call."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("code", sorted(set(right_hand_column()) - {"forward", "rng=0"}))
def test_name_exists_with_its_arguments(code: str) -> None:
    assert check(code) >= 1


def test_methods_after_calls_exist() -> None:
    assert reduce(getattr, ("optimizers", "Adam", "setup"), passus)
    assert passus.training.Trainer.fit


@pytest.mark.parametrize(
    "code", ["F.cross_entropy", "model.zero_grad()", "L.Linear(3, bias=False)", "L.Linear(1, 2, 3, 4, 5, 6, 7, 8)"]
)
def test_wrong_name_fails(code: str) -> None:
    with pytest.raises((AttributeError, TypeError)):
        check(code)


def test_tables_are_found() -> None:
    assert len(right_hand_column()) > 120
