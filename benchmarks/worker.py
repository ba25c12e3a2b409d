"""One framework in a process of its own: ``python -m benchmarks.worker torch``.

Each line of its input is an action, a problem and a number; each line of its output a JSON object with the answer, or the error.

- ``results large 20``: take 20 steps, and tell what each of them returned;
- ``turn large 100``: take 100 steps, and tell how many seconds one of them took;
- ``peak large 0``: tell the most bytes that the process had in memory;
- ``work triad 0``: tell how many 10**9 operations or bytes a step of a ceiling is;
- ``lanes triad 0``: tell how many float32 numbers a vector of the kernels holds.
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
from benchmarks.problems import IMAGES
from benchmarks.sequences.problems import SEQUENCES
from benchmarks.timing import turn

SAMPLE = 100
"""Of large results every framework tells about as many numbers, in the same places."""


def main() -> None:
    (framework,) = sys.argv[1:]
    for line in sys.stdin:
        action, problem, number = line.split()
        try:
            answer = {"answer": ACTIONS[action](framework, problem, int(number))}
        except Exception as error:  # The other frameworks go on without this one.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


@lru_cache(maxsize=1)
def step_of(framework: str, problem: str) -> Callable[[], object]:
    """The step to repeat; only that of the latest problem is kept."""
    if problem in DIRECTIONS:
        direction, operation = operation_of(problem)
        return getattr(importlib.import_module(f"benchmarks.operations.in_{framework}"), direction)(operation)
    if problem in SEQUENCES:
        described = SEQUENCES[problem]
        return getattr(importlib.import_module(f"benchmarks.sequences.in_{framework}"), described.kind)(described)
    module = importlib.import_module(f"benchmarks.with_{framework}")
    return module.network(IMAGES[problem]) if problem in IMAGES else getattr(module, problem)()


def results(framework: str, problem: str, count: int) -> list[list[float]]:
    step = step_of(framework, problem)
    return [numbers(step()) for _ in range(count)]


def numbers(result: object) -> list[float]:
    """Some of the numbers of a result, or of each of several."""
    if isinstance(result, list | tuple):
        return [number for part in result for number in numbers(part)]
    if hasattr(result, "detach"):  # PyTorch and passus refuse to make an array of what is differentiable.
        result = result.detach()
    flat = np.asarray(result, np.float64).ravel()
    return flat[:: max(1, flat.size // SAMPLE)].tolist()


def one_turn(framework: str, problem: str, repeats: int) -> float:
    return turn(step_of(framework, problem), repeats)


def peak(framework: str, problem: str, number: int) -> int:
    """VmHWM belongs to this process alone; getrusage would count what the parent used before it started the process."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024


def work(framework: str, problem: str, number: int) -> float:
    return importlib.import_module(f"benchmarks.with_{framework}").WORK[problem]


def lanes(framework: str, problem: str, number: int) -> int:
    return importlib.import_module(f"benchmarks.with_{framework}").LANES


ACTIONS: dict[str, Callable] = {"results": results, "turn": one_turn, "peak": peak, "work": work, "lanes": lanes}

if __name__ == "__main__":
    main()
