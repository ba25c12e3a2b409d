"""Initial weights by name in float32; matrices are (I, O), applied as ``x @ W``."""

from __future__ import annotations

import numpy as np

from benchmarks.sequences.problems import CLASSES, Recurrent, Transformer

Weights = dict[str, np.ndarray]
Shapes = dict[str, tuple[int, ...]]

TABLES = ("tokens", "positions", "types")
"""Names of embeddings."""
STD = 0.02
"""Standard deviation of embeddings and biases, and of the gains of norms around 1."""


def of_recurrent(problem: Recurrent) -> Weights:
    """Return the weights of a recurrent network, gates in PyTorch's order: i, f, g, o (LSTM) or r, z, n (GRU).

    Each gate has one bias; n of a GRU has a second one, on the hidden state inside the reset gate.
    """
    H, gates = problem.hidden, {"LSTM": 4, "GRU": 3}[problem.cell]
    hidden_bias: Shapes = {"hidden.bias": (H,)} if problem.cell == "GRU" else {}
    return sample(
        linear("input", problem.inputs, gates * H)
        | {"hidden.weight": (H, gates * H)}
        | hidden_bias
        | linear("out", H, CLASSES)
    )


def of_gpt(gpt: Transformer) -> Weights:
    """Return the weights of a GPT; the token embeddings are also the output layer."""
    D = gpt.width
    return sample({"tokens": (gpt.vocabulary, D), "positions": (gpt.T, D)} | blocks(gpt) | norm("norm", D))


def of_bert(bert: Transformer) -> Weights:
    D = bert.width
    tables = {"tokens": (bert.vocabulary, D), "positions": (bert.T, D), "types": (2, D)}
    return sample(tables | norm("norm", D) | blocks(bert))


def blocks(sizes: Transformer) -> Shapes:
    """Return the shapes of the blocks; queries, keys and values share a matrix, the inner layer has width 4 D."""
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


def sample(shapes: Shapes) -> Weights:
    rng = np.random.default_rng(0)
    return {name: sample_one(rng, name, shape) for name, shape in shapes.items()}


def sample_one(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Sample one array; matrices preserve the scale of their inputs."""
    x = rng.standard_normal(shape, np.float32)
    if name in TABLES or len(shape) == 1:
        return np.float32(STD) * x + np.float32(len(shape) == 1 and name.endswith("weight"))
    return x * np.float32(shape[0] ** -0.5)
