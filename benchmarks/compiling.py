"""Processor time of processes that find no compiled kernel on the disk, and of the next ones, which find them.

``python -m benchmarks.compiling`` prints a table in Markdown. Imports are included. Each pair has an empty folder of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

__all__ = ["PROGRAMS", "processor_seconds", "table"]

STEP = "from benchmarks.worker import step_of; step_of('passus', {!r})()"

PROGRAMS = {
    "first training step of `lenet`": STEP.format("lenet"),
    "first training step of `resnet20`": STEP.format("resnet20"),
    "first training step of `mobile`": STEP.format("mobile"),
    "first training step of `lstm`": STEP.format("lstm"),
    "first training step of `gpt`": STEP.format("gpt"),
    "`python -m passus.kernels`": "from passus.kernels.__main__ import main; raise SystemExit(main())",
}


def processor_seconds(program: str, folder: str) -> float:
    """Seconds of a processor that a process takes; kernels are kept in ``folder``."""
    environment = os.environ | {"NUMBA_CACHE_DIR": folder, "PASSUS_QUIET": "1"}
    before = os.times()
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def table(programs: dict[str, str] = PROGRAMS) -> str:
    lines = ["| process | no kernel on the disk | kernels on the disk |", "|---|--:|--:|"]
    for name, program in programs.items():
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = (processor_seconds(program, folder) for _ in range(2))
        lines.append(f"| {name} | {cold:.1f} s | {warm:.1f} s |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
