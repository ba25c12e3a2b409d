"""One framework in its own process: ``python -m benchmarks.char_gpt.worker torch``.

Each input line is an action, a file with the text, and a number; each output line is a JSON object with the answer or
the error.

- ``losses FILE 20``: start, run 20 steps, and return their losses;
- ``test FILE 512``: return the loss on 512 windows of held-out files;
- ``start FILE 300``: restart with a budget of 300 seconds or steps;
- ``train_seconds FILE 10``: train for 10 seconds or the rest of the budget; return the steps and seconds so far;
- ``train_steps FILE 10``: likewise, for a budget of steps.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.char_gpt.task import Text, rate, starting_weights
from examples import char_gpt as example


class Run:
    """A training run; its clock counts training steps only."""

    def __init__(self, framework: str, text: Text) -> None:
        self.text = text
        self.learner = importlib.import_module(f"benchmarks.char_gpt.in_{framework}").Learner(text.gpt)

    def losses(self, count: int) -> list[list[float]]:
        self.learner.start(starting_weights(self.text.gpt))
        batches = self.text.batches()
        return [[self.learner.step(*next(batches), example.LR / 10)] for _ in range(count)]

    def test(self, count: int) -> float:
        return float(np.mean([self.learner.loss(*batch) for batch in self.text.test_batches(count)]))

    def start(self, budget: int) -> None:
        self.learner.start(starting_weights(self.text.gpt))
        self.batches, self.budget, self.steps, self.seconds = self.text.batches(), budget, 0, 0.0

    def train_seconds(self, amount: int) -> tuple[int, float]:
        return self._train(amount, lambda: self.seconds)

    def train_steps(self, amount: int) -> tuple[int, float]:
        return self._train(amount, lambda: self.steps)

    def _train(self, amount: int, used: Callable[[], float]) -> tuple[int, float]:
        end = min(used() + amount, self.budget)
        while used() < end:
            started = perf_counter()
            self.learner.step(*next(self.batches), rate(used() / self.budget))
            self.seconds += perf_counter() - started
            self.steps += 1
        return self.steps, self.seconds


def main() -> None:
    runs: dict[str, Run] = {}
    for line in sys.stdin:
        action, path, number = line.split()
        try:
            if path not in runs:
                runs[path] = Run(sys.argv[1], Text.read(Path(path)))
            answer: Any = {"answer": getattr(runs[path], action)(int(number))}
        except Exception as error:  # The other frameworks continue without this one.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
