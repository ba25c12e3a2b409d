"""The problems on sequences: sizes and data. Their initial weights are in `weights`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

CLASSES = 10


@dataclass(frozen=True)
class Problem:
    """A problem; ``kind`` is the name of the function that implements it in every program."""

    kind: ClassVar[str]
    panel: ClassVar[str] = "training steps"
    """Panel of the chart."""

    @property
    def what(self) -> str:
        raise NotImplementedError

    @property
    def rate(self) -> tuple[int, str] | None:
        """Number of items that one step processes and their name, if a rate says more than a duration."""
        return None


class Training(Problem):
    """A training step with Adam."""

    optimizer: ClassVar[str] = "adam"
    lr: ClassVar[float] = 1e-3


@dataclass(frozen=True)
class Recurrent(Training):
    """A sequence is classified by the last output of a recurrent layer."""

    kind: ClassVar[str] = "recurrent"
    cell: str
    inputs: int = 64
    hidden: int = 128
    N: int = 32
    T: int = 32

    @property
    def what(self) -> str:
        return (
            f"training step of {self.cell}, {self.inputs} inputs to {self.hidden}, {self.T} steps, batch {self.N}, Adam"
        )

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(1)
        return rng.standard_normal((self.N, self.T, self.inputs), np.float32), rng.integers(0, CLASSES, self.N)


@dataclass(frozen=True)
class Transformer:
    """The sizes of a stack of transformer blocks; ``T`` is the longest sequence."""

    vocabulary: int
    layers: int
    heads: int
    width: int
    T: int

    def __str__(self) -> str:
        return f"{self.layers} layers, {self.heads} heads, width {self.width}"


@dataclass(frozen=True)
class Language(Training):
    """The next token is predicted at every position."""

    kind: ClassVar[str] = "language"
    gpt: Transformer
    N: int

    @property
    def what(self) -> str:
        return f"training step of GPT, {self.gpt}, {self.gpt.T} tokens, batch {self.N}, Adam"

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        tokens = np.random.default_rng(1).integers(0, self.gpt.vocabulary, (self.N, self.gpt.T + 1))
        return np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:])


@dataclass(frozen=True)
class Generation(Problem):
    """Greedy continuation of one prompt, with the keys and values of past tokens in a cache."""

    kind: ClassVar[str] = "generation"
    panel: ClassVar[str] = "inference"
    gpt: Transformer
    prompt: int = 16
    new: int = 64

    @property
    def what(self) -> str:
        return f"generation by GPT, {self.gpt}, prompt of {self.prompt} tokens, {self.new} new ones, batch 1"

    @property
    def rate(self) -> tuple[int, str]:
        return self.new, "tokens"

    def tokens(self) -> np.ndarray:
        return np.random.default_rng(1).integers(0, self.gpt.vocabulary, (1, self.prompt))


@dataclass(frozen=True)
class Encoding(Problem):
    """Embeddings of sentences: the mean of an encoder's outputs over the tokens of each, scaled to length 1."""

    kind: ClassVar[str] = "encoding"
    panel: ClassVar[str] = "inference"
    bert: Transformer
    N: int = 16
    T: int = 32

    @property
    def what(self) -> str:
        return f"sentence embeddings, {self.bert}, padded to {self.T} tokens, batch {self.N}"

    @property
    def rate(self) -> tuple[int, str]:
        return self.N, "sentences"

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Return tokens and a mask, which is False for padding; the first sentence has none."""
        rng = np.random.default_rng(1)
        lengths = rng.integers(self.T // 2, self.T + 1, self.N)
        lengths[0] = self.T
        mask = np.arange(self.T) < lengths[:, None]
        return np.where(mask, rng.integers(1, self.bert.vocabulary, (self.N, self.T)), 0), mask


@dataclass(frozen=True)
class Attention(Problem):
    """Causal attention alone, forward and backward."""

    kind: ClassVar[str] = "attention"
    panel: ClassVar[str] = "attention alone"
    T: int
    heads: int = 8
    width: int = 64
    """Width of each head."""

    @property
    def what(self) -> str:
        return f"causal attention, forward and backward, {self.T} tokens, {self.heads} heads of {self.width}, batch 1"

    def arrays(self) -> list[np.ndarray]:
        """Return queries, keys, values, and the gradient of the output."""
        return [*np.random.default_rng(1).standard_normal((4, 1, self.heads, self.T, self.width), np.float32)]


SMALL_GPT = Language(Transformer(vocabulary=128, layers=4, heads=4, width=128, T=64), N=16)
WIDE_GPT = Language(Transformer(vocabulary=256, layers=4, heads=8, width=256, T=128), N=8)
CHAR_GPT = Transformer(vocabulary=101, layers=4, heads=4, width=128, T=128)
"""The sizes of `examples/char_gpt.py`."""
MINILM = Transformer(vocabulary=30522, layers=6, heads=12, width=384, T=512)

TRAINING = {
    "lstm": Recurrent("LSTM"),
    "lstm-256": Recurrent("LSTM", inputs=256, hidden=256),
    "gru": Recurrent("GRU"),
    "gpt": SMALL_GPT,
    "gpt-256": WIDE_GPT,
}
HELD_OUT = {
    "lstm-200": Recurrent("LSTM", inputs=40, hidden=200, N=20, T=50),
    "gru-96": Recurrent("GRU", inputs=24, hidden=96, N=48, T=20),
    "gpt-192": Language(Transformer(vocabulary=99, layers=3, heads=6, width=192, T=100), N=6),
}
"""Sizes that no kernel was tuned for."""

LENGTHS = (128, 256, 512, 1024, 2048, 4096)
ATTENTION = {f"attention-{T}": Attention(T) for T in LENGTHS}
INFERENCE = {
    "generation": Generation(WIDE_GPT.gpt),
    "generation-char": Generation(CHAR_GPT, prompt=16, new=112),
    "minilm": Encoding(MINILM),
}
SEQUENCES: dict[str, Problem] = {**TRAINING, **HELD_OUT, **ATTENTION, **INFERENCE}
