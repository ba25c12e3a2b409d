"""Every public function, recorded with its gradients, against the eager call: equal in each bit, also on other numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from passus.backend.trace import Method
from passus.core import Variable
from passus.errors import PassusError
from passus.recording import recorder
from passus.recording.compiled import compile
from passus.recording.program import Program, is_hashable
from passus.recording.recorder import PURE, PURE_METHODS, PURE_TYPES
from tests.functions.test_table import CASES, call, flat, floats
from tests.table import Row


def with_gradients(row: Row, case: Any, positions: list[int]) -> Callable[..., list[Any]]:
    """A function of the floating-point arrays of a case: the outputs, and the gradients of the sum of their squares."""

    def step(*arrays: Any) -> list[Any]:
        variables = [Variable(x) for x in arrays]
        args = list(case.args)
        for i, x in zip(positions, variables):
            args[i] = x
        ys = flat(call(row, case, args))
        total: Any = 0.0
        for y in ys:
            if isinstance(y, Variable) and y.dtype.kind == "f" and y.requires_grad:
                total = total + (y * y).sum()
        if isinstance(total, Variable):
            total.backward()
        return [*ys, *[x.grad for x in variables]]

    return step


def array(y: Any) -> Any:
    return y.data if isinstance(y, Variable) else y


@pytest.fixture
def unknown_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the arguments of all functions be compared before and after their calls."""
    monkeypatch.setattr(recorder, "PURE_TYPES", ())
    monkeypatch.setattr(recorder, "PURE_METHODS", frozenset())
    monkeypatch.setattr(recorder, "PURE", frozenset())


def assert_pure(program: Program) -> None:
    """Require that no function wrote into its arguments that is not expected to."""
    for instruction in program.instructions:
        function = instruction.function
        is_method = isinstance(function, Method) and function.name in PURE_METHODS
        if isinstance(function, PURE_TYPES) or is_method or (is_hashable(function) and function in PURE):
            assert {*instruction.writes} <= {*instruction.results}, instruction  # A result may be the argument itself.


@pytest.mark.usefixtures("unknown_functions")
@pytest.mark.parametrize(("row", "case"), CASES)
def test_recorded_function_and_gradients_equal_the_eager_ones(row: Row, case: Any) -> None:
    positions = floats(case)
    if not positions:
        pytest.skip("no floating-point input")
    step = with_gradients(row, case, positions)
    recorded = compile(step, exact=True)
    arrays = [case.args[i] for i in positions]
    changed = [x[::-1] * 1.0 if x.ndim else x.copy() for x in arrays]
    for numbers in (arrays, arrays, arrays, changed):
        try:
            expected_results = step(*[x.copy() for x in numbers])
        except PassusError:
            assert numbers is changed  # No longer positive definite.
            return
        if recorded.versions:
            assert_pure(recorded.versions[0].program)
        for y, expected in zip(recorded(*[x.copy() for x in numbers]), expected_results):
            assert (y is None) == (expected is None)
            np.testing.assert_array_equal(array(y), array(expected))
