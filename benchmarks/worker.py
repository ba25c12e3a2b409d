"""One program in a process of its own: ``python -m benchmarks.worker torch large``.

Each line of its input is a number of steps to run; the answer is what one of them took, in seconds.
"""

from __future__ import annotations

import importlib
import sys

from benchmarks.timing import turn


def main() -> None:
    framework, problem = sys.argv[1:]
    step = getattr(importlib.import_module(f"benchmarks.with_{framework}"), problem)()
    for line in sys.stdin:
        print(turn(step, int(line)), flush=True)


if __name__ == "__main__":
    main()
