"""Rows added up by a kernel: NumPy's sums, whatever the number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import passus.functions as F
from passus import Variable
from passus.kernels.scatter import scatter_add
from tests.helpers.drawing import generators
from tests.kernels.cases import with_and_without_kernels


@st.composite
def additions(draw: Any) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    rng = draw(generators())
    shape = (draw(st.integers(1, 9)), *draw(st.lists(st.integers(0, 40), max_size=2)))
    of_index = draw(st.lists(st.integers(0, 5), max_size=3))
    index = rng.integers(-shape[0], shape[0], of_index).astype(draw(st.sampled_from([np.int8, np.int32, np.int64])))
    values = rng.integers(-9, 9, (*of_index, *shape[1:])).astype(np.float32)
    if draw(st.booleans()):
        values = values.copy(order="F")
        index.flags.writeable = values.flags.writeable = False
    return shape, index, values


@given(case=additions())
@settings(max_examples=60, deadline=None)
def test_rows_are_added_up(case: tuple[tuple[int, ...], np.ndarray, np.ndarray]) -> None:
    expected = np.zeros(case[0], np.float32)
    np.add.at(expected, case[1], case[2])
    np.testing.assert_array_equal(scatter_add.compiled()(*case), expected, strict=True)
    np.testing.assert_array_equal(scatter_add.reference(*case), expected, strict=True)


def test_an_index_without_a_row_is_refused() -> None:
    for index in ([0, 3], [-4, 0]):
        with pytest.raises(IndexError, match="out of bounds for axis 0 with size 3"):
            scatter_add.compiled()((3, 2), np.array(index), np.ones((2, 2), np.float32))


def test_sums_of_rows_do_not_depend_on_the_number_of_threads(num_threads: int, rng: np.random.Generator) -> None:
    index, values = np.arange(30_000) % 7, rng.standard_normal((30_000, 70), np.float32)
    expected = scatter_add.reference((7, 70), index, values)
    np.testing.assert_array_equal(scatter_add.compiled()((7, 70), index, values), expected)


def test_a_large_embedding_gives_the_same_with_and_without_kernels(rng: np.random.Generator) -> None:
    index, table = rng.integers(0, 9, (40, 30)), rng.standard_normal((9, 24), np.float32)

    def compute() -> list[np.ndarray]:
        W = Variable(table)
        F.sum(F.embed_id(index, W) ** 3).backward(create_graph=True)
        first = W.grad
        W.cleargrad()
        F.sum(first**2).backward()
        return [first.data, W.grad.data]

    for fast, plain in zip(*with_and_without_kernels(compute)):
        np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=1e-5 * abs(plain).max())
