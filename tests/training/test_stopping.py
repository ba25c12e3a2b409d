"""Callbacks that act on a monitored value: early stopping, the best value, a learning rate on a plateau."""

from __future__ import annotations

import math

import numpy as np
import pytest

from passus.errors import ArgumentError, DTypeError, WeightsError
from passus.optimizers import SGD
from passus.schedules import OnPlateau
from passus.training import (
    Best,
    EarlyStopping,
    ReportPlateau,
)
from tests.training.loops import Run


def test_report_plateau_requires_a_plateau_schedule():
    with pytest.raises(DTypeError, match="OnPlateau"):
        ReportPlateau(0.1)


def test_early_stopping_restores_the_best_weights():
    run, callback = Run(), EarlyStopping(patience=2)
    run.go(callback, 3.0, 1.0, 2.0, 1.0, 0.5)
    assert run.epoch == 4, "an equal value is not an improvement"
    np.testing.assert_array_equal(run.model.b.data, [2.0])


def test_early_stopping_with_mode_max_may_leave_the_newest_weights():
    run = Run()
    run.go(EarlyStopping(patience=1, min_delta=0.5, mode="max", restore_best=False), 1.0, 1.6, 2.0, 9.0)
    assert run.epoch == 3
    np.testing.assert_array_equal(run.model.b.data, [3.0])


def test_the_best_weights_are_restored_after_the_last_epoch():
    run = Run()
    run.go(EarlyStopping(patience=9), 1.0, 2.0, math.nan)
    np.testing.assert_array_equal(run.model.b.data, [1.0])


def test_early_stopping_resumes_from_its_state():
    first, second, run = EarlyStopping(patience=3), EarlyStopping(patience=3), Run()
    run.go(first, 1.0, 2.0, 3.0)
    second.load_state_dict(first.state_dict())
    run.go(second, 4.0, 0.0)
    assert run.epoch == 4
    np.testing.assert_array_equal(run.model.b.data, [1.0])


def test_early_stopping_rejects_an_incomplete_state_unchanged():
    callback = EarlyStopping()
    before = callback.state_dict()
    with pytest.raises(WeightsError, match="missing: waited, weights"):
        callback.load_state_dict({"best": {"value": 1.0}})
    assert callback.state_dict() == before


def test_best_detects_improvements_by_mode_and_min_delta():
    assert [Best("a").improves({"a": value}) for value in (math.nan, 1.0)] == [False, True]
    best = Best("a", "max", min_delta=1)
    assert [best.improves({"a": value}) for value in (1, 2, 2.5, math.inf, math.inf)] == [
        True,
        False,
        True,
        True,
        False,
    ]
    with pytest.raises(ArgumentError, match="has loss, accuracy"):
        Best("test_loss").improves({"loss": 1.0, "accuracy": 0.5})
    with pytest.raises(WeightsError, match="missing: value"):
        best.load_state_dict({})
    with pytest.raises(ArgumentError, match="min_delta"):
        Best("a", min_delta=math.nan)
    with pytest.raises(ArgumentError, match="patience"):
        EarlyStopping(patience=0)


@pytest.mark.parametrize(("mode", "values"), [("min", (1.0, 2.0)), ("max", (2.0, 1.0))])
def test_the_learning_rate_falls_on_a_plateau(mode, values):
    schedule = OnPlateau(0.1, factor=0.5, patience=0)
    run = Run()
    run.optimizer = SGD(lr=schedule).setup(run.model)
    run.go(ReportPlateau(schedule, mode=mode), values[0])
    assert run.optimizer.lr == 0.1
    run.go(ReportPlateau(schedule, mode=mode), values[1])
    assert run.optimizer.lr == 0.05
