"""Each operation alone, in passus and in PyTorch, with the ceilings measured in the same run."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.ceilings import Ceilings, measured_ceilings
from benchmarks.comparison import Comparison, measured, started
from benchmarks.operations.costs import operation_of
from benchmarks.timing import Timing

FRAMEWORKS = ("passus", "torch")


@dataclass
class Operations:
    """The comparisons and the ceilings."""

    comparisons: list[Comparison]
    ceilings: Ceilings

    def speed(self, comparison: Comparison, timing: Timing) -> float:
        """Return the speed in the unit of the operation."""
        direction, operation = operation_of(comparison.problem)
        return operation.work[direction] / timing.median

    def share(self, comparison: Comparison, timing: Timing) -> float:
        """Return the share of the ceiling."""
        return self.speed(comparison, timing) / self.ceilings.speeds[operation_of(comparison.problem)[1].unit]

    def name(self, comparison: Comparison) -> str:
        direction, _, name = comparison.problem.partition(":")
        return f"{name}, {direction}"


def measure(problems: list[str], rounds: int) -> Operations:
    ceilings = measured_ceilings(rounds)
    with ExitStack() as stack:
        workers, skipped = started(FRAMEWORKS, stack)
        return Operations([measured(problem, workers, skipped, rounds) for problem in problems], ceilings)
