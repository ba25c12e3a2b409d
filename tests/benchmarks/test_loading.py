"""The comparison of loaders runs, and they read the same."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import numpy as np
import pytest

from benchmarks import timing
from benchmarks.loading import __main__ as comparison
from benchmarks.loading.problems import PROBLEMS, Problem
from benchmarks.loading.programs import epochs_of
from benchmarks.timing import Timing


@pytest.mark.parametrize("name", PROBLEMS)
def test_all_loaders_read_the_same(name: str) -> None:
    dataset = PROBLEMS[name].dataset()
    batch = [dataset[i] for i in range(8)]
    with ExitStack() as stack:
        epochs = epochs_of(batch, 4, stack, peers=name == "python")
        sums = [epoch() for epoch in epochs.values()]
    np.testing.assert_allclose(sums, sums[0], rtol=1e-6)


def test_each_program_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "missing", lambda name: "left out, because its processes take seconds to start")
    monkeypatch.setattr(timing, "TURN_SECONDS", 0.001)
    timings = comparison.measured(Problem("rows", 2, (8, 3)), 2)
    assert [*timings] == ["alone", "threads", "processes"]
    assert all(len(one.turns) == 2 for one in timings.values())


def test_a_report_shows_ratios_to_threads(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def timings(problem: object, rounds: int) -> dict[str, Timing]:
        return {"threads": Timing("threads", [2.0] * rounds), "processes": Timing("processes", [1.0] * rounds)}

    monkeypatch.setattr(comparison, "measured", timings)
    monkeypatch.setattr(sys, "argv", ["loading", "numpy", "--rounds", "2"])
    comparison.main()
    output = capsys.readouterr().out
    assert "| problem | threads | threads | processes |" in output
    assert "| 2000.00 ms | 1.00 | 0.50 |" in output
    assert "2 processes (spawn) start in" in output
    monkeypatch.setattr(sys, "argv", ["loading", "nothing"])
    with pytest.raises(SystemExit):
        comparison.main()
    assert "unknown: nothing" in capsys.readouterr().err
