"""The comparison of all frameworks on one problem: start their processes, check agreement, and time them."""

from __future__ import annotations

import statistics
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter

from benchmarks import agreement
from benchmarks.peers import missing
from benchmarks.problems import SHALLOW
from benchmarks.processes import Worker, WorkerError
from benchmarks.timing import Timing, in_turns

FEW, MANY = 4, 20
"""Number of steps in which the losses must agree: few for deep networks, where rounding errors grow."""


@dataclass
class Comparison:
    """The timings of each framework on a problem; ``skipped``: the reasons why others could not run."""

    problem: str
    timings: list[Timing]
    skipped: dict[str, str]

    @property
    def ours(self) -> Timing:
        return next(timing for timing in self.timings if timing.name == "passus")

    @property
    def seconds(self) -> dict[str, float]:
        """The median time of each framework that ran."""
        return {timing.name: timing.median for timing in self.timings}

    def fastest_of(self, names: Collection[str]) -> Timing | None:
        """Return the fastest of these frameworks, or None if none of them ran."""
        return min((timing for timing in self.timings if timing.name in names), key=attrgetter("median"), default=None)

    def ratio(self, timing: Timing) -> float:
        """Return the time as a multiple of that of passus."""
        return timing.median / self.ours.median

    def quartiles(self, timing: Timing) -> list[float]:
        """Return the quartiles of the ratios turn by turn, the median among them."""
        ratios = [seconds / ours for seconds, ours in zip(timing.turns, self.ours.turns)]
        return statistics.quantiles(ratios, n=4, method="inclusive")


def compare(problem: str, frameworks: tuple[str, ...], rounds: int) -> Comparison:
    """Compare in fresh processes, so that peak memory is that of this problem."""
    with ExitStack() as stack:
        workers, skipped = started(frameworks, stack)
        return measured(problem, workers, skipped, rounds)


def started(frameworks: tuple[str, ...], stack: ExitStack) -> tuple[dict[str, Worker], dict[str, str]]:
    """Start the processes of the frameworks that can run here; return them and the reasons why others cannot."""
    skipped = {name: reason for name in frameworks if (reason := missing(name))}
    return {name: stack.enter_context(Worker(name)) for name in frameworks if name not in skipped}, skipped


def measured(problem: str, workers: dict[str, Worker], skipped: dict[str, str], rounds: int) -> Comparison:
    skipped = {**skipped}
    agreement.check(first_results(problem, workers, skipped), rtol=1e-4 if problem in SHALLOW else 1e-3)
    ready = {name: worker for name, worker in workers.items() if name not in skipped}
    timings = in_turns({name: partial(worker.ask, "turn", problem) for name, worker in ready.items()}, rounds)
    return Comparison(
        problem, [replace(timing, peak=ready[timing.name].ask("peak", problem)) for timing in timings], skipped
    )


def first_results(problem: str, workers: dict[str, Worker], skipped: dict[str, str]) -> dict[str, list[list[float]]]:
    """Return the results of the first steps. All processes start at once; those that fail are skipped with a reason."""
    for worker in workers.values():
        worker.send("results", problem, MANY if problem in SHALLOW else FEW)
    results = {}
    for name, worker in workers.items():
        try:
            results[name] = worker.answer()
        except WorkerError as error:
            if name == "passus":
                raise
            skipped[name] = str(error)
    return results
