"""Each operation alone, in passus and in PyTorch, beside what the machine can do at most in the same minutes."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from benchmarks.comparison import Comparison, measured, started
from benchmarks.operations.costs import BYTES, FLOPS, operation_of
from benchmarks.processes import Worker, WorkerError
from benchmarks.timing import Timing, in_turns

FRAMEWORKS = ("passus", "torch")
ARITHMETIC = ("product", "multiplications")
TRAFFIC = ("triad", "copy")


@dataclass
class Operations:
    """The comparisons, and for each unit the highest speed that was reached here with anything."""

    comparisons: list[Comparison]
    ceilings: dict[str, float]

    def speed(self, comparison: Comparison, timing: Timing) -> float:
        """In the unit of the operation."""
        direction, operation = operation_of(comparison.problem)
        return operation.work[direction] / timing.median

    def share(self, comparison: Comparison, timing: Timing) -> float:
        """Of the ceiling."""
        return self.speed(comparison, timing) / self.ceilings[operation_of(comparison.problem)[1].unit]

    def name(self, comparison: Comparison) -> str:
        direction, _, name = comparison.problem.partition(":")
        return f"{name}, {direction}"


def measure(problems: list[str], rounds: int) -> Operations:
    with ExitStack() as stack:
        ceilings = ceilings_of(stack.enter_context(Worker("ceiling")), rounds)
        workers, skipped = started(FRAMEWORKS, stack)
        return Operations([measured(problem, workers, skipped, rounds) for problem in problems], ceilings)


def ceilings_of(worker: Worker, rounds: int) -> dict[str, float]:
    """Empty if there is no Numba to reach them with."""
    try:
        work = {name: worker.ask("work", name) for name in (*ARITHMETIC, *TRAFFIC)}
    except WorkerError as error:
        print(f"Without ceilings: {error}.\n")
        return {}
    timings = in_turns({name: partial(worker.ask, "turn", name) for name in work}, rounds)
    speeds = {timing.name: work[timing.name] / timing.median for timing in timings}
    return {unit: max(speeds[name] for name in names) for unit, names in ((FLOPS, ARITHMETIC), (BYTES, TRAFFIC))}
