"""The table of a model."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import random
from passus.config import Config
from passus.errors import DTypeError, ShapeError
from passus.layers import BatchNorm, Dropout, Layer, Linear, Sequential
from passus.models import MLP
from passus.summary import summary

X = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


def cells(table: str) -> list[list[str]]:
    head, rule, *lines = table.splitlines()
    assert set(rule) == {"-"}
    assert len(rule) == len(head)
    return [line.rsplit(maxsplit=1) for line in lines]


def test_a_table_lists_what_layers_give_and_learn() -> None:
    table = MLP((1000, 3), activation=F.relu).summary(X)
    assert table.splitlines() == [
        "layer  class   output     parameters",
        "------------------------------------",
        "l0     Linear  (5, 1000)       5,000",
        "l1     Linear  (5, 3)          3,003",
        "       MLP     (5, 3)          8,003",
    ]


def test_the_model_and_the_random_numbers_stay_as_they_are() -> None:
    model = Sequential(Linear(3, rng=np.random.default_rng(1)), BatchNorm(), Dropout(0.5), Linear(2))
    twin = copy.deepcopy(model)
    before = random.rng_state()
    summary(model, X)
    assert random.rng_state() == before
    assert Config.train
    assert Config.enable_backprop
    assert all(array is None or name.endswith(".b") for name, array in model.state_dict().items()), "still lazy"
    with random.using_rng(3):
        y = model(X)
    with random.using_rng(3):
        np.testing.assert_array_equal(y.data, twin(X).data)
    state = model.state_dict()
    summary(model, X)
    np.testing.assert_equal(model.state_dict(), state)
    assert "forward" not in vars(model)


def test_a_layer_called_twice_has_two_lines_and_is_counted_once() -> None:
    class Twice(Layer):
        def __init__(self) -> None:
            self.l1 = Linear(4, in_size=4)
            self.unused = Linear(7)

        def forward(self, x: Any) -> Any:
            return self.l1(self.l1(x)), [x, 3]

    rows = cells(summary(Twice(), X))
    assert [row[0].split()[0] for row in rows] == ["l1", "l1", "Twice"]
    assert [row[1] for row in rows] == ["20", "20", "27"]
    assert "(5, 4), (5, 4), int" in rows[2][0]


def test_the_layer_that_does_not_fit_is_named() -> None:
    model = Sequential(Linear(3), Sequential(Linear(2, in_size=7)))
    with pytest.raises(ShapeError, match=r"^sequential\.l1\.l0: linear.*5, 3.*7, 2"):
        summary(model, X)
    assert model.l0.W.data is None


def test_what_is_no_layer_is_named() -> None:
    with pytest.raises(DTypeError, match="a int is no layer"):
        summary(3)
