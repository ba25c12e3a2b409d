"""The task that the programs share: text, initial weights, batches and learning rate.

Sizes and settings are those of the example, ``examples/char_gpt.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.sequences.problems import Transformer
from benchmarks.sequences.weights import Weights, of_gpt
from examples import char_gpt as example
from passus.text import standard_library

GPT = Transformer(example.TOKENIZER.vocab_size, example.LAYERS, example.HEADS, example.WIDTH, example.LENGTH)
SCHEDULE = example.schedule(example.LR, example.TICKS)

Batch = tuple[np.ndarray, np.ndarray]


def rate(share: float) -> float:
    """Return the learning rate after this share of the time."""
    return SCHEDULE(example.TICKS * share)


@dataclass(frozen=True)
class Text:
    """Training tokens, tokens of held-out files, and the sizes of the model and of a batch."""

    train: np.ndarray
    test: np.ndarray
    gpt: Transformer = GPT
    N: int = example.BATCH

    @classmethod
    def of_example(cls) -> Text:
        train, test = (example.TOKENIZER.encode(standard_library(split)).astype(np.uint8) for split in (True, False))
        return cls(train, test)

    @classmethod
    def read(cls, path: Path) -> Text:
        with np.load(path) as arrays:
            *sizes, N = arrays["sizes"].tolist()
            return cls(arrays["train"], arrays["test"], Transformer(*sizes), N)

    def save(self, path: Path) -> None:
        np.savez(path, train=self.train, test=self.test, sizes=[*asdict(self.gpt).values(), self.N])

    def batches(self) -> Iterator[Batch]:
        """Yield random windows (N, T) and the tokens that follow them, the same in each program."""
        rng = np.random.default_rng(0)
        while True:
            yield windows(self.train, rng.integers(0, len(self.train) - self.gpt.T, self.N), self.gpt.T)

    def test_batches(self, count: int) -> Iterator[Batch]:
        """Yield ``count`` windows at even distances in the held-out files."""
        starts = np.linspace(0, len(self.test) - self.gpt.T - 1, count).astype(np.intp)
        for i in range(0, count, self.N):
            yield windows(self.test, starts[i : i + self.N], self.gpt.T)


def windows(tokens: np.ndarray, starts: np.ndarray, length: int) -> Batch:
    slices = tokens[starts[:, None] + np.arange(length + 1)].astype(np.int64)
    return np.ascontiguousarray(slices[:, :-1]), np.ascontiguousarray(slices[:, 1:])


def starting_weights(gpt: Transformer) -> Weights:
    """Return initial weights as in GPT-2: normal, smaller for layers that add to the residual stream; zero biases."""
    rng = np.random.default_rng(0)
    return {name: _one(rng, name, value.shape, gpt.layers) for name, value in of_gpt(gpt).items()}


def _one(rng: np.random.Generator, name: str, shape: tuple[int, ...], layers: int) -> np.ndarray:
    if len(shape) == 1:
        return np.full(shape, name.endswith("weight"), np.float32)
    residual = name.endswith(("project.weight", "down.weight"))
    return rng.standard_normal(shape, np.float32) * np.float32(0.02 / (2 * layers) ** (residual / 2))
