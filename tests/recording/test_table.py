"""Every public function, recorded with its gradients, against the eager call: equal in each bit, also on other numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from passus.core import Variable
from passus.errors import RecordingError
from passus.recording.emitter import emit
from passus.recording.recorder import record
from tests.functions.test_table import CASES, call, flat, floats
from tests.table import Row


def boxed(array: Any) -> Variable:
    """A Variable of a traced array, which the constructor would refuse."""
    x = Variable(np.zeros(()))
    x._data = array
    return x


def with_gradients(row: Row, case: Any, positions: list[int]) -> Callable[..., list[Any]]:
    """A function of the floating-point arrays of a case: the outputs, and the gradients of the sum of their squares."""

    def step(*arrays: Any) -> list[Any]:
        variables = [boxed(x) for x in arrays]
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
        arrays_of_grads = [None if x._grad is None else x._grad._data for x in variables]
        return [y._data if isinstance(y, Variable) else y for y in ys] + arrays_of_grads

    return step


@pytest.mark.parametrize(("row", "case"), CASES)
def test_recorded_function_and_gradients_equal_the_eager_ones(row: Row, case: Any) -> None:
    positions = floats(case)
    if not positions:
        pytest.skip("no floating-point input")
    step = with_gradients(row, case, positions)
    arrays = [case.args[i] for i in positions]
    run = emit(record(step, [x.copy() for x in arrays]))
    changed = [x[::-1] * 1.0 if x.ndim else x * 1.0 for x in arrays]
    for numbers in (arrays, changed):
        for y, expected in zip(run(*[x.copy() for x in numbers]), step(*[x.copy() for x in numbers])):
            assert (y is None) == (expected is None)
            np.testing.assert_array_equal(y, expected)
