"""How the cost of a training step grows with the batch, the channels, and the size of the images."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.comparison import Comparison, compare
from benchmarks.problems import GROWTH, name_in_growth

FRAMEWORKS = ("passus", "torch", "torch_channels_last", "torch_compiled", "jax")


@dataclass
class Line:
    """What grows, and the comparison at each of its values."""

    what: str
    points: dict[int, Comparison]

    def seconds(self) -> dict[str, dict[int, float]]:
        """For each framework the median at each value where it could run."""
        medians: dict[str, dict[int, float]] = {}
        for value, comparison in self.points.items():
            for timing in comparison.timings:
                medians.setdefault(timing.name, {})[value] = timing.median
        return medians


def measure(what: str, rounds: int) -> Line:
    return Line(what, {value: compare(name_in_growth(what, value), FRAMEWORKS, rounds) for value in GROWTH[what]})
