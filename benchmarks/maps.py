"""The map of perceptrons: training steps by units and batch, compared with JAX."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.comparison import Comparison, compare
from benchmarks.peers import ON_MAP
from benchmarks.problems import MAP, name_on_map

REFERENCE = "jax"

Cells = dict[str, dict[int, float]]
"""Numbers by row of the map and batch."""


def batches_of(rows: Cells) -> list[int]:
    return sorted({N for row in rows.values() for N in row})


@dataclass
class Map:
    """The comparisons by row and batch."""

    rows: dict[str, dict[int, Comparison]]

    @property
    def programs(self) -> list[str]:
        """The programs that ran beside the reference."""
        comparisons = [comparison for row in self.rows.values() for comparison in row.values()]
        ran = {name: None for comparison in comparisons for name in comparison.seconds}
        return [name for name in ran if name != REFERENCE] if REFERENCE in ran else []

    def seconds(self, name: str) -> Cells:
        """Return the time of a program."""
        return {
            label: {N: found.seconds[name] for N, found in row.items() if name in found.seconds}
            for label, row in self.rows.items()
        }

    def ratios(self, name: str) -> Cells:
        """Return the time of JAX as a multiple of that of a program."""
        reference = self.seconds(REFERENCE)
        return {
            label: {N: reference[label][N] / seconds for N, seconds in row.items() if N in reference[label]}
            for label, row in self.seconds(name).items()
        }


def measure(problems: list[str], rounds: int) -> Map:
    """Measure the points with these names."""
    rows: dict[str, dict[int, Comparison]] = {}
    for label, N in [(label, N) for label, row in MAP.items() for N in row]:
        if (problem := name_on_map(label, N)) in problems:
            rows.setdefault(label, {})[N] = compare(problem, ON_MAP, rounds)
    return Map(rows)
