"""``python -m benchmarks [problem ...]``: passus and its peers in turn, as tables of ratios in Markdown."""

from __future__ import annotations

import argparse
import importlib
import statistics
from contextlib import ExitStack

from benchmarks import agreement
from benchmarks.problems import IMAGES, PROBLEMS
from benchmarks.processes import Worker, import_times, peak_memory
from benchmarks.timing import Timing, in_turns, machine

FRAMEWORKS = ("passus", "torch", "autograd")
FRAMEWORKS_FOR_IMAGES = ("passus", "passus_numpy", "torch")
PACKAGES = ("numpy", "passus", "torch")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "what", nargs="*", metavar="what", help=f"of {', '.join((*PROBLEMS, 'memory', 'import'))}; all if none"
    )
    parser.add_argument("--rounds", type=int, default=21, help="turns of each program (default: 21)")
    chosen = parser.parse_args()
    unknown = set(chosen.what) - {*PROBLEMS, "memory", "import"}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    print(f"{machine()}\n")
    for problem, what in PROBLEMS.items():
        if not chosen.what or problem in chosen.what:
            print_times(what, time_problem(problem, chosen.rounds))
    if not chosen.what or "import" in chosen.what:
        print_times("import in a fresh process", import_times(list(PACKAGES), chosen.rounds))
    if not chosen.what or "memory" in chosen.what:
        print_memory()


def time_problem(problem: str, rounds: int) -> list[Timing]:
    frameworks = frameworks_for(problem)
    modules = {name: importlib.import_module(f"benchmarks.with_{name}") for name in frameworks}
    agreement.check({name: getattr(module, problem)() for name, module in modules.items()}, **how_far(problem))
    with ExitStack() as workers:
        return in_turns({name: workers.enter_context(Worker(name, problem)) for name in frameworks}, rounds)


def how_far(problem: str) -> dict[str, float]:
    """Of deep networks the losses part after a few steps, for rounding errors grow from step to step."""
    return {"count": 4, "rtol": 1e-3} if problem in IMAGES else {}


def frameworks_for(problem: str) -> tuple[str, ...]:
    return FRAMEWORKS_FOR_IMAGES if problem in IMAGES else FRAMEWORKS


def print_times(what: str, timings: list[Timing]) -> None:
    """A row for each program; the ratio is that of the medians, and its spread the quartiles of the ratios turn by turn."""
    ours = next(timing for timing in timings if timing.name == "passus")
    print(f"### {what}\n\n| program | median | times passus | quartiles |\n|---|--:|--:|--:|")
    for timing in timings:
        low, _, high = statistics.quantiles(timing.times_slower_than(ours), n=4)
        ratio = timing.median / ours.median
        print(f"| {timing.name} | {_spelled(timing.median)} | {ratio:.2f} | {low:.2f} to {high:.2f} |")
    print(flush=True)


def print_memory() -> None:
    print("### peak memory of a process that trains for 200 steps\n")
    print(f"| program | {' | '.join(PROBLEMS)} |\n|---|{'--:|' * len(PROBLEMS)}")
    for framework in dict.fromkeys((*FRAMEWORKS, *FRAMEWORKS_FOR_IMAGES)):
        peaks = [
            f"{peak_memory(framework, problem) / 2**20:.0f} MiB" if framework in frameworks_for(problem) else ""
            for problem in PROBLEMS
        ]
        print(f"| {framework} | {' | '.join(peaks)} |", flush=True)


def _spelled(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


if __name__ == "__main__":
    main()
