"""Growth of the cost: a training step over batch, channels and image size, and attention over the number of tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.comparison import Comparison, compare
from benchmarks.peers import ON_IMAGES
from benchmarks.problems import GROWTH, name_in_growth
from benchmarks.timing import Timing


@dataclass
class Line:
    """A varied property and the comparison at each of its values."""

    what: str
    points: dict[int, Comparison]

    def seconds(self) -> dict[str, dict[int, float]]:
        """Return the median time of each framework at each value."""
        return self._by_framework(lambda timing: timing.median)

    def peaks(self) -> dict[str, dict[int, float]]:
        """Return the peak memory of each framework, in bytes, at each value."""
        return self._by_framework(lambda timing: timing.peak or 0)

    def _by_framework(self, number: Callable[[Timing], float]) -> dict[str, dict[int, float]]:
        numbers: dict[str, dict[int, float]] = {}
        for value, comparison in self.points.items():
            for timing in comparison.timings:
                numbers.setdefault(timing.name, {})[value] = number(timing)
        return numbers


def measure(what: str, rounds: int) -> Line:
    return Line(what, {value: compare(name_in_growth(what, value), ON_IMAGES, rounds) for value in GROWTH[what]})
