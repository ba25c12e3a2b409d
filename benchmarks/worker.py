"""One framework in its own process: ``python -m benchmarks.worker torch``.

Each input line is an action, a problem and a number; each output line is a JSON object with the answer or the error.

- ``results large 20``: run 20 steps and return their results;
- ``turn large 100``: run 100 steps and return the seconds per step;
- ``peak large 0``: return the peak memory of the process in bytes;
- ``work triad 0``: return the work of a step of a ceiling, in 10**9 operations or bytes;
- ``kind ceiling 0``: return the vector width, the number of threads, and the clock of a core.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.operations.costs import DIRECTIONS, operation_of
from benchmarks.problems import IMAGES, PERCEPTRONS
from benchmarks.sequences.problems import SEQUENCES
from benchmarks.timing import turn

SAMPLE = 100
"""Number of elements that are compared of a large result, at the same positions in each framework."""


def main() -> None:
    (framework,) = sys.argv[1:]
    for line in sys.stdin:
        action, problem, number = line.split()
        try:
            answer = {"answer": ACTIONS[action](framework, problem, int(number))}
        except Exception as error:  # The other frameworks continue without this one.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


@lru_cache(maxsize=1)
def step_of(framework: str, problem: str) -> Callable[[], object]:
    """Return the step of a problem; only that of the latest problem is cached."""
    if problem in DIRECTIONS:
        direction, operation = operation_of(problem)
        return getattr(importlib.import_module(f"benchmarks.operations.in_{framework}"), direction)(operation)
    folder = "sequences.in" if problem in SEQUENCES else "with"
    module = importlib.import_module(f"benchmarks.{folder}_{framework}")
    described = SEQUENCES.get(problem) or IMAGES.get(problem) or PERCEPTRONS.get(problem)
    return getattr(module, described.kind)(described) if described else getattr(module, problem)()


def results(framework: str, problem: str, count: int) -> list[list[float]]:
    step = step_of(framework, problem)
    return [numbers(step()) for _ in range(count)]


def numbers(result: object) -> list[float]:
    """Return some elements of a result, or of each of several."""
    if isinstance(result, list | tuple):
        return [number for member in result for number in numbers(member)]
    if hasattr(result, "detach"):  # PyTorch and passus refuse to convert differentiable results to arrays.
        result = result.detach()
    flat = np.asarray(result, np.float64).ravel()
    return flat[:: max(1, flat.size // SAMPLE)].tolist()


def one_turn(framework: str, problem: str, repeats: int) -> float:
    return turn(step_of(framework, problem), repeats)


def peak(framework: str, problem: str, number: int) -> int:
    """Return VmHWM, because getrusage would include memory of the parent before the process started."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024


def work(framework: str, problem: str, number: int) -> float:
    return importlib.import_module(f"benchmarks.with_{framework}").WORK[problem]


def kind(framework: str, problem: str, number: int) -> dict[str, float]:
    return importlib.import_module(f"benchmarks.with_{framework}").kind()


ACTIONS: dict[str, Callable] = {"results": results, "turn": one_turn, "peak": peak, "work": work, "kind": kind}

if __name__ == "__main__":
    main()
