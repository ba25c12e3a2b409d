"""Timing two programs fairly on a machine that is never quiet: in turns, many times, compared by medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Step = Callable[[], object]

Program = Callable[[int], float]
"""Runs a number of steps, and returns the seconds that one of them took."""

TURN_SECONDS = 0.15
"""One turn of one program; short, so that all of them meet the same weather, but long enough to get up to speed again."""

REST_SECONDS = 0.2
"""Between two turns: for so long the threads of the program before may keep a processor busy with waiting."""


@dataclass
class Timing:
    """What one step of a program took, in seconds, in each of its turns."""

    name: str
    turns: list[float]
    peak: int | None = None
    """The most bytes that its process had in memory, the imports included."""

    @property
    def median(self) -> float:
        return statistics.median(self.turns)


def in_turns(programs: dict[str, Program], rounds: int) -> list[Timing]:
    """Run each program for a moment, one after the other, again and again; the order is reversed in each round."""
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
    """How many steps fill a turn; finding out warms the program up."""
    repeats = 1
    while (seconds := program(repeats) * repeats) < TURN_SECONDS:
        repeats = max(2 * repeats, int(repeats * TURN_SECONDS / max(seconds, 1e-6)))
    return repeats


def turn(step: Step, repeats: int) -> float:
    """The seconds that one of ``repeats`` steps takes."""
    started = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - started) / repeats
