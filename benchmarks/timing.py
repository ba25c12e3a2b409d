"""Fair timing of several programs on a noisy machine: alternating turns, compared by medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Step = Callable[[], object]

Program = Callable[[int], float]
"""Runs a number of steps and returns the seconds per step."""

TURN_SECONDS = 0.15
"""Length of a turn: short, so that all programs meet the same load, but long enough to warm up again."""

REST_SECONDS = 0.2
"""Pause between turns, in which the threads of the previous program stop spinning."""


@dataclass
class Timing:
    """The seconds per step of a program in each of its turns."""

    name: str
    turns: list[float]
    peak: int | None = None
    """Peak memory of its process in bytes, imports included."""

    @property
    def median(self) -> float:
        return statistics.median(self.turns)


def in_turns(programs: dict[str, Program], rounds: int) -> list[Timing]:
    """Run a turn of each program in every round; the order is reversed from round to round."""
    repeats = {name: _repeats(program) for name, program in programs.items()}
    timings = {name: Timing(name, []) for name in programs}
    order = list(programs)
    for _ in range(rounds):
        for name in order:
            time.sleep(REST_SECONDS)
            timings[name].turns.append(programs[name](repeats[name]))
        order.reverse()
    return list(timings.values())


def _repeats(program: Program) -> int:
    """Return the number of steps that fill a turn; the search warms up the program."""
    repeats = 1
    while (seconds := program(repeats) * repeats) < TURN_SECONDS:
        repeats = max(2 * repeats, int(repeats * TURN_SECONDS / max(seconds, 1e-6)))
    return repeats


def turn(step: Step, repeats: int) -> float:
    """Return the seconds per step over ``repeats`` steps."""
    started = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - started) / repeats
