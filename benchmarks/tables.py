"""Results as tables in Markdown."""

from __future__ import annotations

import statistics

from benchmarks.comparison import Comparison
from benchmarks.problems import IMAGES, VECTORS
from benchmarks.timing import Timing


def table_of(comparison: Comparison) -> str:
    """A row for each framework; the ratio is that of the medians, and its spread the quartiles of the ratios turn by turn."""
    problem = comparison.problem
    what = IMAGES[problem].what if problem in IMAGES else VECTORS[problem]
    lines = [f"### {problem}: {what}", ""]
    lines += ["| program | median | times passus | quartiles | peak memory |", "|---|--:|--:|--:|--:|"]
    lines += [f"{row(timing, comparison.ours)} {mebibytes(timing.peak)} |" for timing in comparison.timings]
    lines += [""] + [f"Without {name}: {reason}." for name, reason in comparison.skipped.items()]
    return "\n".join(lines)


def imports_table(timings: list[Timing]) -> str:
    """The time beyond NumPy's is what a package itself takes."""
    lines = ["### import in a fresh process", "", "| package | median | times numpy | quartiles |", "|---|--:|--:|--:|"]
    return "\n".join([*lines, *[row(timing, timings[0]) for timing in timings], ""])


def row(timing: Timing, ours: Timing) -> str:
    low, _, high = statistics.quantiles(timing.times_slower_than(ours), n=4)
    ratio = timing.median / ours.median
    return f"| {timing.name} | {duration(timing.median)} | {ratio:.2f} | {low:.2f} to {high:.2f} |"


def duration(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def mebibytes(count: int | None) -> str:
    return "" if count is None else f"{count / 2**20:.0f} MiB"
