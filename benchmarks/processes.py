"""Processes of their own: for programs whose threads would be in each other's way, for imports, and for peaks of memory."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.timing import Timing

IMPORT = "import time; t = time.perf_counter(); import {package}; print(time.perf_counter() - t)"

# VmHWM belongs to this process alone; getrusage would count what the parent used before it started the process.
PEAK = """
import re
from pathlib import Path
from benchmarks.with_{framework} import {problem}
step = {problem}()
for _ in range({steps}):
    step()
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024)
"""


class Worker:
    """A program that waits in its process until its turn comes."""

    def __init__(self, framework: str, problem: str) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", framework, problem]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, repeats: int) -> float:
        print(repeats, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()


def import_times(packages: list[str], rounds: int) -> list[Timing]:
    """Seconds that the import of each package takes, in turns; the first round, which warms the disk, does not count."""
    timings = [Timing(package, []) for package in packages]
    for _ in range(rounds + 1):
        for timing in timings:
            timing.turns.append(_number_printed_by(IMPORT.format(package=timing.name)))
    return [Timing(timing.name, timing.turns[1:]) for timing in timings]


def peak_memory(framework: str, problem: str, steps: int = 200) -> float:
    """The most bytes that a process had in memory, the imports included (Linux)."""
    return _number_printed_by(PEAK.format(framework=framework, problem=problem, steps=steps))


def _number_printed_by(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)
