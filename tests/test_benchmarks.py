"""The benchmarks run, and compare frameworks that compute the same. Nothing is timed here."""

from __future__ import annotations

import importlib
from functools import partial

import pytest

from benchmarks import agreement, timing
from benchmarks.__main__ import frameworks_for, how_far, print_times
from benchmarks.problems import PROBLEMS
from benchmarks.processes import Worker
from benchmarks.timing import Timing, in_turns


@pytest.mark.parametrize("problem", PROBLEMS)
def test_all_frameworks_compute_the_same(problem: str) -> None:
    modules = {name: importlib.import_module(f"benchmarks.with_{name}") for name in frameworks_for(problem)}
    agreement.check(
        {name: getattr(module, problem)() for name, module in modules.items()}, **{"count": 5, **how_far(problem)}
    )


def test_a_framework_that_computes_something_else_is_noticed() -> None:
    with pytest.raises(AssertionError, match="peer computes something else"):
        agreement.check({"passus": lambda: 1.0, "peer": lambda: 1.01})


def test_each_program_has_its_turn_in_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "REST_SECONDS", 0.0)
    calls: list[str] = []

    def program(name: str, repeats: int) -> float:
        calls.append(name)
        return 1.0

    timings = in_turns({name: partial(program, name) for name in "ab"}, rounds=3)
    assert [(timing.name, len(timing.turns)) for timing in timings] == [("a", 3), ("b", 3)]
    assert {*calls} == {"a", "b"}


def test_a_program_in_its_own_process() -> None:
    with Worker("passus", "chain") as worker:
        assert worker(1) > 0
        assert worker(2) > 0
    assert worker.process.returncode == 0


def test_ratios_are_those_of_the_medians(capsys: pytest.CaptureFixture[str]) -> None:
    print_times("a test", [Timing("passus", [1e-6, 2e-6, 3e-6]), Timing("torch", [4e-6, 6e-6, 9e-6])])
    assert "| torch | 6.0 µs | 3.00 | 3.00 to 4.00 |" in capsys.readouterr().out
