"""Separate processes: for frameworks, whose threads would compete in one process, and for imports."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.peers import python_of
from benchmarks.timing import Timing

IMPORT = "import time; t = time.perf_counter(); import {package}; print(time.perf_counter() - t)"


class WorkerError(RuntimeError):
    """A framework could not complete a request."""


class Worker:
    """A framework in its own process, which waits for requests."""

    def __init__(self, framework: str, module: str = "benchmarks.worker") -> None:
        command = [python_of(framework), "-m", module, framework]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, action: str, problem: str, number: int = 0) -> Any:
        self.send(action, problem, number)
        return self.answer()

    def send(self, action: str, problem: str, number: int) -> None:
        print(action, problem, number, file=self.process.stdin, flush=True)

    def answer(self) -> Any:
        """Return the answer to the last request. Raises `WorkerError` with the reason if it failed."""
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"the process ended with status {self.process.wait()}"}
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer["answer"]

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()


def import_times(packages: list[str], rounds: int) -> list[Timing]:
    """Time the import of each package in alternation; the first round, which fills the disk cache, is dropped."""
    timings = [Timing(package, []) for package in packages]
    for _ in range(rounds + 1):
        for timing in timings:
            timing.turns.append(_number_printed_by(IMPORT.format(package=timing.name)))
    return [Timing(timing.name, timing.turns[1:]) for timing in timings]


def _number_printed_by(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)
