"""``python -m benchmarks.loading [name ...]``: epochs of loaders with threads and with processes, beside PyTorch's.

The programs read the same batches in alternation, an epoch or more in a turn, and drop them. Numbers are times as multiples
of that of threads; below 1 is faster. The start of processes is measured separately, until the first batch.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from contextlib import ExitStack
from functools import partial

from benchmarks import agreement
from benchmarks.loading.problems import PROBLEMS, Problem
from benchmarks.loading.programs import WORKERS, epochs_of
from benchmarks.machine import machine
from benchmarks.peers import missing
from benchmarks.tables import duration
from benchmarks.timing import Timing, in_turns, turn

START = """
import time
import numpy as np
from passus import DataLoader
for _ in range(2):
    with DataLoader(np.arange(8), 1, workers={}, processes="{}") as loader:
        started = time.perf_counter()
        next(loader)
        print(time.perf_counter() - started)
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__)
    parser.add_argument("what", nargs="*", metavar="name", help=f"any of {', '.join(PROBLEMS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="number of turns of each program (default: 5)")
    arguments = parser.parse_args()
    unknown = {*arguments.what} - {*PROBLEMS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    print(f"{machine()}\n{WORKERS} workers.\n")
    table = [measured(PROBLEMS[name], arguments.rounds) for name in arguments.what or PROBLEMS]
    print("\n".join([*heading([*table[0]]), *map(row, arguments.what or PROBLEMS, table)]))
    print(f"\n{starts()}")


def measured(problem: Problem, rounds: int) -> dict[str, Timing]:
    """Return the timings of all programs, after a check that they read the same."""
    with ExitStack() as stack:
        epochs = epochs_of(problem.dataset(), problem.batch_size, stack, peers=missing("torch") is None)
        sums = {name: [[epoch()]] for name, epoch in epochs.items()}
        agreement.check({"passus": sums["alone"], **sums}, rtol=1e-5)
        timings = in_turns({name: partial(turn, epoch) for name, epoch in epochs.items()}, rounds)
    return {timing.name: timing for timing in timings}


def heading(programs: list[str]) -> list[str]:
    return [f"| problem | threads | {' | '.join(programs)} |", f"|---|--:|{'--:|' * len(programs)}"]


def row(name: str, timings: dict[str, Timing]) -> str:
    threads = timings["threads"]
    ratios = [
        statistics.median(own / other for own, other in zip(timing.turns, threads.turns)) for timing in timings.values()
    ]
    return f"| {name}: {PROBLEMS[name].what} | {duration(threads.median)} | {' | '.join(f'{r:.2f}' for r in ratios)} |"


def starts() -> str:
    """Describe the time until the first batch, of an array in memory, in fresh programs that import passus only."""
    lines = []
    for method in ("spawn", "forkserver"):
        done = subprocess.run(
            [sys.executable, "-c", START.format(WORKERS, method)], capture_output=True, text=True, check=True
        )
        first, again = map(float, done.stdout.split())
        lines.append(f"{WORKERS} processes ({method}) start in {duration(first)}, and again in {duration(again)}.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
