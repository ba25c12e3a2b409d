"""The kind of machine and its ceilings: the highest speeds measured on it during the same run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from benchmarks.operations.costs import BYTES, FLOPS
from benchmarks.processes import Worker, WorkerError
from benchmarks.timing import in_turns

MEASUREMENTS = {FLOPS: ("product", "multiplications"), BYTES: ("triad", "copy")}
SETS = {16: "AVX-512", 8: "AVX2", 4: "128 bits"}


@dataclass(frozen=True)
class Ceilings:
    """The highest speed in each unit, empty without Numba.

    ``lanes``: number of float32 in a vector of the kernels; ``threads``: their number, by default that of the cores;
    ``clock``: of a core, in GHz.
    """

    speeds: dict[str, float]
    lanes: int = 0
    threads: int = 0
    clock: float = 0.0

    def __str__(self) -> str:
        if not self.speeds:
            return "unknown speeds"
        speeds = " and ".join(f"{speed:.0f} {unit}" for unit, speed in self.speeds.items())
        return f"{speeds}: {self.kind}"

    @property
    def kind(self) -> str:
        """The kind of machine: threads, clock and vector width."""
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return f"{threads} at {self.clock:.1f} GHz, vectors of {self.lanes} numbers ({SETS[self.lanes]})"


def highest(ceilings: list[Ceilings]) -> Ceilings:
    """Return the highest speed in each unit, and the highest clock."""
    speeds: dict[str, float] = {}
    for one in ceilings:
        speeds |= {unit: max(speed, speeds.get(unit, 0)) for unit, speed in one.speeds.items()}
    kind = [max((getattr(one, name) for one in ceilings), default=0) for name in ("lanes", "threads", "clock")]
    return Ceilings(speeds, *kind)


def measured_ceilings(rounds: int) -> Ceilings:
    with Worker("ceiling") as worker:
        return ceilings_of(worker, rounds)


def ceilings_of(worker: Worker, rounds: int) -> Ceilings:
    try:
        work = {name: worker.ask("work", name) for names in MEASUREMENTS.values() for name in names}
        kind = worker.ask("kind", "ceiling")
    except WorkerError as error:
        print(f"No ceilings: {error}.\n")
        return Ceilings({})
    timings = in_turns({name: partial(worker.ask, "turn", name) for name in work}, rounds)
    speeds = {timing.name: work[timing.name] / timing.median for timing in timings}
    return Ceilings({unit: max(speeds[name] for name in names) for unit, names in MEASUREMENTS.items()}, **kind)
