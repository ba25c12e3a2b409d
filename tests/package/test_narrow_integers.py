"""Indices and labels of narrow and unsigned integers."""

from __future__ import annotations

import numpy as np
import pytest

import passus.functions as F
from passus import Variable


@pytest.mark.parametrize(("dtype", "rows"), [("u1", 256), ("i1", 128), ("i2", 40_000), ("u2", 65_536), ("u8", 300)])
def test_indices_of_narrow_integers_select_all_rows(dtype: str, rows: int) -> None:
    index = np.array([0, 1, min(rows, np.iinfo(dtype).max) - 1], dtype)
    W = Variable(np.ones((rows, 2), np.float32))
    for take in (
        F.embed_id(index, W),
        F.get_item(W, index),
        F.take_along_axis(W, index[:, None] * np.ones((1, 2), dtype), 0),
    ):
        W.cleargrad()
        take.sum().backward()
        assert W.grad is not None
        np.testing.assert_array_equal(np.flatnonzero(W.grad.data[:, 0]), np.sort(index.astype(int)))
    assert F.one_hot(index, rows).argmax(axis=1).tolist() == index.tolist()
    x = Variable(np.zeros((3, rows), np.float32))
    F.softmax_cross_entropy(x, index).backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.data.argmin(axis=1), index)


def test_ignored_labels_of_unsigned_integers() -> None:
    x = np.array([[0.0, 1.0], [2.0, 0.0]])
    signed = F.softmax_cross_entropy(x, np.array([0, -1]), ignore_index=-1)
    np.testing.assert_allclose(F.softmax_cross_entropy(x, np.array([0, 255], "u1"), ignore_index=255), signed)
    np.testing.assert_allclose(
        F.softmax_cross_entropy(x, np.array([0, 1], "u1"), ignore_index=-1),
        F.softmax_cross_entropy(x, np.array([0, 1])),
    )


def test_negative_indices_of_narrow_integers_count_from_the_end() -> None:
    x = Variable(np.arange(200.0))
    y = x[np.array([-1, -1, 5], np.int8)]
    np.testing.assert_array_equal(y.data, [199, 199, 5])
    y.sum().backward()
    assert x.grad is not None
    assert (x.grad.data[199], x.grad.data[5], x.grad.data.sum()) == (2, 1, 3)
