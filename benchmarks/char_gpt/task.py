"""What is shared: the text, the sizes, the starting weights, the order of the batches, and the learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.sequences.problems import Transformer
from benchmarks.sequences.weights import Weights, of_gpt
from passus.schedules import cosine, warmup

GPT = Transformer(vocabulary=101, layers=4, heads=4, width=128, T=128)
N = 16
LR = 2e-3
BETAS, WEIGHT_DECAY, MAX_NORM = (0.9, 0.99), 0.1, 1.0
TICKS = 1000
SCHEDULE = warmup(cosine(LR, TICKS, lr_end=LR / 10), TICKS // 20)

Batch = tuple[np.ndarray, np.ndarray]


def rate(share: float) -> float:
    """The learning rate when this share of the time is used."""
    return SCHEDULE(TICKS * share)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Text:
    """The tokens to learn from, and those of held-out files."""

    train: np.ndarray
    test: np.ndarray

    @classmethod
    def read(cls, path: Path) -> Text:
        with np.load(path) as arrays:
            return cls(arrays["train"], arrays["test"])

    def save(self, path: Path) -> None:
        np.savez(path, train=self.train, test=self.test)

    def batches(self) -> Iterator[Batch]:
        """Random windows (N, T) and the tokens that follow; the same in each program."""
        rng = np.random.default_rng(0)
        while True:
            yield windows(self.train, rng.integers(0, len(self.train) - GPT.T, N))

    def test_batches(self, count: int) -> Iterator[Batch]:
        """``count`` windows that are spread evenly over the held-out files."""
        starts = np.linspace(0, len(self.test) - GPT.T - 1, count).astype(np.intp)
        for i in range(0, count, N):
            yield windows(self.test, starts[i : i + N])


def windows(tokens: np.ndarray, starts: np.ndarray) -> Batch:
    found = tokens[starts[:, None] + np.arange(GPT.T + 1)].astype(np.int64)
    return np.ascontiguousarray(found[:, :-1]), np.ascontiguousarray(found[:, 1:])


def starting_weights() -> Weights:
    """GPT-2's: normal numbers, smaller for what is added to the residual stream; biases are 0."""
    rng = np.random.default_rng(0)
    return {name: _one(rng, name, value.shape) for name, value in of_gpt(GPT).items()}


def _one(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) == 1:
        return np.full(shape, name.endswith("weight"), np.float32)
    residual = name.endswith(("project.weight", "down.weight"))
    return rng.standard_normal(shape, np.float32) * np.float32(0.02 / (2 * GPT.layers) ** (residual / 2))
