"""The command ``bench``: training steps on this machine, beside PyTorch and the processor's ceiling."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from passus.cli.machine import processor, version_of, versions
from passus.cli.tables import columns
from passus.cli.worker import CEILING, PROBLEMS, SIDE, network
from passus.config import no_grad
from passus.errors import PassusError
from passus.summary.operations import observing

__all__ = ["Bench", "bench"]

LIBRARIES = {"passus": "passus", "torch": "PyTorch"}


@dataclass(frozen=True)
class Bench:
    """The times of training steps in seconds by library and problem, and the ceiling in FLOP/s."""

    times: dict[str, dict[str, float]]
    ceiling: float
    status = 0

    def text(self) -> str:
        """A table of times and ratios."""
        rows = [
            (
                problem,
                f"{row['milliseconds']:.2f} ms",
                f"{row['ceiling']:.0%}",
                f"{row['times passus']:.2f}" if "times passus" in row else "not installed",
            )
            for problem, row in self._rows().items()
        ]
        table = columns(("training step", "passus", "of the ceiling", "PyTorch / passus"), rows, numbers=3)
        ceiling = f"ceiling: {self.ceiling / 1e9:.0f} GFLOP/s in a product of {SIDE} x {SIDE} matrices"
        return f"{processor()}; {versions(('numpy', 'numba', 'torch'))}\n{table}\n{ceiling}"

    def values(self) -> dict[str, Any]:
        """The same for JSON."""
        return {"processor": processor(), "gflops": self.ceiling / 1e9, "steps": self._rows()}

    def _rows(self) -> dict[str, dict[str, float]]:
        rows = {}
        for problem in PROBLEMS:
            seconds = self.times["passus"][problem]
            rows[problem] = {"milliseconds": 1e3 * seconds, "ceiling": _flops(problem) / seconds / self.ceiling}
            if "torch" in self.times:
                rows[problem]["times passus"] = self.times["torch"][problem] / seconds
        return rows


def bench(rounds: int) -> Bench:
    """Time all problems with all installed libraries in alternation; the medians of ``rounds`` turns count.

    Raises `PassusError` if a process fails.
    """
    libraries = [name for name in LIBRARIES if name == "passus" or version_of(name)]
    turns: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(_worker(name)) for name in libraries}
        for _ in range(rounds):
            for problem in PROBLEMS:
                for name in libraries:
                    turns.setdefault((name, problem), []).append(_asked(name, workers[name], problem))
            turns.setdefault(("passus", CEILING), []).append(_asked("passus", workers["passus"], CEILING))
    times = {name: {p: statistics.median(turns[name, p]) for p in PROBLEMS} for name in libraries}
    return Bench(times, 2 * SIDE**3 / min(turns["passus", CEILING]))


def _flops(problem: str) -> int:
    """Floating-point operations of a training step: backward computes two products for each one of forward."""
    with observing() as meter, no_grad():
        network(problem)(np.zeros(PROBLEMS[problem], np.float32))
    return 2 * 3 * meter.multiply_adds


@contextmanager
def _worker(library: str) -> Iterator[subprocess.Popen[str]]:
    """A process that times steps; see `passus.cli.worker`."""
    source = str(Path(__file__).parents[2])
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    command: Sequence[str] = [sys.executable, "-c", f"from passus.cli.worker import serve; serve({library!r})"]
    with subprocess.Popen(  # noqa: S603 - this interpreter and a module of passus
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _asked(library: str, worker: subprocess.Popen[str], problem: str) -> float:
    """The seconds that a worker answers. Raises `PassusError` if it has ended."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        worker.stdin.write(f"{problem}\n")
        worker.stdin.flush()
    except BrokenPipeError:
        pass
    answer = worker.stdout.readline()
    if not answer:
        raise PassusError(f"bench: the process of {library} has ended; see its error above")
    return float(answer)
