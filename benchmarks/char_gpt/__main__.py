"""``python -m benchmarks.char_gpt --minutes 5``: the validation loss that each program reaches in the same time.

The programs take turns of some seconds, so that each meets the same load. Weights, batches, optimizer and schedule are
the same; the first losses must agree. The learning rate depends on the time that a program has used, so each completes
its schedule; only the number of steps differs. Compilation and tests do not count. With ``--steps 300`` each program
trains for a number of steps instead.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import agreement
from benchmarks.ceilings import measured_ceilings
from benchmarks.char_gpt.task import Text
from benchmarks.comparison import MANY
from benchmarks.machine import machine
from benchmarks.peers import missing
from benchmarks.processes import Worker

PROGRAMS = ("passus", "passus_recorded", "torch", "torch_compiled")
TURN = 10
"""Seconds, or steps, of one program before the next one continues."""
REPORTS = 10
ROUNDS = 3
"""Turns in which the ceilings of the machine are measured."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.char_gpt", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=5.0, help="training time of each program")
    length.add_argument("--steps", type=int, help="number of training steps of each program, instead of a time")
    parser.add_argument("--programs", nargs="+", default=PROGRAMS, choices=PROGRAMS)
    arguments = parser.parse_args()
    unit, budget = ("seconds", round(arguments.minutes * 60)) if arguments.steps is None else ("steps", arguments.steps)
    if budget < 1:
        parser.error("the training must take at least one second or one step")
    print(f"{machine()}\nThe machine reaches {measured_ceilings(ROUNDS)}.")
    programs = [name for name in arguments.programs if missing(name) is None]
    for name in sorted({*arguments.programs} - {*programs}):
        print(f"Skipped {name}: {missing(name)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.npz"
        Text.of_example().save(path)
        compare(programs, str(path), budget, unit)


def compare(programs: list[str], path: str, budget: int, unit: str = "seconds") -> dict[str, float]:
    """Train in alternation for ``budget`` seconds or steps; print the validation losses at intervals, return the last."""
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(name, "benchmarks.char_gpt.worker")) for name in programs}
        losses = {name: worker.ask("losses", path, MANY) for name, worker in workers.items()}
        if "passus" in losses:
            agreement.check(losses)
        for worker in workers.values():
            worker.ask("test", path, 16)  # This compiles, too.
            worker.ask("start", path, budget)
        turn = max(1, min(TURN, budget // REPORTS))
        order, results = list(workers), {}
        for used in range(turn, budget + turn, turn):
            done = {name: workers[name].ask(f"train_{unit}", path, turn) for name in order}
            order.reverse()
            finished = used >= budget
            if finished or used * REPORTS // budget > (used - turn) * REPORTS // budget:
                results = {name: workers[name].ask("test", path, 2048 if finished else 512) for name in programs}
                columns = (f"{name} {results[name]:.4f} ({done[name][0]} steps)" for name in programs)
                reached = min(used, budget)
                progress = f"{reached / 60:.2f} min" if unit == "seconds" else f"{reached} steps"
                print(f"{progress}: {', '.join(columns)}", flush=True)
    print("Validation loss in nats per character: " + ", ".join(f"{k} {v:.4f}" for k, v in results.items()))
    return results


if __name__ == "__main__":
    main()
