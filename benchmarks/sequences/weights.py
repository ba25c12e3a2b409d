"""Starting weights by name, in float32; matrices are (I, O), so that ``x @ W`` applies them."""

from __future__ import annotations

import numpy as np

from benchmarks.sequences.problems import CLASSES, Recurrent, Transformer

Weights = dict[str, np.ndarray]
Shapes = dict[str, tuple[int, ...]]

TABLES = ("tokens", "positions", "types")
"""Embeddings."""
SPREAD = 0.02
"""Standard deviation of embeddings and biases, and of the gains of norms about 1."""


def of_recurrent(problem: Recurrent) -> Weights:
    """The gates stand side by side in PyTorch's order: i, f, g, o of an LSTM, and r, z, n of a GRU.

    Each gate has one bias; n of a GRU has a second one, for the hidden state inside the reset gate.
    """
    H, gates = problem.hidden, {"LSTM": 4, "GRU": 3}[problem.cell]
    inside: Shapes = {"hidden.bias": (H,)} if problem.cell == "GRU" else {}
    return drawn(
        linear("input", problem.inputs, gates * H)
        | {"hidden.weight": (H, gates * H)}
        | inside
        | linear("out", H, CLASSES)
    )


def of_gpt(gpt: Transformer) -> Weights:
    """The table of tokens is that of the outputs, too."""
    D = gpt.width
    return drawn({"tokens": (gpt.vocabulary, D), "positions": (gpt.T, D)} | blocks(gpt) | norm("norm", D))


def of_bert(bert: Transformer) -> Weights:
    D = bert.width
    tables = {"tokens": (bert.vocabulary, D), "positions": (bert.T, D), "types": (2, D)}
    return drawn(tables | norm("norm", D) | blocks(bert))


def blocks(sizes: Transformer) -> Shapes:
    """One matrix for queries, keys and values, side by side; the inner layer has four times the width."""
    D = sizes.width
    shapes: Shapes = {}
    for i in range(sizes.layers):
        shapes |= (
            norm(f"blocks.{i}.norm1", D) | linear(f"blocks.{i}.qkv", D, 3 * D) | linear(f"blocks.{i}.project", D, D)
        )
        shapes |= (
            norm(f"blocks.{i}.norm2", D) | linear(f"blocks.{i}.up", D, 4 * D) | linear(f"blocks.{i}.down", 4 * D, D)
        )
    return shapes


def linear(name: str, n: int, m: int) -> Shapes:
    return {f"{name}.weight": (n, m), f"{name}.bias": (m,)}


def norm(name: str, size: int) -> Shapes:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def drawn(shapes: Shapes) -> Weights:
    rng = np.random.default_rng(0)
    return {name: one(rng, name, shape) for name, shape in shapes.items()}


def one(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Matrices keep the scale of what they are applied to."""
    x = rng.standard_normal(shape, np.float32)
    if name in TABLES or len(shape) == 1:
        return np.float32(SPREAD) * x + np.float32(len(shape) == 1 and name.endswith("weight"))
    return x * np.float32(shape[0] ** -0.5)
