"""How the cost grows: of a training step with the batch, the channels and the image size, of attention with the tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.comparison import Comparison, compare
from benchmarks.problems import GROWTH, name_in_growth
from benchmarks.timing import Timing

FRAMEWORKS = ("passus", "torch", "torch_channels_last", "torch_compiled", "jax")


@dataclass
class Line:
    """What grows, and the comparison at each of its values."""

    what: str
    points: dict[int, Comparison]

    def seconds(self) -> dict[str, dict[int, float]]:
        """For each framework the median at each value where it could run."""
        return self._of_each(lambda timing: timing.median)

    def peaks(self) -> dict[str, dict[int, float]]:
        """For each framework the most bytes that its process had in memory, at each value where it could run."""
        return self._of_each(lambda timing: timing.peak or 0)

    def _of_each(self, number: Callable[[Timing], float]) -> dict[str, dict[int, float]]:
        numbers: dict[str, dict[int, float]] = {}
        for value, comparison in self.points.items():
            for timing in comparison.timings:
                numbers.setdefault(timing.name, {})[value] = number(timing)
        return numbers


def measure(what: str, rounds: int) -> Line:
    return Line(what, {value: compare(name_in_growth(what, value), FRAMEWORKS, rounds) for value in GROWTH[what]})
