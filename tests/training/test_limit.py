"""The time limit of a run."""

from __future__ import annotations

import pytest

from passus.errors import ArgumentError, WeightsError
from passus.training import TimeLimit
from tests.training.loops import Run


def test_the_time_limit_counts_across_resumed_runs(monkeypatch):
    clock = iter([100.0, 110.0, 160.0, 500.0, 501.0])
    monkeypatch.setattr("passus.training.callbacks.limit.monotonic", lambda: next(clock))
    limit, loop = TimeLimit(minutes=1), Run()
    limit.on_start(loop)
    limit.on_step(loop)
    assert (limit.seconds, limit.share, loop.stopped) == (10.0, 10 / 60, False)
    limit.on_step(loop)
    assert (limit.share, loop.stopped) == (1.0, True)

    resumed, loop = TimeLimit(minutes=2), Run()
    resumed.load_state_dict(limit.state_dict())
    resumed.on_start(loop)
    assert (resumed.share, loop.stopped) == (0.5, False)
    resumed.on_step(loop)
    assert resumed.seconds == 61.0  # The time between the runs is not counted.

    over, loop = TimeLimit(minutes=0.5), Run()
    over.load_state_dict(limit.state_dict())
    monkeypatch.setattr("passus.training.callbacks.limit.monotonic", lambda: 0.0)
    over.on_start(loop)
    assert loop.stopped


def test_invalid_limits_and_states_raise():
    with pytest.raises(ArgumentError, match="0 < minutes"):
        TimeLimit(0)
    with pytest.raises(WeightsError):
        TimeLimit(1).load_state_dict({})
